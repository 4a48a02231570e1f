"""Values that prove where they come from: each carries its key, its version, when it was stored, and a checksum.

A reader that gets one can tell whether it is whole, whether it belongs to the key that was asked for, whether it had
expired, and whether it is older than what this reader saw before.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from glidecache_shared.protocol import HASH, SET, STRING

_STAMP = struct.Struct("<QQI")
_CRC = struct.Struct("<I")
_CRC_MARK = b"checksum"

StampedValue = bytes | dict[bytes, bytes] | set[bytes]


class NotWholeError(Exception):
    """The value is torn, or is not this key's."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a value says of itself."""

    version: int
    stored_ns: int


def stamped(kind: int, key: bytes, stamp: Stamp, filler_bytes: int) -> StampedValue:
    """A value of `kind` with about `filler_bytes` beside its stamp."""
    head = _STAMP.pack(stamp.version, stamp.stored_ns, len(key)) + key
    filler = (b"%d|" % stamp.version) * (filler_bytes // 8 + 1)
    if kind == STRING:
        body = head + filler
        return body + _CRC.pack(zlib.crc32(body))
    parts = 1 + stamp.version % 9
    pieces = [b"%d:" % index + filler[: filler_bytes // parts + 1] for index in range(parts)]
    checksum = _CRC.pack(_checksum([head, *pieces]))
    if kind == HASH:
        fields = {b"f%d" % index: piece for index, piece in enumerate(pieces)}
        return {b"head": head, **fields, _CRC_MARK: checksum}
    return {b"head" + head, *pieces, _CRC_MARK + checksum}


def read_stamp(kind: int, key: bytes, value: object) -> Stamp:
    """The stamp of a value that was found under `key`. Raises `NotWholeError`."""
    try:
        head, pieces, checksum = _taken_apart(kind, value)
        version, stored_ns, key_bytes = _STAMP.unpack_from(head)
    except (KeyError, struct.error, AttributeError, TypeError, ValueError) as error:
        message = f"{key!r}: {type(error).__name__}: {error}"
        raise NotWholeError(message) from error
    if _checksum([head, *pieces]) != checksum:
        message = f"{key!r}: the checksum of version {version} does not match"
        raise NotWholeError(message)
    owner = head[_STAMP.size : _STAMP.size + key_bytes]
    if owner != key:
        message = f"{key!r}: this value belongs to {owner!r}"
        raise NotWholeError(message)
    return Stamp(version, stored_ns)


def _taken_apart(kind: int, value: object) -> tuple[bytes, list[bytes], int]:
    if kind == STRING and isinstance(value, bytes):
        body, checksum = value[: -_CRC.size], value[-_CRC.size :]
        return body, [], _CRC.unpack(checksum)[0]
    if kind == HASH and isinstance(value, dict):
        pieces = [piece for name, piece in value.items() if name not in {b"head", _CRC_MARK}]
        return value[b"head"], pieces, _CRC.unpack(value[_CRC_MARK])[0]
    if kind == SET and isinstance(value, set):
        (head,) = (member for member in value if member.startswith(b"head"))
        (checksum,) = (member for member in value if member.startswith(_CRC_MARK))
        pieces = [member for member in value if not member.startswith((b"head", _CRC_MARK))]
        return head[len(b"head") :], pieces, _CRC.unpack(checksum[len(_CRC_MARK) :])[0]
    message = f"a {type(value).__name__} of kind {kind}"
    raise TypeError(message)


def _checksum(parts: list[bytes]) -> int:
    return zlib.crc32(b"\x00\xff\x00".join([parts[0], *sorted(parts[1:])]))
