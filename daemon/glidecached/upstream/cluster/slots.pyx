"""Hash slots (see slots.pyi)."""

from libc.stdint cimport uint8_t, uint16_t
from libc.string cimport memchr

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE

SLOTS = 16_384

cdef enum:
    SLOT_BITS = 16_383
    POLYNOMIAL = 0x1021

# What each byte does to a checksum that it is shifted into.
cdef uint16_t effects[256]


cdef uint16_t effect_of(int byte) noexcept:
    cdef int checksum = byte << 8
    for _ in range(8):
        checksum = checksum << 1 ^ (POLYNOMIAL if checksum & 0x8000 else 0)
    return <uint16_t>checksum


for _byte in range(256):
    effects[_byte] = effect_of(_byte)


cpdef int key_slot(bytes key) except -1:
    if key is None:
        raise TypeError("a key is NoneType; expected bytes")
    cdef const uint8_t *at = <const uint8_t *>PyBytes_AS_STRING(key)
    cdef const uint8_t *end = at + PyBytes_GET_SIZE(key)
    cdef const uint8_t *first = <const uint8_t *>memchr(at, 123, end - at)
    cdef const uint8_t *last
    cdef uint16_t checksum = 0
    if first != NULL:
        last = <const uint8_t *>memchr(first, 125, end - first)
        if last != NULL and last > first + 1:
            at = first + 1
            end = last
    while at < end:
        checksum = <uint16_t>(checksum << 8 ^ effects[checksum >> 8 ^ at[0]])
        at += 1
    return checksum & SLOT_BITS
