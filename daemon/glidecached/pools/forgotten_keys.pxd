cdef class ForgottenKeys:
    # Flights that have been sent and have not landed, and the number of the latest one.
    cdef readonly Py_ssize_t flying
    cdef long long latest
    # Flights below this number may store nothing and may not be joined, whatever their keys.
    cdef long long barred_below
    # Whether any key or prefix is remembered.
    cdef bint any
    # What is remembered until the flights below `until` have landed, of which so many are left.
    cdef long long until
    cdef Py_ssize_t left
    cdef Forgotten older
    # What has been forgotten since: it is remembered for the flights that were sent later, too.
    cdef Forgotten newer

    cdef void sent(self, long long number) noexcept
    cdef int landed(self, long long number) except -1
    cdef bint bars(self, bytes key, long long number) except -1
    cpdef object add(self, bytes key, long long number)
    cpdef object add_prefix(self, bytes prefix, long long number)
    cdef Forgotten place(self)
    cdef int bound(self) except -1
    cdef int next_period(self) except -1
    cdef bint remembers(self, bytes key, long long number) except -1


cdef class Forgotten:
    cdef dict keys
    cdef list prefixes
    cdef Py_ssize_t size

    cdef bint has(self, bytes key, long long number) except -1
    cdef Py_ssize_t count(self) except -1
