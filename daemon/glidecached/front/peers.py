"""Who is asking: a peer's identity by the kernel, and how many of its requests are open (architecture 12)."""

from __future__ import annotations

from typing import NamedTuple


class Peer(NamedTuple):
    """The process that connected, as the kernel saw it at that moment.

    `groups` are its supplementary groups; None when it has more than can be asked for.
    """

    uid: int
    gid: int
    pid: int
    groups: tuple[int, ...] | None = ()


class OpenRequests:
    """How many requests each connection has open, up to a bound (architecture, failure model: "a client floods")."""

    __slots__ = ("_counts", "max_per_peer", "total")

    def __init__(self, max_per_peer: int) -> None:
        self.max_per_peer = max_per_peer
        self._counts: dict[bytes, int] = {}
        self.total = 0

    def enter(self, identity: bytes) -> bool:
        """Count one more; False, and nothing counted, when there are too many."""
        count = self._counts.get(identity, 0)
        if count >= self.max_per_peer:
            return False
        self._counts[identity] = count + 1
        self.total += 1
        return True

    def leave(self, identity: bytes) -> None:
        """One was answered."""
        count = self._counts[identity] - 1
        self.total -= 1
        if count:
            self._counts[identity] = count
        else:
            del self._counts[identity]
