from glidecached.upstream.call cimport Call
from glidecached.upstream.line cimport Line


cdef class Lane:
    cdef public Line main
    # While calls take a detour; looked at by every call.
    cdef public bint held
    cdef public bint watched

    cpdef object submit(self, Call call)


cdef class Lanes:
    cdef public Lane shared

    cpdef object submit(self, Call call)
