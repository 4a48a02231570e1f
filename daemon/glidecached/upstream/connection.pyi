"""One connection to a server, multiplexed and pipelined: many calls out in one write, their replies back in order."""

from collections import deque
from typing import Protocol

from glidecached.loop import Loop
from glidecached.upstream.call import Call
from glidecached.upstream.connector import Channel
from glidecached.upstream.tally import Tally

class Owner(Protocol):
    """Whoever made the connection."""

    def connection_drained(self) -> None:
        """Everything packed so far is written; there is room for more."""

    def connection_lost(self, reason: str) -> None:
        """The connection ended by itself. The calls in `waiting` are the owner's, to send again or to fail."""

class Connection:
    """A channel and the calls that were sent on it and wait for their replies. Belongs to the loop's thread.

    `tally` hears how long replies took, where there is one.
    """

    def __init__(self, loop: Loop, channel: Channel, owner: Owner, tally: Tally | None = None) -> None: ...
    @property
    def waiting(self) -> deque[Call]: ...
    @property
    def last_received_ns(self) -> int: ...
    @property
    def closed(self) -> bool:
        """Whether it was closed or lost."""

    def send(self, calls: deque[Call]) -> None:
        """Take calls from the left and write them, as far as the socket takes it; what nobody wants is dropped."""

    def close(self) -> None:
        """Close the socket; the owner is not told. Idempotent."""
