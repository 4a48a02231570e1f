"""The way of calls to one multiplexed connection (see line.pyi)."""

from collections import deque

from glidecache_shared.pool.clock cimport monotonic_ns
from glidecached.upstream.call cimport Call
from glidecached.upstream.connection cimport Connection

from glidecache_shared.protocol import ERROR_BUSY, ERROR_CONNECTION


cdef class Line:
    def __init__(self, loop, options):
        self._loop = loop
        self._options = options
        self._queue = deque()

    def connection_drained(self):
        self._flush()

    cpdef object _enqueue(self, Call call):
        self._submitted += 1
        if self._closed_reason is not None:
            self._refuse(call, ERROR_CONNECTION, self._closed_reason)
            return
        call.submitted_ns = monotonic_ns()
        if self._connection is None:
            self._enqueue_unconnected(call)
        elif len(self._queue) + len(self._connection.waiting) >= self._options.max_waiting_requests:
            self._refuse(call, ERROR_BUSY, self._too_many())
        else:
            self._queue.append(call)
            if not self.flushing:
                self.flushing = True
                self._loop.defer(self._flush)

    def submit(self, Call call not None):
        self._enqueue(call)

    def _flush(self):
        # It may be lost while it sends: without this reference it would be freed while it runs.
        cdef Connection connection = self._connection
        self.flushing = False
        if connection is not None:
            connection.send(self._queue)

    def _refuse(self, Call call not None, int code, str message not None):
        self._failed += 1
        call.fail(code, message)
