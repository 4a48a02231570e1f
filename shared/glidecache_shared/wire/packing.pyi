"""Typing of the compiled packing; the implementation is in `packing.pyx`.

What this packs, msgpack would pack into the same bytes; what it reads, msgpack would read as the same value. It takes
None, bool, integers of 64 signed bits, bytes, str, and lists, tuples and dicts of them: exactly these types, 16 deep.
All other messages are left to `protocol.pack` and `protocol.unpack`, which ask here first. For any thread.
"""

from typing import Any

class LeftToMsgpackError(Exception):
    """A message that is not packed or read here; the library may well be able to."""

def pack(message: object) -> bytes:
    """Encode one message. Raises `LeftToMsgpackError`."""

def unpack(frame: bytes | bytearray | memoryview) -> Any:
    """Decode one message. Raises `LeftToMsgpackError` for what is rare, and for what is malformed."""
