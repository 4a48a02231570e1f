"""Peers: a peer's identity as the kernel reports it, and the number of its open requests (architecture 12)."""

from typing import NamedTuple

class Peer(NamedTuple):
    """The process that connected, as the kernel saw it at that moment.

    `groups` are its supplementary groups; None when it has too many to be read.
    """

    uid: int
    gid: int
    pid: int
    groups: tuple[int, ...] | None = ()

class OpenRequests:
    """The open requests of each connection, up to a limit (architecture, failure model: "a client floods")."""

    max_per_peer: int
    def __init__(self, max_per_peer: int) -> None: ...
    @property
    def total(self) -> int:
        """Return the number of open requests of all connections together."""

    @property
    def peers(self) -> int:
        """Return the number of connections with open requests."""

    def enter(self, identity: bytes) -> bool:
        """Count one more. Return False, and count nothing, when there are too many."""

    def leave(self, identity: bytes) -> None:
        """Count one less: a request was answered."""
