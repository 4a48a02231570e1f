from glidecached.client_session cimport ClientSession, Sessions
from glidecached.frontend.request cimport Request
from glidecached.handlers.arguments cimport need, need_all_bytes
from glidecached.pools.entries cimport PoolEntries
from glidecached.sequence cimport Sequence


cdef class ForgetHandler:
    cdef Sessions sessions
    cdef Sequence next_sequence
    cdef object pool_of

    cpdef object forget(self, Request request, list body)
    cpdef object at_once(self, Request request, ClientSession session, list keys)


cpdef Py_ssize_t forget_each(PoolEntries entries, list keys, long long number) except -1
