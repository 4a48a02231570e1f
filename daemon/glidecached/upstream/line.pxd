from libc.stdint cimport int64_t

from glidecached.process.loop cimport Loop
from glidecached.upstream.call cimport Call
from glidecached.upstream.connection cimport Connection


cdef class Line:
    cdef public object _loop
    cdef public object _options
    cdef public object _queue
    cdef public Connection _connection
    cdef public object _closed_reason
    cdef public Py_ssize_t _submitted
    cdef public Py_ssize_t _failed
    cdef bint flushing

    cpdef object _enqueue(self, Call call)
