from glidecached.process.loop cimport Loop
from glidecached.process.timers cimport TimedTask
from glidecached.upstream.call cimport Call
from glidecached.upstream.connection cimport Connection
from glidecached.upstream.pipeline cimport Pipeline
from glidecached.upstream.sender cimport CallSender


cdef class Lane(TimedTask):
    cdef readonly Pipeline main
    # True while calls take a detour; checked by every call.
    cdef readonly bint held
    cdef bint _watched
    cdef Loop _loop
    cdef object _make_spare
    cdef Pipeline _spare
    cdef object _hold
    cdef Py_ssize_t _idle_ticks
    cdef Py_ssize_t _ticks

    cpdef object submit(self, Call call)
    cdef object _watch(self)
    cdef bint _holds_up(self, Connection connection) except -1


cdef class Lanes(CallSender):
    cdef readonly Lane shared
    cdef readonly object dedicated
    cdef Loop _loop
    cdef object _make_pipeline
    cdef dict _others
    cdef Pipeline _out_of_band
    cdef object _closed_reason
    cdef Py_ssize_t _refused
