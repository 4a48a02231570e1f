"""Cancelled requests: their callers no longer wait. They are found and ended once per turn of the loop (I1)."""

from glidecached.client_session import ClientSession
from glidecached.frontend.request import Request
from glidecached.peers import OpenRequests
from glidecached.process.deadlines import Deadlines

class Cancellations:
    """The cancellations: of open requests without a peer, and of requests that a client cancels. For the loop's thread.

    Requests have no index by peer: every request would pay for it. The open requests are in `deadlines`. They are
    scanned once per turn in which something was cancelled, however many cancellations there were. Then the upstreams
    concerned drop commands that were sent or queued for these requests alone.
    """

    def __init__(self, deadlines: Deadlines, open_requests: OpenRequests) -> None: ...
    @property
    def cancelled(self) -> int:
        """Return the number of cancelled requests."""

    def peer_ended(self, identity: bytes) -> None:
        """End all requests of a connection that has ended."""

    def cancel(self, identity: bytes, request_id: int) -> None:
        """End one request of a connection without an answer. A request that is not open is ignored."""

    def session_ended(self, session: ClientSession, detach: Request) -> None:
        """End the requests that the detaching process still has open in the session: they fail with `CLOSING`.

        Forked children share the session with the process that made it; their requests continue.
        """
