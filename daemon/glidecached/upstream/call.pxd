from libc.stdint cimport int64_t

cdef enum:
    # Lanes beside those of the table of commands.
    BULK_LANE = 4
    PROBE_LANE = 5

cpdef bytes pack_command(object arguments)
cdef list command_pieces(object arguments)
cdef bytes packed_with_ttls(object arguments, bint asking)
cdef list pieces_with_ttls(object arguments, bint asking)
cdef bytes pack_key_command(bytes name, bytes key)


cdef class Call:
    cdef public int64_t deadline_ns
    cdef public bint repeatable
    cdef public object route
    cdef public int attempts
    cdef public int lane
    cdef public int way
    cdef public int64_t submitted_ns

    cpdef bytes pack(self)
    cpdef list pack_pieces(self)
    cpdef bint receive(self, object reply) except -1
    cpdef Py_ssize_t replies_left(self) except -1
    cpdef object restart(self)
    cpdef bint is_wanted(self, int64_t now_ns) except -1
    cpdef object abandon(self)
    cpdef object succeed(self, object reply)
    cpdef object fail(self, int code, str message)
    cpdef bint may_move(self) except -1
    cpdef object refusal(self, Py_ssize_t reply_bytes)
    cpdef list clients(self)
    cpdef object travel(self, int way)
    cpdef object divide(self, object pinned)


cdef class SingleCall(Call):
    cdef readonly object arguments
    cdef public bint asks_ttl


cdef class BatchCall(Call):
    cdef readonly object commands
    cdef readonly bint atomic
    cdef list replies
    cdef public list packed

    cdef object settle_transaction(self, list replies)
