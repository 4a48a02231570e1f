"""One connection to a server, multiplexed and pipelined: many calls out in one write, their replies back in order."""

from collections import deque
from collections.abc import Callable
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

    Replies belong to calls by their order alone. When a reply comes for a call that is not wanted any more, or `doubt`
    is called, that order is proved before another reply is believed (rule I4): a marker, a command that returns its
    argument, is sent behind everything; replies are parked until its own comes, and handed on if that is at its place.
    Where it is not, or where the server lets no marker pass, the connection ends. Pushes are no replies.

    In one turn of the loop it reads about 1 MB, packs and writes as much, and hands replies on for some 5 ms.
    `tally` hears how long replies took, where there is one; those that came too late are not among them.
    """

    def __init__(self, loop: Loop, channel: Channel, owner: Owner, tally: Tally | None = None) -> None: ...
    @property
    def waiting(self) -> deque[Call]: ...
    @property
    def last_received_ns(self) -> int:
        """When anything came."""

    @property
    def oldest_sent_ns(self) -> int:
        """Since when the reply at the head has been owed: its call was written, or the reply before it came.

        Pushes do not count, nor does a part of a reply, but each MB of one.
        """

    @property
    def in_doubt(self) -> bool:
        """Whether replies are parked until a marker's reply proves whose they are."""

    @property
    def pushes(self) -> int:
        """How many pushes came."""

    on_reply: Callable[[], object] | None
    """Called when a call has its last reply."""
    @property
    def closed(self) -> bool:
        """Whether it was closed or lost."""

    def send(self, calls: deque[Call]) -> None:
        """Take calls from the left and write them, as far as the socket takes it; what nobody wants is dropped."""

    def doubt(self) -> None:
        """Have it proved whose the next replies are. Idempotent while that is under way."""

    def close(self) -> None:
        """Close the socket; the owner is not told. Idempotent."""
