# The prefixes of written keys: see written_prefixes.pyi.
cdef bytes prefix_of(bytes key)

cdef class WrittenPrefixes:
    cdef dict counts
    cdef dict errors
    cdef readonly unsigned long long total

    cdef int add(self, bytes key) except -1
