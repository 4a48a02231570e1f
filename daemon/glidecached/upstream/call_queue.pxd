from glidecached.upstream.call cimport Call


cdef class CallQueue:
    # A ring, whose length is a power of two: `count` calls from `head` on, None elsewhere.
    cdef list ring
    cdef Py_ssize_t head
    cdef readonly Py_ssize_t count

    cpdef object append(self, Call call)
    cpdef object appendleft(self, Call call)
    cpdef Call popleft(self)
    cdef Call at(self, Py_ssize_t place)
    cdef int grow(self) except -1
