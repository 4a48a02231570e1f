"""Requests by deadline (see deadlines.pyi)."""

from libc.stdint cimport int64_t

cdef enum:
    SECOND_NS = 1_000_000_000

cdef int64_t HORIZON_NS = <int64_t>86_400 * SECOND_NS


cdef inline int64_t width_of(int64_t distance_ns) noexcept nogil:
    """Return the width of the slots at that distance.

    Late deadlines need not be exact. So there are some 20,000 slots at most, for any deadlines that clients choose.
    """
    if distance_ns <= <int64_t>10 * SECOND_NS:
        return 5_000_000
    return 100_000_000 if distance_ns <= <int64_t>1_000 * SECOND_NS else <int64_t>10 * SECOND_NS


cdef class Deadlines:
    def __init__(self, loop):
        self.loop = loop
        self.slots = {}

    def __len__(self):
        return len(self.slots)

    def add(self, request, now_ns):
        slot = self.slot_for(request.deadline_ns, now_ns)
        slot.add(request)
        return slot

    cdef set slot_for(self, int64_t deadline_ns, int64_t now_ns):
        deadline_ns = min(deadline_ns, now_ns + HORIZON_NS)
        cdef int64_t width_ns = width_of(deadline_ns - now_ns)
        cdef int64_t due_ns = (deadline_ns // width_ns + 1) * width_ns
        slot = self.slots.get(due_ns)
        if slot is None:
            slot = self.slots[due_ns] = set()
            self.loop.call_at(due_ns, self._expire, due_ns)
        return slot

    def _expire(self, due_ns):
        for request in list(self.slots.pop(due_ns)):
            request.expire()
