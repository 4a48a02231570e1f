"""Commands that a library's client sends: those that are cached, known reads, and those that end caching."""

from __future__ import annotations

from glidecache_shared.command_table import is_plain, row_of
from glidecache_shared.protocol import HASH, SET, STRING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

MANY = -1
"""The value for many strings, where a kind is expected."""

_CACHED = {"GET": STRING, "HGETALL": HASH, "SMEMBERS": SET, "MGET": MANY}
KINDS: dict[Any, int] = {**_CACHED, **{name.lower(): kind for name, kind in _CACHED.items()}}
"""The kind of entry that a command reads, by its name as the libraries write it."""

_ENDS_CACHING = frozenset(
    {"SELECT", "AUTH", "HELLO", "RESET", "SWAPDB", "MULTI", "WATCH", "CLIENT REPLY", "CLIENT TRACKING"}
)
"""Commands after which the daemon's reply to a read may differ from that of the same connection."""

_READS: dict[Any, bool] = {}
_MOST_NAMES = 1_000


def is_known_read(args: Sequence[Any]) -> bool:
    """Return whether the command, its name first, certainly changes nothing; False where its options decide that."""
    name = args[0]
    try:
        known = _READS.get(name)
    except TypeError:
        return False
    if known is None:
        encoded = name.upper() if isinstance(name, bytes) else str(name).upper().encode()
        known = is_plain(encoded) and row_of([encoded]).reads
        if len(_READS) < _MOST_NAMES:
            _READS[name] = known
    return known


def written_keys(args: Sequence[Any], encode: Callable[[Any], Any]) -> Sequence[bytes]:
    """Return the keys whose values a command that may write can change; none for what the library will refuse.

    `encode` is the library's.
    """
    try:
        words = args[0].split() if isinstance(args[0], (str, bytes)) else args[:1]
        if len(words) == 1:
            name = bytes(encode(words[0])).upper()
            row = row_of([name]) if is_plain(name) else None
            if row is not None and row.keeps_values:
                return ()
            if row is not None and row.finder is None:
                # Most commands: nothing but their keys is encoded twice.
                return [bytes(encode(key)) for key in row.find_keys(args)]
        command = [bytes(encode(word)) for word in (*words, *args[1:])]
        command[0] = command[0].upper()
        return row_of(command).find_keys(command)
    except Exception:  # noqa: BLE001 - the library raises its own error for the same
        return ()


def ends_caching(args: Sequence[Any]) -> bool:
    """Return whether later reads of the client must be the library's own."""
    words = _text(args[0]).split()
    if len(words) == 1 and words[0] == "CLIENT" and len(args) > 1:
        words.append(_text(args[1]))
    return bool(words) and (words[0] in _ENDS_CACHING or " ".join(words[:2]) in _ENDS_CACHING)


def _text(word: Any) -> str:
    return (
        bytes(word).decode("utf-8", "replace") if isinstance(word, (bytes, bytearray)) else str(word)
    ).upper()
