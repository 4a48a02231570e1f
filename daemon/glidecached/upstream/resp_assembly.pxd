from libc.stdint cimport int64_t, uint8_t

from cpython.object cimport PyObject

cdef enum:
    # Shapes of containers. PAIRS is a map that has a key which no dict takes.
    LIST = 1
    SET = 2
    MAP = 3
    PAIRS = 4

    # The memory of an object besides its content: CPython's sizes, and the place in its container.
    BYTES_SIZE = 48
    SCALAR_SIZE = 40
    LIST_SIZE = 80
    DICT_SIZE = 128
    SET_SIZE = 232
    MEMBER_SIZE = 48


cdef struct Frame:
    # A container that is being filled: owned. `key` is a map's key whose value has not arrived yet: owned, or NULL.
    PyObject *container
    PyObject *key
    # The number of values still to come; a map's keys count too.
    int64_t left
    Py_ssize_t filled
    int shape


cdef class Assembly:
    # The containers that are being filled, the outermost first.
    cdef Frame *frames
    cdef int depth
    cdef int frames_room
    # Roughly the memory of the reply's objects.
    cdef int64_t weight_bytes

    cdef object open(self, int shape, int64_t count)
    cdef object add(self, object value, bint unhashable)
    cdef const uint8_t *take_strings(self, const uint8_t *at, const uint8_t *end, int64_t most_bytes) except NULL
    cdef int64_t values_left(self) noexcept
    cdef int drop_containers(self) noexcept


# The result for a reply that is not whole.
cdef object AGAIN
