from libc.stdint cimport int64_t, uint8_t, uint64_t

from glidecache_shared.wire.packing cimport Header, Span

cdef enum:
    DEEPEST = 17

# The first bytes of msgpack's values.
cdef enum:
    FIX_MAP = 0x80
    FIX_ARRAY = 0x90
    FIX_STR = 0xA0
    NIL = 0xC0
    NEVER_USED = 0xC1
    FALSE = 0xC2
    TRUE = 0xC3
    BIN = 0xC4
    EXT = 0xC7
    FLOAT_32 = 0xCA
    FLOAT_64 = 0xCB
    UINT = 0xCC
    INT = 0xD0
    FIX_EXT = 0xD4
    STR = 0xD9
    ARRAY = 0xDC
    MAP = 0xDE
    NEGATIVE_FIX_INT = 0xE0


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
