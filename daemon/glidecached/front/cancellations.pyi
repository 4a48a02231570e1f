"""Requests whose callers no longer wait: they are found once per turn of the loop, and end (isolation, I1)."""

from glidecached.deadlines import Deadlines
from glidecached.front.peers import OpenRequests
from glidecached.front.request import Request
from glidecached.session import Session

class Cancellations:
    """Ends open requests whose peer has gone, and those that a client cancels. For the loop's thread.

    Requests keep no index by peer, which every request would pay for. What is open is in `deadlines`, and is looked
    through once per turn in which something was cancelled, however much that was. Then the upstreams concerned drop
    what was sent or queued for these requests alone.
    """

    def __init__(self, deadlines: Deadlines, open_requests: OpenRequests) -> None: ...
    @property
    def cancelled(self) -> int:
        """How many requests were ended so."""

    def peer_ended(self, identity: bytes) -> None:
        """End all requests of a connection that has ended."""

    def cancel(self, identity: bytes, request_id: int) -> None:
        """End one request of a connection, without an answer; one that is not open is left alone."""

    def session_ended(self, session: Session, detach: Request) -> None:
        """End what the process that detached still has open in that session: those requests fail with `CLOSING`.

        Forked children share the session with the process that made it, and keep what they have asked for.
        """
