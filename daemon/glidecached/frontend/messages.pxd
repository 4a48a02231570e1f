from libc.stdint cimport int64_t, uint8_t, uint64_t

from glidecache_shared.wire.packing cimport Header, Span

cdef enum:
    DEEPEST = 17


cdef bytes reply_frame(int64_t request_id, int64_t status, object body)


cdef class MessageHeader:
    cdef Header header
    cdef readonly int64_t operation
    cdef readonly int64_t request_id
    cdef readonly int64_t instance_id
    cdef readonly int64_t deadline_ns
    cdef readonly Py_ssize_t body_bytes
    cdef readonly Py_ssize_t body_fields
    cdef readonly Py_ssize_t objects
    # The body of a read.
    cdef readonly int64_t session_id
    cdef readonly int kind
    cdef readonly bytes key
    # The arguments of a command.
    cdef readonly list arguments

    cdef bint read(self, bytes message) noexcept
    cdef bint unpack_read(self, bytes message) except -1
    cdef bint unpack_command(self, bytes message) except -1
    cdef list take_arguments(self)
    cdef object unpack_body(self, bytes message)
    cdef object unpack_whole(self, bytes message)
    cdef int64_t peek_session_id(self, bytes message) noexcept
    cdef str fault_of(self, bytes message)


cdef class Scanner:
    cdef bytes frame
    cdef Span span
    cdef Py_ssize_t most_objects
    # The number of elements still to come in each open container; keys and values of a map both count.
    cdef uint64_t[DEEPEST] left
    cdef int depth
    cdef readonly Py_ssize_t objects
    cdef readonly str fault

    cpdef bint step(self, Py_ssize_t most) except -1
    cdef bint refuse(self, str fault) except -1
    cdef bint skip(self, uint64_t size) except -1
    cdef bint open_container(self, uint64_t count) except -1
    cdef uint64_t number(self, int size) noexcept


cdef class Unpacker:
    cdef bytes frame
    cdef Span span
    cdef list lists
    cdef Py_ssize_t[DEEPEST] filled
    # A long string of which a part has been copied.
    cdef bytes long_text
    cdef Py_ssize_t copied
    cdef readonly list value

    cpdef bint step(self, Py_ssize_t most) except -1
    cdef bint copy(self) except -1
    cdef Py_ssize_t length(self, int size)
    cdef int begin(self, Py_ssize_t count) except -1
    cdef int put(self, object value) except -1


cdef class Packer:
    cdef object value
    cdef int64_t request_id
    # The iterators of the open containers; for a set, also the place of its length.
    cdef list iterators
    cdef list open_sets
    cdef list set_bytes
    cdef Py_ssize_t sets_put
    cdef readonly Py_ssize_t size_bytes
    cdef bytes packed
    cdef uint8_t *at
    cdef bint measured

    cpdef object measure(self, Py_ssize_t most)
    cpdef object write(self, Py_ssize_t most)
