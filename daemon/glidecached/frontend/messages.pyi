"""Messages: their headers, and the bodies of requests: short ones at once, large ones in slices.

Each slice takes at most a few milliseconds, and the loop serves others in between. A request is scanned first, without
making objects. The scan finds errors and counts the values. Then the request is unpacked. Large replies are
`reply_packer`'s. The caller repeats `step` until it is done. `most` counts objects; a long string counts as several.
"""

from typing import Any

class MessageHeader:
    """The header of the request that `read` has read last: copy what has to last."""

    @property
    def operation(self) -> int: ...
    @property
    def request_id(self) -> int: ...
    @property
    def instance_id(self) -> int: ...
    @property
    def deadline_ns(self) -> int: ...
    @property
    def body_bytes(self) -> int:
        """Return the position of the body in the message."""

    @property
    def body_fields(self) -> int:
        """Return the number of values of the body."""

    @property
    def objects(self) -> int:
        """Return the number of values that `unpack_body` has made."""

    def read(self, message: bytes) -> bool:
        """Read the header. Return False if it is not four integers of 64 bits with a positive request id.

        Then only `request_id` is set: 0 or negative if the message has none.
        """

    @property
    def session_id(self) -> int:
        """Return the session's number that `unpack_read` has read; likewise `kind` and `key`."""

    @property
    def kind(self) -> int: ...
    @property
    def key(self) -> bytes: ...
    @property
    def arguments(self) -> list[Any] | None: ...
    def unpack_command(self, message: bytes) -> bool:
        """Read a body that is a session's number and a list, without a list for both. False for any other body."""

    def take_arguments(self) -> list[Any]:
        """Return the arguments that `unpack_command` has read, once."""

    def unpack_read(self, message: bytes) -> bool:
        """Read a body that is a session's number, a known kind and a key, without a list. False for any other body."""

    def unpack_body(self, message: bytes) -> list[Any] | None:
        """Return the body of a short message, or None if it is malformed."""

    def unpack_whole(self, message: bytes) -> Any:
        """Return the one object that a short message is, whatever its header; None if it is malformed."""

    def fault_of(self, message: bytes) -> str:
        """Return the reason why the body of a short message cannot be read."""

    def peek_session_id(self, message: bytes) -> int:
        """Return the integer with which the body begins; -1 if it begins with none."""

class Scanner:
    """A scanner of a request's body: `count` values from `begin`, to the end of the frame."""

    def __init__(self, frame: bytes, begin: int, count: int, most_objects: int) -> None: ...
    @property
    def objects(self) -> int:
        """Return the number of values found so far."""

    @property
    def fault(self) -> str | None:
        """Return the reason to refuse the message; None if no fault was found so far."""

    def step(self, most: int) -> bool:
        """Scan some more values. Return whether it is done, or has found a fault."""

class Unpacker:
    """A maker of the values of a body in which a `Scanner` found no fault."""

    def __init__(self, frame: bytes, begin: int, count: int) -> None: ...
    @property
    def value(self) -> list[Any]:
        """Return the values, once `step` has returned True."""

    def step(self, most: int) -> bool:
        """Make some more values. Return whether all are made. Raises `ValueError` for a text that is not UTF-8."""
