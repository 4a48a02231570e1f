"""The bytes that the daemon holds for one connection. For compiled code."""

from glidecached.peers import Peer
from glidecached.shares import Shares

class Account:
    """One connection's part of the budget. It outlives the connection while requests of it are open.

    Some bytes are granted in advance, so that small messages need only a comparison.
    """

    def __init__(self, shares: Shares, peer: Peer) -> None: ...
    @property
    def held(self) -> int:
        """Return the number of bytes held."""

    @property
    def granted(self) -> int:
        """Return the number of bytes of the budget that this connection has been granted."""

    @property
    def full(self) -> str | None:
        """Return the reason of the last refusal."""
