# A digest of a payload, by which a refresh shows whether the value has changed.
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE

from glidecache_shared.pool.layout cimport GPOOL_KIND_HASH, GPOOL_KIND_SET, GPOOL_KIND_STRING, gpool_sum


cdef inline uint64_t digest_of(uint32_t kind, bytes payload) noexcept:
    """Return a digest of a payload, never 0: the same whatever the order of a hash's fields or a set's members."""
    cdef const uint8_t *at = <const uint8_t *>PyBytes_AS_STRING(payload)
    cdef uint64_t length = PyBytes_GET_SIZE(payload)
    cdef uint64_t total = 0, field = 0
    cdef uint32_t count, size, index
    cdef uint32_t lengths = 0
    cdef const uint8_t *part
    if kind == GPOOL_KIND_STRING or length < 4:
        return gpool_sum(at, length, 0) or 1
    memcpy(&count, at, 4)
    lengths = count * (2 if kind == GPOOL_KIND_HASH else 1)
    part = at + 4 + <uint64_t>lengths * 4
    for index in range(lengths):
        memcpy(&size, at + 4 + <uint64_t>index * 4, 4)
        if kind == GPOOL_KIND_SET:
            total += gpool_sum(part, size, count)
        elif index % 2 == 0:
            field = gpool_sum(part, size, count)
        else:
            total += gpool_sum(part, size, field)
        part += size
    return total or 1
