"""The compiled path of a call to its pipeline (see lane.pyi)."""

from glidecached.upstream.call cimport BULK_LANE, PROBE_LANE, Call
from glidecached.upstream.line cimport Line

BULK = BULK_LANE
PROBE = PROBE_LANE


cdef class Lane:
    def __init__(self, Line main not None):
        self.main = main

    cpdef object submit(self, Call call):
        if not self.watched:
            self.watch()
        if self.held:
            self.submit_while_held(call)
        else:
            self.main._enqueue(call)


cdef class Lanes:
    cpdef object submit(self, Call call):
        if call.lane:
            self.submit_elsewhere(call)
        else:
            self.shared.submit(call)
