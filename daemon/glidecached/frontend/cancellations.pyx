"""Requests whose callers no longer wait (see cancellations.pyi)."""

from glidecached.process.deadlines cimport Deadlines
from glidecached.peers cimport OpenRequests
from glidecached.frontend.request cimport Request

from glidecache_shared.protocol import ERROR_CLOSING

CLOSED = "the client was closed"


cdef class Cancellations:
    def __init__(self, Deadlines deadlines not None, OpenRequests open_requests not None):
        self.deadlines = deadlines
        self.open = open_requests
        self.peers = set()
        self.named = {}
        self.sessions = []

    def peer_ended(self, bytes identity not None):
        if identity in self.open.counts:
            self.peers.add(identity)
            self.plan()

    def cancel(self, bytes identity not None, request_id):
        if identity in self.open.counts:
            self.named.setdefault(identity, set()).add(request_id)
            self.plan()

    def session_ended(self, session, Request detach not None):
        self.sessions.append((session, detach))
        self.plan()

    cdef int plan(self) except -1:
        if not self.planned:
            self.planned = True
            self.deadlines.loop.defer(self._carry_out)
        return 0

    def _carry_out(self):
        cdef Request request
        cdef list cancelled = []
        cdef list closed = []
        cdef list sessions
        self.planned = False
        for slot in self.deadlines.slots.values():
            for request in <set>slot:
                if self.is_cancelled(request):
                    cancelled.append(request)
                elif self.sessions and self.closed_with_session(request) is not None:
                    closed.append(request)
        self.peers.clear()
        self.named.clear()
        self.sessions = []
        for request in cancelled:
            request.cancel()
        for request in closed:
            request.fail(ERROR_CLOSING, CLOSED)
        sessions = [request.session for request in cancelled + closed if request.session is not None]
        self.cancelled += len(cancelled) + len(closed)
        for upstream in {session.upstream for session in sessions}:
            upstream.drop_unwanted()

    cdef bint is_cancelled(self, Request request) except -1:
        if self.peers and request.identity in self.peers:
            return True
        if not self.named:
            return False
        ids = self.named.get(request.identity)
        return ids is not None and request.request_id in ids

    cdef Request closed_with_session(self, Request request):
        """Return the DETACH that ended the request's session, if the request's own process sent it; else None."""
        cdef Request detach
        for session, detach in self.sessions:
            if session is not request.session or request is detach:
                continue
            # The kernel may not show a process's number; then it is 0, as for all such processes.
            if request.identity == detach.identity or (request.peer.pid and request.peer.pid == detach.peer.pid):
                return detach
        return None
