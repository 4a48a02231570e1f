"""Reply collectors (see sinks.pyi)."""

from libc.stdint cimport int64_t

from glidecached.upstream.call cimport Call

from glidecache_shared.protocol import ReplyError
from glidecached.upstream.cluster.response_policy import TOLERANT


cdef class ReplyCollector:
    cpdef bint is_wanted(self, int64_t now_ns) except -1:
        raise NotImplementedError

    cpdef object abandon(self):
        raise NotImplementedError

    cpdef object take(self, Py_ssize_t place, object reply):
        raise NotImplementedError

    cpdef object fail(self, Py_ssize_t place, int code, str message):
        raise NotImplementedError

    cpdef list clients(self):
        raise NotImplementedError

    cpdef object refusal(self, Py_ssize_t reply_bytes):
        """Return None: other parts of the call may have run already."""

    cpdef object travel(self, int way):
        """Do nothing: no other client joins a call in several parts."""

    cpdef object divide(self, object pinned):
        """Return None: no other client joins a call in several parts."""


cdef class SingleReply(ReplyCollector):
    def __init__(self, Call call not None):
        self.call = call

    cpdef bint is_wanted(self, int64_t now_ns) except -1:
        return not self.over and self.call.is_wanted(now_ns)

    cpdef object abandon(self):
        if not self.over:
            self.over = True
            self.call.abandon()

    cpdef object take(self, Py_ssize_t place, object reply):
        if not self.over:
            self.over = True
            self.call.succeed(reply)

    cpdef object fail(self, Py_ssize_t place, int code, str message):
        if not self.over:
            self.over = True
            self.call.fail(code, message)

    cpdef list clients(self):
        return self.call.clients()

    cpdef object refusal(self, Py_ssize_t reply_bytes):
        return self.call.refusal(reply_bytes)

    cpdef object travel(self, int way):
        self.call.travel(way)

    cpdef object divide(self, object pinned):
        return self.call.divide(pinned)


cdef class Replies(ReplyCollector):
    def __init__(self, Py_ssize_t count, ReplyCollector parent not None):
        self.parent = parent
        self.replies = [None] * count
        self.left = count

    cpdef bint is_wanted(self, int64_t now_ns) except -1:
        return self.parent.is_wanted(now_ns)

    cpdef list clients(self):
        return self.parent.clients()

    cpdef object abandon(self):
        self.parent.abandon()

    cpdef object take(self, Py_ssize_t place, object reply):
        self.replies[place] = reply
        self.left -= 1
        if not self.left:
            self.parent.take(0, self.replies)

    cpdef object fail(self, Py_ssize_t place, int code, str message):
        self.parent.fail(0, code, message)


cdef class AggregatedReply(ReplyCollector):
    def __init__(self, parts, combine, ReplyCollector parent not None, Py_ssize_t place):
        self.addresses = [None if isinstance(part.where, int) else part.where for part in parts]
        self.combine = combine
        self.parent = parent
        self.place = place
        self.replies = [None] * len(parts)
        self.left = len(parts)

    cpdef bint is_wanted(self, int64_t now_ns) except -1:
        return self.parent.is_wanted(now_ns)

    cpdef list clients(self):
        return self.parent.clients()

    cpdef object abandon(self):
        # Without one part there is no aggregated reply.
        self.parent.abandon()

    cpdef object take(self, Py_ssize_t place, object reply):
        self.replies[place] = reply
        self.left -= 1
        if self.left:
            return
        try:
            whole = self.combine(self.addresses, self.replies)
        except (TypeError, ValueError) as error:
            whole = ReplyError(f"ERR the nodes' replies do not go together: {error}")
        self.parent.take(self.place, whole)

    cpdef object fail(self, Py_ssize_t place, int code, str message):
        if self.combine in TOLERANT:
            self.take(place, ReplyError(message))
        else:
            self.parent.fail(self.place, code, message)

