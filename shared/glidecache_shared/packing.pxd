from libc.stdint cimport int64_t, uint8_t

# What `unpack_from` returns for a message that is msgpack's to read, or to refuse: compare by identity.
cdef object UNREADABLE

cdef bytes pack_reply(int64_t request_id, int64_t status, object body)
cdef object unpack_from(const uint8_t *message, Py_ssize_t length)
