"""Replies of any size, packed in slices of a few milliseconds: measured first, then written.

The caller repeats `measure` or `write` until it is done. `most` counts objects; a long string counts as several.
"""

from typing import Any

class Packer:
    """A maker of the message of a reply with `STATUS_OK`, from any value that a server can answer.

    Raises `ValueError` or `TypeError` for a value that cannot be sent.
    """

    def __init__(self, request_id: int, status: int, value: Any) -> None: ...
    @property
    def size_bytes(self) -> int:
        """Return the length of the message, as far as it has been measured."""

    def measure(self, most: int) -> bool:
        """Measure some more. Return whether the length is known. Must be called before `write`."""

    def write(self, most: int) -> bytes | None:
        """Write some more. Return the message once it is complete."""
