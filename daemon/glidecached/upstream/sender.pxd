from glidecached.upstream.call cimport Call


cdef class CallSender:
    cpdef object submit(self, Call call)


cdef class UpstreamCore:
    cdef public CallSender sender
    cdef public bint fills_cache
