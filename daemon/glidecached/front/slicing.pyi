"""Large messages in slices: each step takes a few milliseconds at the most, and the loop serves others in between.

A request is scanned first, without an object being made: what is wrong with it, and of how many values it
consists. Then it is unpacked. A reply is measured, then written. The caller repeats `step`, `measure` or `write` until
it is done. `most` counts objects; long strings count for several.
"""

from typing import Any

class Scanner:
    """Goes over the body of a request: `count` values from `begin` on, to the end of the frame."""

    def __init__(self, frame: bytes, begin: int, count: int, most_objects: int) -> None: ...
    @property
    def objects(self) -> int:
        """How many values were found so far."""

    @property
    def fault(self) -> str | None:
        """Why the message is refused; None as far as it is right."""

    def step(self, most: int) -> bool:
        """Go over some more values; whether it is done, or has found a fault."""

class Unpacker:
    """Makes the values of a body in which a `Scanner` found no fault."""

    def __init__(self, frame: bytes, begin: int, count: int) -> None: ...
    @property
    def value(self) -> list[Any]:
        """The values, once `step` has returned True."""

    def step(self, most: int) -> bool:
        """Make some more; whether it is done. Raises `ValueError` for a text that is not UTF-8."""

class Packer:
    """Makes the message of a reply with `STATUS_OK`, of whatever a server can answer.

    Raises `ValueError` or `TypeError` for what cannot be sent.
    """

    def __init__(self, request_id: int, status: int, value: Any) -> None: ...
    @property
    def size_bytes(self) -> int:
        """How long the message is, as far as it has been measured."""

    def measure(self, most: int) -> bool:
        """Measure some more; whether the length is known. Has to be called before `write`."""

    def write(self, most: int) -> bytes | None:
        """Write some more; the message once it is complete."""
