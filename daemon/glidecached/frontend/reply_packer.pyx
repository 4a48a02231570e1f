"""Replies of any size, packed in slices (see reply_packer.pyi)."""

from libc.stdint cimport INT32_MIN, UINT32_MAX, int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE

from glidecached.frontend.messages cimport (
    ARRAY, BIN, EXT, FALSE, FIX_ARRAY, FIX_MAP, FIX_STR, FLOAT_64, INT, MAP, NIL, STR, TRUE, UINT)

from glidecache_shared.protocol import EXT_BIG_INTEGER, EXT_ERROR, EXT_SET, ReplyError


cdef inline Py_ssize_t int_size(int64_t number) noexcept nogil:
    if number >= 0:
        return 1 if number < 0x80 else 2 if number < 0x100 else 3 if number < 0x10000 else (
            5 if number <= <int64_t>UINT32_MAX else 9)
    return 1 if number >= -0x20 else 2 if number >= -0x80 else 3 if number >= -0x8000 else (
        5 if number >= INT32_MIN else 9)


cdef inline uint8_t *put_number(uint8_t *at, uint64_t number, int size) noexcept nogil:
    cdef int shift = 8 * size
    while shift:
        shift -= 8
        at[0] = <uint8_t>(number >> shift)
        at += 1
    return at


cdef inline uint8_t *put_int(uint8_t *at, int64_t number) noexcept nogil:
    cdef Py_ssize_t size = int_size(number) - 1
    if size == 0:
        at[0] = <uint8_t>number
        return at + 1
    at[0] = (UINT if number >= 0 else INT) + (0 if size == 1 else 1 if size == 2 else 2 if size == 4 else 3)
    return put_number(at + 1, <uint64_t>number, <int>size)


cdef inline Py_ssize_t sized_bytes(Py_ssize_t size) noexcept nogil:
    return 2 if size < 0x100 else 3 if size < 0x10000 else 5


cdef uint8_t *put_sized(uint8_t *at, uint8_t code, Py_ssize_t size) noexcept nogil:
    cdef int width = 0 if size < 0x100 else 1 if size < 0x10000 else 2
    at[0] = code + width
    return put_number(at + 1, <uint64_t>size, 1 << width)


cdef inline Py_ssize_t container_bytes(Py_ssize_t count) noexcept nogil:
    return 1 if count < 16 else 3 if count < 0x10000 else 5


cdef uint8_t *put_container(uint8_t *at, uint8_t fix_code, uint8_t code, Py_ssize_t count) noexcept nogil:
    if count < 16:
        at[0] = fix_code | <uint8_t>count
        return at + 1
    at[0] = code + (count >= 0x10000)
    return put_number(at + 1, <uint64_t>count, 4 if count >= 0x10000 else 2)


cdef inline int fixed_extension(Py_ssize_t size) noexcept nogil:
    """Return the code of an extension of exactly this many bytes, or 0 if there is none."""
    return 0xD4 if size == 1 else 0xD5 if size == 2 else 0xD6 if size == 4 else 0xD7 if size == 8 else (
        0xD8 if size == 16 else 0)


cdef Py_ssize_t extension_bytes(Py_ssize_t size) noexcept nogil:
    return 2 if fixed_extension(size) else sized_bytes(size) + 1


cdef uint8_t *put_extension(uint8_t *at, int code, Py_ssize_t size) noexcept nogil:
    if fixed_extension(size):
        at[0] = <uint8_t>fixed_extension(size)
        at += 1
    else:
        at = put_sized(at, EXT, size)
    at[0] = <uint8_t>code
    return at + 1


cdef extern from *:
    """
    static inline uint64_t bits_of(double number) { union { double number; uint64_t bits; } both; both.number = number; return both.bits; }
    """
    uint64_t bits_of(double number) noexcept nogil

cdef int SET_CODE = EXT_SET
cdef int ERROR_CODE = EXT_ERROR
cdef int BIG_CODE = EXT_BIG_INTEGER
cdef object LEAST_INT = -(1 << 63)
cdef object MOST_INT = (1 << 63) - 1
cdef object MOST_UINT = (1 << 64) - 1


def pairs_of(dict values):
    """Return keys and values, one after another."""
    for key, value in values.items():
        yield key
        yield value


cdef bint is_container(object value) noexcept:
    return (
        type(value) is list or type(value) is tuple or type(value) is dict or type(value) is set
        or type(value) is frozenset)


cdef bytes plain_text(object value):
    """Return the text in the extension of an error, or of a large integer."""
    if isinstance(value, BaseException):
        return str(value).encode("utf-8", "surrogateescape")
    return str(value).encode()


cdef class Packer:
    def __init__(self, int64_t request_id, int64_t status, object value):
        self.value = value
        self.request_id = request_id
        self.open_sets = []
        self.set_bytes = []
        self.size_bytes = 1 + int_size(request_id) + int_size(status)
        self.iterators = [iter((value,))]

    cpdef object measure(self, Py_ssize_t most):
        """Measure a part of the message. Return whether its length is known."""
        cdef Py_ssize_t size
        while most > 0:
            if not self.iterators:
                self.measured = True
                return True
            try:
                value = next(self.iterators[-1])
            except StopIteration:
                self.iterators.pop()
                if self.open_sets and self.open_sets[-1][0] == len(self.iterators):
                    _, place, begin = self.open_sets.pop()
                    size = self.size_bytes - <Py_ssize_t>begin
                    self.set_bytes[place] = size
                    self.size_bytes += extension_bytes(size)
                continue
            most -= 1
            if is_container(value):
                if len(self.iterators) >= 512:
                    raise ValueError("it is nested more than 512 deep")
                if type(value) is set or type(value) is frozenset:
                    self.open_sets.append((len(self.iterators), len(self.set_bytes), self.size_bytes))
                    self.set_bytes.append(0)
                self.size_bytes += container_bytes(len(value))
                self.iterators.append(pairs_of(value) if type(value) is dict else iter(value))
            else:
                self.size_bytes += size_of_leaf(value)
        return False

    cpdef object write(self, Py_ssize_t most):
        """Write a part of what was measured. Return the message once it is complete, else None."""
        cdef uint8_t *at
        if self.packed is None:
            if self.size_bytes > 0xFFFFFFFF:
                raise ValueError(f"it would be {self.size_bytes} bytes long")
            self.packed = PyBytes_FromStringAndSize(NULL, self.size_bytes)
            at = put_container(<uint8_t *>PyBytes_AS_STRING(self.packed), FIX_ARRAY, ARRAY, 3)
            at = put_int(put_int(at, self.request_id), 0)
            self.at = at
            self.iterators = [iter((self.value,))]
        while most > 0:
            if not self.iterators:
                if self.at - <uint8_t *>PyBytes_AS_STRING(self.packed) != self.size_bytes:
                    raise ValueError("it has changed meanwhile")
                return self.packed
            try:
                value = next(self.iterators[-1])
            except StopIteration:
                self.iterators.pop()
                continue
            most -= 1
            if is_container(value):
                if type(value) is set or type(value) is frozenset:
                    self.at = put_extension(self.at, SET_CODE, self.set_bytes[self.sets_put])
                    self.sets_put += 1
                if type(value) is dict:
                    self.at = put_container(self.at, FIX_MAP, MAP, len(value))
                    self.iterators.append(pairs_of(value))
                else:
                    self.at = put_container(self.at, FIX_ARRAY, ARRAY, len(value))
                    self.iterators.append(iter(value))
            else:
                self.at = put_leaf(self.at, value)
                if type(value) is bytes:
                    most -= PyBytes_GET_SIZE(value) >> 10
        return None


cdef Py_ssize_t size_of_leaf(object value) except -1:
    cdef Py_ssize_t size
    if type(value) is bytes:
        size = PyBytes_GET_SIZE(value)
        if size > 0xFFFFFFFF:
            raise ValueError(f"a string of {size} bytes")
        return sized_bytes(size) + size
    if value is None or value is True or value is False:
        return 1
    if isinstance(value, int):
        if LEAST_INT <= value <= MOST_INT:
            return int_size(value)
        if 0 < value <= MOST_UINT:
            return 9
        size = len(plain_text(value))
        return extension_bytes(size) + size
    if type(value) is float:
        return 9
    if type(value) is str:
        size = len((<str>value).encode())
        return (1 if size < 32 else sized_bytes(size)) + size
    if isinstance(value, ReplyError):
        size = len(plain_text(value))
        return extension_bytes(size) + size
    raise TypeError(f"cannot be sent: {type(value).__name__}")


cdef uint8_t *put_leaf(uint8_t *at, object value) except NULL:
    cdef Py_ssize_t size
    cdef bytes text
    if type(value) is bytes:
        text = value
        at = put_sized(at, BIN, PyBytes_GET_SIZE(text))
    elif value is None:
        at[0] = NIL
        return at + 1
    elif value is True or value is False:
        at[0] = TRUE if value is True else FALSE
        return at + 1
    elif isinstance(value, int):
        if LEAST_INT <= value <= MOST_INT:
            return put_int(at, value)
        if 0 < value <= MOST_UINT:
            at[0] = UINT + 3
            return put_number(at + 1, <uint64_t>value, 8)
        text = plain_text(value)
        at = put_extension(at, BIG_CODE, PyBytes_GET_SIZE(text))
    elif type(value) is float:
        at[0] = FLOAT_64
        return put_number(at + 1, bits_of(value), 8)
    elif type(value) is str:
        text = (<str>value).encode()
        size = PyBytes_GET_SIZE(text)
        if size < 32:
            at[0] = FIX_STR | <uint8_t>size
            at += 1
        else:
            at = put_sized(at, STR, size)
    else:
        text = plain_text(value)
        at = put_extension(at, ERROR_CODE, PyBytes_GET_SIZE(text))
    size = PyBytes_GET_SIZE(text)
    memcpy(at, PyBytes_AS_STRING(text), size)
    return at + size
