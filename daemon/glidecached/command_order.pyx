"""The order of one client's commands across lanes (see command_order.pyi)."""

import logging
from collections import deque

from glidecache_shared.command_table import DEDICATED

logger = logging.getLogger(__name__)

cdef int EACH_ITS_OWN = DEDICATED


cdef class CommandOrder:
    def __init__(self, loop):
        self.loop = loop

    cdef bint may_go(self, int lane) noexcept:
        if self.waiting is not None:
            return False
        if self.open and (lane != self.lane or lane == EACH_ITS_OWN):
            return False
        self.lane = lane
        return True

    cdef int enter(self) except -1:
        self.open += 1
        return 0

    cdef int leave(self) except -1:
        self.open -= 1
        if self.open == 0 and self.waiting is not None:
            self.loop.defer(self._start_waiting)
        return 0

    cdef int wait(self, int lane, object request, object start) except -1:
        if self.waiting is None:
            self.waiting = deque()
            if self.open == 0:
                self.loop.defer(self._start_waiting)
        self.waiting.append((lane, request, start))
        return 0

    def _start_waiting(self):
        """Start waiting requests, up to the first one that has to wait for requests on another lane."""
        cdef int lane
        waiting = self.waiting
        if waiting is None:
            return
        while waiting:
            lane, request, start = waiting[0]
            if not request.finished and self.open and (lane != self.lane or lane == EACH_ITS_OWN):
                return
            waiting.popleft()
            if request.finished:
                continue
            self.lane = lane
            try:
                start()
            except Exception:
                logger.exception("a request that waited for its client's earlier ones could not be started")
                request.fail(1, "glidecached failed on this request; its log says why")
        self.waiting = None
