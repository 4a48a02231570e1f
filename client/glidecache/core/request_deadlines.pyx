"""The deadlines of a client's requests (see request_deadlines.pyi)."""

from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memcpy

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE

cdef enum:
    NS_PER_MS = 1_000_000
    # msgpack's unsigned integers of 8 bits; then 16, 32, 64. Smaller ones are that byte alone.
    UINT_8 = 0xCC
    UINT_64 = 0xCF
    UINT_64_BYTES = 9
    # An array's header of one byte, and an operation of one byte.
    BEFORE_INTEGERS = 2


cpdef int64_t reply_deadline_ns(int64_t deadline_ns, int64_t now_ns) noexcept:
    return deadline_ns + 25 * NS_PER_MS + max(0, deadline_ns - now_ns) // 50


cpdef bytes with_deadline(bytes message, int64_t deadline_ns):
    cdef const uint8_t *old = <const uint8_t *>PyBytes_AS_STRING(message)
    cdef Py_ssize_t start = BEFORE_INTEGERS
    cdef Py_ssize_t end, index
    cdef bytes changed
    cdef uint8_t *new
    start += integer_bytes(old[start])  # the request's id
    start += integer_bytes(old[start])  # the instance's
    end = start + integer_bytes(old[start])
    changed = PyBytes_FromStringAndSize(NULL, PyBytes_GET_SIZE(message) - (end - start) + UINT_64_BYTES)
    new = <uint8_t *>PyBytes_AS_STRING(changed)
    memcpy(new, old, start)
    new[start] = UINT_64
    for index in range(1, UINT_64_BYTES):
        new[start + index] = <uint8_t>(deadline_ns >> (8 * (UINT_64_BYTES - 1 - index)))
    memcpy(new + start + UINT_64_BYTES, old + end, PyBytes_GET_SIZE(message) - end)
    return changed


cdef inline Py_ssize_t integer_bytes(uint8_t code) noexcept:
    return 1 + (1 << (code - UINT_8)) if UINT_8 <= code <= UINT_64 else 1
