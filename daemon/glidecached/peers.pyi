"""Who is asking: a peer's identity by the kernel, and how many of its requests are open (architecture 12)."""

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

    max_per_peer: int
    def __init__(self, max_per_peer: int) -> None: ...
    @property
    def total(self) -> int:
        """Of all connections together."""

    @property
    def peers(self) -> int:
        """How many connections have any."""

    def enter(self, identity: bytes) -> bool:
        """Count one more; False, and nothing counted, when there are too many."""

    def leave(self, identity: bytes) -> None:
        """One was answered."""
