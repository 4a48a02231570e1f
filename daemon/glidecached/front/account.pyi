"""What one connection makes the daemon hold, in bytes: for compiled code."""

from glidecached.front.peers import Peer
from glidecached.shares import Shares

class Account:
    """One connection's part of the budget; outlives the connection while requests of it are open.

    It has some bytes granted in advance, so that small messages need nothing but a comparison.
    """

    def __init__(self, shares: Shares, peer: Peer) -> None: ...
    @property
    def held(self) -> int:
        """How many bytes are held."""

    @property
    def granted(self) -> int:
        """How many of the budget's are this connection's."""

    @property
    def full(self) -> str | None:
        """Why more was refused last."""
