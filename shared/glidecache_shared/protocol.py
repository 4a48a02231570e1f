"""The wire protocol's numbers, the kinds of entry, and the msgpack encoding, for both sides (docs/protocol.md).

Nothing here imports msgpack before the first message is packed: `import glidecache` stays light.
"""

from __future__ import annotations

import struct

from glidecache_shared.wire import packing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

PROTOCOL_VERSION = 2

# Operations
HELLO = 0
ATTACH = 1
DETACH = 2
COMMAND = 3
READ = 4
GET_MANY = 5
BATCH = 6
PING = 7
STATS = 8
FLUSH = 9
DROP = 10
WATCH = 11
UNWATCH = 12
EXEC = 13
HOTTEST = 14
CANCEL = 15
FORGET = 16
ADVISE = 17

# Reply statuses
STATUS_OK = 0
STATUS_ERROR = 1

# Error codes
ERROR_REQUEST = 1
ERROR_TIMEOUT = 2
ERROR_CONNECTION = 3
ERROR_CLOSING = 4
ERROR_CONFIGURATION = 5
ERROR_EXEC_ABORT = 6
ERROR_STALE_INSTANCE = 7
ERROR_UNKNOWN_SESSION = 8
ERROR_FORBIDDEN = 9
ERROR_PROTOCOL = 10
ERROR_BUSY = 11
ERROR_OVERDUE = 12

# Kinds of entry (contract C1, C2), as numbered in shared memory, too
STRING = 1
HASH = 2
SET = 3

KIND_NAMES = {STRING: "string", HASH: "hash", SET: "set"}

KIND_COMMANDS = {STRING: b"GET", HASH: b"HGETALL", SET: b"SMEMBERS"}
"""The command that a miss of each kind sends upstream."""

COMMAND_KINDS = {command: kind for kind, command in KIND_COMMANDS.items()}

# msgpack extension types
EXT_SET = 1
EXT_ERROR = 2
EXT_BIG_INTEGER = 3

_EMPTY_BYTES = b"\xc4\x00"
_BIN_32 = 0xC6
_BYTES_HEADER = struct.Struct(">BI")

DEFAULT_MAX_MESSAGE_BYTES = 545_259_520
"""512 MiB, the server's own limit for one string, and 8 MiB for the rest of the message."""


class ReplyError(Exception):
    """An error inside a reply (a batch's element, a nested error): `args[0]` is the server's text."""


TOO_LATE = ReplyError("no reply from the server in time")
"""The daemon's own error in the place of a reply that came when its caller did not wait any more."""


def pack(message: Sequence[Any]) -> bytes:
    """Encode one message; `set` and `ReplyError` become extensions. Raises `TypeError` for other types."""
    try:
        return packing.pack(message)
    except packing.LeftToMsgpackError:
        pass
    import msgpack

    return msgpack.packb(message, use_bin_type=True, default=_pack_extension)  # type: ignore[no-any-return]


def pack_around(message: Sequence[Any], last: bytes) -> tuple[bytes, bytes]:
    """Pack the message with `last` behind its other elements, in two parts: the second is `last`, not a copy."""
    around = pack((*message, b""))
    return around[: -len(_EMPTY_BYTES)] + _BYTES_HEADER.pack(_BIN_32, len(last)), last


def unpack(frame: bytes | memoryview, max_bytes: int = DEFAULT_MAX_MESSAGE_BYTES) -> Any:
    """Decode one message.

    `max_bytes` raises msgpack's own limits for strings and containers to what the transport let through.
    Raises `ValueError` for anything that is not exactly one well-formed msgpack object.
    """
    try:
        return packing.unpack(frame)
    except packing.LeftToMsgpackError:
        pass
    try:
        return _unpack(frame, max_bytes, _unpack_extension)
    except ValueError:
        raise
    except Exception as error:  # msgpack's own errors and those of nested extensions share no base
        message = f"not a msgpack message: {type(error).__name__}: {error}"
        raise ValueError(message) from error


def _unpack(frame: bytes | memoryview, max_bytes: int, ext_hook: Callable[[int, bytes], Any]) -> Any:
    import msgpack

    return msgpack.unpackb(
        frame,
        raw=False,
        strict_map_key=False,
        ext_hook=ext_hook,
        max_str_len=max_bytes,
        max_bin_len=max_bytes,
        max_ext_len=max_bytes,
    )


def _pack_extension(value: Any) -> Any:
    import msgpack

    if isinstance(value, (set, frozenset)):
        return msgpack.ExtType(EXT_SET, pack(list(value)))
    if isinstance(value, BaseException):
        return msgpack.ExtType(EXT_ERROR, str(value).encode("utf-8", "surrogateescape"))
    if isinstance(value, int):  # beyond 64 bits: msgpack hands such integers to this hook
        return msgpack.ExtType(EXT_BIG_INTEGER, str(value).encode())
    message = f"cannot be sent: {type(value).__name__}"
    raise TypeError(message)


def _unpack_extension(code: int, data: bytes) -> Any:
    if code == EXT_SET:
        return set(_unpack(data, len(data), _unpack_member))
    return _unpack_member(code, data)


def _unpack_member(code: int, data: bytes) -> Any:
    """Unpack an extension within a set: no other set, which is not hashable; decoding one takes 40 KB of the stack."""
    if code == EXT_ERROR:
        return ReplyError(data.decode("utf-8", "surrogateescape"))
    if code == EXT_BIG_INTEGER:
        return int(data)
    message = f"unknown msgpack extension {code}"
    raise ValueError(message)
