from libc.stdint cimport int64_t

from glidecache_shared.wire.dealer cimport Dealer


cdef class Closing:
    cdef public bint closed


cdef class Exchange:
    cdef readonly bint busy
    cdef readonly set open_ids
    cdef readonly dict replies
    cdef readonly int64_t sent_ns
    cdef Closing closing

    cdef tuple ask(self, object connection, Dealer dealer, int64_t request_id, bytes message, int64_t deadline_ns)
    cdef int wait(self, object connection, Dealer dealer, int64_t until_ns) except -1
    cdef tuple take(self, object connection, Dealer dealer, object number)
