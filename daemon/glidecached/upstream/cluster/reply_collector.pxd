from libc.stdint cimport int64_t

from glidecached.upstream.call cimport Call


cdef class ReplyCollector:
    cpdef bint is_wanted(self, int64_t now_ns) except -1
    cpdef object abandon(self)
    cpdef object collect(self, Py_ssize_t place, object reply)
    cpdef object fail(self, Py_ssize_t place, int code, str message)
    cpdef list clients(self)
    cpdef object refusal(self, Py_ssize_t reply_bytes)
    cpdef object travel(self, int way)
    cpdef object divide(self, object pinned)


cdef class SingleReply(ReplyCollector):
    cdef Call call
    cdef bint ended


cdef class PipelineReplies(ReplyCollector):
    cdef ReplyCollector parent
    cdef list replies
    cdef Py_ssize_t missing


cdef class AggregatedReply(ReplyCollector):
    cdef list addresses
    cdef object policy
    cdef ReplyCollector parent
    cdef Py_ssize_t place
    cdef list replies
    cdef Py_ssize_t missing
