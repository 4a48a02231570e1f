from glidecached.upstream.call cimport Call
from glidecached.upstream.line cimport Line


cdef class Lane:
    cdef public Line main
    # True while calls take a detour; checked by every call.
    cdef public bint held
    cdef public bint watched

    cpdef object submit(self, Call call)


cdef class Lanes:
    cdef public Lane shared

    cpdef object submit(self, Call call)
