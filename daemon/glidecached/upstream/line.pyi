"""The queue of calls for one multiplexed connection: queued while a turn of the loop lasts, then written together."""

from collections import deque

from glidecached.process.loop import Loop
from glidecached.upstream.call import Call
from glidecached.upstream.connection import Connection
from glidecached.upstream.target import UpstreamOptions

class Line:
    """A queue, and the connection that it empties into while there is one. Subclasses make and lose connections.

    They have `_enqueue_unconnected(call)` for a call that comes while there is none, and `_too_many()`, which says why
    one more is too many.
    """

    _loop: Loop
    _options: UpstreamOptions
    _queue: deque[Call]
    _connection: Connection | None
    _closed_reason: str | None
    """The reason why no call is taken any more; None while calls are taken."""
    _submitted: int
    _failed: int

    def __init__(self, loop: Loop, options: UpstreamOptions) -> None: ...
    def connection_drained(self) -> None:
        """Implement `connection.Owner`: there is room for more."""

    def submit(self, call: Call) -> None:
        """Send the call on the multiplexed connection, in the order of submission, or refuse it."""

    def _enqueue(self, call: Call) -> None:
        """Queue the call, as `submit` does; for subclasses."""

    def _flush(self) -> None:
        """Write what waits: at the end of a turn, so that all of it leaves together."""

    def _refuse(self, call: Call, code: int, message: str) -> None:
        """Fail a call that was not taken."""
