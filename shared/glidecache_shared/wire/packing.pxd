from libc.stdint cimport int64_t, uint8_t, uint64_t

# The result of `unpack_from` and `unpack_body` for a message that they do not read: compare by identity.
cdef object UNREADABLE

cdef struct Span:
    const uint8_t *at
    # NULL once something was found that is not read here: no position is equal to it.
    const uint8_t *end
    # The most pairs that a map may have.
    uint64_t most_pairs
    # The number of objects read.
    Py_ssize_t objects

# The first four elements of a request, the position and the number of its other elements.
cdef struct Header:
    int64_t[4] fields
    Py_ssize_t body_bytes
    Py_ssize_t body_fields

cdef Py_ssize_t reply_size(int64_t request_id, int64_t status, object body) except -2
cdef int put_reply(uint8_t *at, int64_t request_id, int64_t status, object body) except -1
cdef bytes pack_request(
    int64_t operation, int64_t request_id, int64_t instance_id, int64_t deadline_ns, int64_t session_id, tuple body)
cdef object unpack_from(const uint8_t *message, Py_ssize_t length)
cdef bint read_header(const uint8_t *message, Py_ssize_t length, Header *header) noexcept nogil
cdef int64_t peek_signed(const uint8_t *message, Py_ssize_t length, int64_t otherwise) noexcept nogil
cdef int64_t reply_id(bytes message)
cdef list unpack_command(const uint8_t *message, Py_ssize_t length, int64_t *session_id, Py_ssize_t *objects)
cdef bytes unpack_read(const uint8_t *message, Py_ssize_t length, int64_t *session_id, int64_t *kind)
cdef object unpack_body(const uint8_t *message, Py_ssize_t length, Py_ssize_t count, Py_ssize_t *objects)
cdef object unpack_object(Span *span, int depth)
