"""One connection to a server, multiplexed and pipelined: many calls out in one write, their replies back in order."""

from collections.abc import Callable
from typing import Protocol

from glidecached.process.loop import Loop
from glidecached.upstream.call_queue import CallQueue
from glidecached.upstream.connector import Channel
from glidecached.upstream.latency_histogram import LatencyHistogram

class ConnectionHandler(Protocol):
    """The object that made a connection."""

    def connection_drained(self) -> None:
        """Note that everything packed so far is written; there is room for more."""

    def connection_lost(self, reason: str) -> None:
        """Handle a connection that ended by itself. It sends the calls in `waiting` again or fails them."""

    def reply_is_long(self) -> None:
        """Note that more than 1 MB of one reply has arrived: those behind it wait."""

    def error_replied(self, text: str) -> None:
        """Note an error in the server's reply, whatever call it belongs to."""

class Connection:
    """A channel and the calls that were sent on it and wait for their replies. Belongs to the loop's thread.

    Replies belong to calls by their order alone. That order is proved (rule I4, see `reply_order`) when a reply comes
    for a call that is not wanted any more, or when `doubt` is called. If it cannot be proved, the connection ends.
    Pushes are no replies.

    In one turn of the loop it reads about 256 KB, writes as much, and delivers replies for some 1 ms.
    `latencies`, if given, records how long replies took, except those that came too late.
    """

    def __init__(
        self,
        loop: Loop,
        channel: Channel,
        handler: ConnectionHandler,
        latencies: LatencyHistogram | None = None,
    ) -> None: ...
    @property
    def waiting(self) -> CallQueue: ...
    @property
    def last_received_ns(self) -> int:
        """Return the time at which data last arrived."""

    @property
    def oldest_sent_ns(self) -> int:
        """Return the time since which the reply at the head is owed: its call was written, or the reply before it came.

        Pushes do not count. A part of a reply does not count either, but each MB of one does.
        """

    @property
    def in_doubt(self) -> bool:
        """Return whether replies are parked until a marker's reply proves to which calls they belong."""

    @property
    def pushes(self) -> int:
        """Return the number of pushes received."""

    on_reply: Callable[[], object] | None
    """Called when a call has its last reply."""
    @property
    def closed(self) -> bool:
        """Return whether it was closed or lost."""

    def send(self, calls: CallQueue) -> None:
        """Take calls from the left and write what the socket takes. Calls that no client wants are dropped."""

    def doubt(self) -> None:
        """Prove to which calls the next replies belong. Idempotent while that is under way."""

    def close(self) -> None:
        """Close the socket, without informing the handler. Idempotent."""
