"""The end that requests come from, as the requests know it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from glidecached.access import Peer


class Caller:
    """One client's connection, for the requests that came on it (`client_connection.ClientConnection`)."""

    identity: bytes
    peer: Peer
    """The process that connected."""
    uid: int
    pid: int
    open_requests: int
    """The number of its requests without an answer so far. Counted by `budget.OpenRequests`."""
    session_id: int

    def __init__(self, identity: bytes, peer: Peer) -> None:
        self.identity = identity
        self.peer = peer
        self.uid = peer.uid
        self.pid = peer.pid
