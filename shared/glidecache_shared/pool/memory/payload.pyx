"""Values as flat payloads, and back (architecture decision 6).

A string is its bytes. A hash is `count`, then the 2 × count lengths of field, value, field, value …, then these
bytes without gaps. A set is `count`, its members' lengths, its members. Numbers are 32-bit, in the host's byte order.
The lengths are together so that decoding is one pass over two streams.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_SetItem
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from cpython.set cimport PySet_Add

from glidecache_shared.pool.layout cimport GPOOL_KIND_HASH, GPOOL_KIND_SET, GPOOL_KIND_STRING

cdef extern from *:
    # Cython's own name for it: CPython has none that is public.
    dict __Pyx_PyDict_NewPresized(Py_ssize_t count)


cdef enum:
    KEPT_NAMES = 256
    LONGEST_KEPT_NAME = 32

# Names of hash fields, as they were last decoded in this process: hashes of one kind have the same ones. A kept name
# needs no new object, and its hash is known. Used only with the GIL held.
cdef PyObject *kept_names[KEPT_NAMES]


cdef bytes encode(uint32_t kind, object value):
    """Return the payload of `value`. Raises `TypeError` for another type, `ValueError` for an unknown kind."""
    if kind == GPOOL_KIND_STRING:
        if not isinstance(value, bytes):
            raise TypeError(f"a string entry's value must be bytes, not {type(value).__name__}")
        return value
    if kind not in (GPOOL_KIND_HASH, GPOOL_KIND_SET):
        raise ValueError(f"unknown kind {kind}")
    if isinstance(value, (str, bytes, bytearray, memoryview)):
        raise TypeError(f"a hash or set entry's value must be a collection of bytes, not {type(value).__name__}")
    if kind == GPOOL_KIND_HASH:
        if hasattr(value, "items"):
            return encode_parts([part for item in value.items() for part in item], 2)
        if isinstance(value, (set, frozenset)):
            raise TypeError("a hash entry's value must be a mapping or a flat sequence of fields and values, not a set")
        return encode_parts(list(value), 2)
    if hasattr(value, "items"):
        raise TypeError("a set entry's value must be an iterable of members, not a mapping")
    return encode_parts(list(value), 1)


cdef bytes encode_parts(list parts, Py_ssize_t parts_per_member):
    cdef Py_ssize_t total = 0
    cdef Py_ssize_t count = len(parts)
    cdef bytes payload
    cdef uint8_t *at
    cdef uint32_t *numbers
    cdef object part
    cdef Py_ssize_t i = 0
    if count % parts_per_member:
        raise ValueError("a flat hash must have as many values as fields")
    for part in parts:
        if not isinstance(part, bytes):
            raise TypeError(f"fields, values and members must be bytes, not {type(part).__name__}")
        total += PyBytes_GET_SIZE(part)
    if count > 0xFFFFFFFF or total > 0xFFFFFFFF:
        raise ValueError("more than 4 GiB in one value")
    payload = PyBytes_FromStringAndSize(NULL, 4 * (1 + count) + total)
    # A bytes object's buffer is aligned for any basic type, so its front can be filled as 32-bit words.
    numbers = <uint32_t *>PyBytes_AS_STRING(payload)
    at = <uint8_t *>(numbers + 1 + count)
    numbers[0] = <uint32_t>(count // parts_per_member)
    for part in parts:
        numbers[1 + i] = <uint32_t>PyBytes_GET_SIZE(part)
        memcpy(at, PyBytes_AS_STRING(part), PyBytes_GET_SIZE(part))
        at += PyBytes_GET_SIZE(part)
        i += 1
    return payload


cdef object decode(uint32_t kind, const uint8_t *payload, uint64_t length):
    """Return a fresh object from a payload that does not change meanwhile; None if inconsistent (damage is a miss).

    `payload` must be aligned to 4 bytes unless `kind` is a string.
    """
    if kind == GPOOL_KIND_STRING:
        return PyBytes_FromStringAndSize(<const char *>payload, length)
    if kind == GPOOL_KIND_HASH:
        return decode_hash(payload, length)
    if kind == GPOOL_KIND_SET:
        return decode_set(payload, length)
    return None


cdef bint lengths_fit(const uint32_t *numbers, uint64_t parts, uint64_t length) noexcept nogil:
    """Return whether `parts` lengths are in the payload and add up to exactly the bytes behind them."""
    cdef uint64_t total = 4 * (1 + parts)
    cdef uint64_t i
    if total > length:
        return False
    for i in range(parts):
        total += numbers[1 + i]
    return total == length


cdef inline uint32_t place_of_name(const uint8_t *name, uint32_t length) noexcept nogil:
    """Return the place of a name of 1 to LONGEST_KEPT_NAME bytes, by its first and its last bytes."""
    cdef uint64_t first = 0
    cdef uint64_t last = 0
    if length >= 8:
        memcpy(&first, name, 8)
        memcpy(&last, name + length - 8, 8)
    elif length >= 4:
        memcpy(&first, name, 4)
        memcpy(&last, name + length - 4, 4)
    else:
        first = name[0] | <uint64_t>name[length // 2] << 8 | <uint64_t>name[length - 1] << 16
    return <uint32_t>(((first ^ (last << 7 | last >> 57)) + length) * <uint64_t>0x9E3779B97F4A7C15 >> 56)


cdef inline object field_name(const uint8_t *name, uint32_t length):
    """Return the name of a field: the kept one, if its place has it; else a new one, which is kept."""
    cdef PyObject **place
    cdef object fresh
    if length == 0 or length > LONGEST_KEPT_NAME:
        return PyBytes_FromStringAndSize(<const char *>name, length)
    place = &kept_names[place_of_name(name, length)]
    if (
        place[0] != NULL
        and PyBytes_GET_SIZE(<object>place[0]) == length
        and memcmp(PyBytes_AS_STRING(<object>place[0]), name, length) == 0
    ):
        return <object>place[0]
    fresh = PyBytes_FromStringAndSize(<const char *>name, length)
    Py_INCREF(fresh)
    Py_XDECREF(place[0])
    place[0] = <PyObject *>fresh
    return fresh


cdef object decode_hash(const uint8_t *payload, uint64_t length):
    cdef const uint32_t *numbers = <const uint32_t *>payload
    cdef const uint8_t *at
    cdef uint64_t i, count
    cdef object field, value
    cdef dict result
    if length < 4:
        return None
    count = numbers[0]
    if not lengths_fit(numbers, 2 * count, length):
        return None
    at = payload + 4 * (1 + 2 * count)
    result = __Pyx_PyDict_NewPresized(count)
    for i in range(count):
        field = field_name(at, numbers[1 + 2 * i])
        at += numbers[1 + 2 * i]
        value = PyBytes_FromStringAndSize(<const char *>at, numbers[2 + 2 * i])
        at += numbers[2 + 2 * i]
        PyDict_SetItem(result, field, value)
    return result


cdef object decode_set(const uint8_t *payload, uint64_t length):
    cdef const uint32_t *numbers = <const uint32_t *>payload
    cdef const uint8_t *at
    cdef uint64_t i, count
    cdef object member
    cdef set result
    if length < 4:
        return None
    count = numbers[0]
    if not lengths_fit(numbers, count, length):
        return None
    at = payload + 4 * (1 + count)
    result = set()
    for i in range(count):
        member = PyBytes_FromStringAndSize(<const char *>at, numbers[1 + i])
        at += numbers[1 + i]
        PySet_Add(result, member)
    return result
