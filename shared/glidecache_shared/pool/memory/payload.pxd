from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef bytes encode(uint32_t kind, object value)
cdef object decode(uint32_t kind, const uint8_t *payload, uint64_t length)
