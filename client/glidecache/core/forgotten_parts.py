"""The keys of a `forget`, in parts: a message is bounded, and the daemon removes a part's entries in one go."""

from __future__ import annotations

MOST_KEYS = 500
MOST_BYTES = 262_144


def in_parts(keys: list[bytes]) -> list[list[bytes]]:
    """Return the keys in order, in lists of at most `MOST_KEYS` keys and `MOST_BYTES` bytes, or of one longer key."""
    if len(keys) <= MOST_KEYS and sum(map(len, keys)) <= MOST_BYTES:
        return [keys] if keys else []
    parts: list[list[bytes]] = []
    part: list[bytes] = []
    room = MOST_BYTES
    for key in keys:
        if part and (len(part) == MOST_KEYS or len(key) > room):
            parts.append(part)
            part, room = [], MOST_BYTES
        part.append(key)
        room -= len(key)
    parts.append(part)
    return parts
