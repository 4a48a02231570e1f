cdef class Expiring:
    cdef public long long deadline_ns
    # The slot that it is in, and its neighbours there.
    cdef DeadlineSlot slot
    cdef Expiring slot_before
    cdef Expiring slot_behind

    cpdef object expire(self)


cdef class DeadlineSlot:
    cdef long long due_ns
    cdef Expiring first

    cdef void put(self, Expiring request) noexcept
    cpdef object discard(self, Expiring request)


cdef class Deadlines:
    cdef object loop
    cdef dict slots
    # The slot that was used last: most requests have the timeout of the one before, and the same slot.
    cdef DeadlineSlot latest

    cpdef DeadlineSlot add(self, Expiring request, long long now_ns)
    cdef DeadlineSlot slot_for(self, long long deadline_ns, long long now_ns)

cdef long long width_of(long long distance_ns) noexcept
