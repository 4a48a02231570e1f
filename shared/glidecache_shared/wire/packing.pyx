"""msgpack, as far as nearly every message needs it; rare cases are left to the library (see packing.pyi).

A message is gone through twice: first for its length, then for its bytes, straight into the returned object. Only
exact types are taken, so that no Python code runs in between and nothing can have changed.
"""

from libc.stdint cimport INT8_MIN, INT16_MIN, INT32_MIN, UINT8_MAX, UINT16_MAX, UINT32_MAX, int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_Clear
from cpython.list cimport PyList_New, PyList_SET_ITEM
from cpython.ref cimport Py_INCREF
from cpython.sequence cimport PySequence_Fast_GET_ITEM, PySequence_Fast_GET_SIZE

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) noexcept
    object PyUnicode_DecodeUTF8(const char *text, Py_ssize_t size, const char *errors)
    int64_t PyLong_AsLongLongAndOverflow(object number, int *overflow) except? -1
    Py_ssize_t PY_SSIZE_T_MAX

cdef extern from "<endian.h>" nogil:
    uint64_t be64toh(uint64_t number)

cdef enum:
    # Deeper nesting is left to msgpack, which has a bound of its own.
    MOST_NESTED = 16
    LEFT_TO_MSGPACK = -1
    # The limit for a request: the maps of an ATTACH have a few keys. Numbers with one hash make a dict slow.
    MOST_PAIRS = 64
    # The limit for a reply that is packed in one go: a millisecond at the most.
    OBJECTS_AT_ONCE = 16_384

    FIX_MAP = 0x80
    FIX_ARRAY = 0x90
    FIX_STR = 0xA0
    NIL = 0xC0
    FALSE = 0xC2
    TRUE = 0xC3
    BIN = 0xC4      # of an 8-bit length; the next two codes are those of 16 and of 32 bits
    UINT = 0xCC     # of 8 bits; then 16, 32, 64
    INT = 0xD0      # of 8 bits; then 16, 32, 64
    STR = 0xD9      # as BIN
    ARRAY = 0xDC    # of a 16-bit length; then 32
    MAP = 0xDE      # as ARRAY
    NEGATIVE_FIX_INT = 0xE0

UNREADABLE = object()


class LeftToMsgpackError(Exception):
    """A message that is not packed or read here; the library may well be able to."""


def pack(message):
    cdef Py_ssize_t left = PY_SSIZE_T_MAX
    cdef Py_ssize_t size = size_of(message, 0, &left)
    if size == LEFT_TO_MSGPACK:
        raise LeftToMsgpackError
    cdef bytes packed = PyBytes_FromStringAndSize(NULL, size)
    put(<uint8_t *>PyBytes_AS_STRING(packed), message)
    return packed


def unpack(frame):
    cdef Py_buffer view
    PyObject_GetBuffer(frame, &view, PyBUF_SIMPLE)
    try:
        value = unpack_from(<const uint8_t *>view.buf, view.len)
    finally:
        PyBuffer_Release(&view)
    if value is UNREADABLE:
        raise LeftToMsgpackError
    return value


cdef Py_ssize_t reply_size(int64_t request_id, int64_t status, object body) except -2:
    """Return the length of `(request_id, status, body)`; -1 if it needs a `Packer`."""
    cdef Py_ssize_t left = OBJECTS_AT_ONCE
    cdef Py_ssize_t size = size_of(body, 1, &left)
    return -1 if size == LEFT_TO_MSGPACK else 1 + int_size(request_id) + int_size(status) + size


cdef int put_reply(uint8_t *at, int64_t request_id, int64_t status, object body) except -1:
    """Write what `reply_size` has measured."""
    at = put_container(at, FIX_ARRAY, ARRAY, 3)
    put(put_int(put_int(at, request_id), status), body)
    return 0


cdef bytes pack_request(
    int64_t operation, int64_t request_id, int64_t instance_id, int64_t deadline_ns, int64_t session_id, tuple body):
    """Pack a request with its fields, without making a tuple of all; return None if it needs a `Packer`."""
    cdef int64_t[5] fields = [operation, request_id, instance_id, deadline_ns, session_id]
    cdef Py_ssize_t left = PY_SSIZE_T_MAX
    cdef Py_ssize_t size, part
    cdef int index
    cdef bytes packed
    cdef uint8_t *at
    size = container_header_size(5 + len(body))
    for index in range(5):
        size += int_size(fields[index])
    for element in body:
        part = size_of(element, 1, &left)
        if part == LEFT_TO_MSGPACK:
            return None
        size += part
    packed = PyBytes_FromStringAndSize(NULL, size)
    at = put_container(<uint8_t *>PyBytes_AS_STRING(packed), FIX_ARRAY, ARRAY, 5 + len(body))
    for index in range(5):
        at = put_int(at, fields[index])
    for element in body:
        at = put(at, element)
    return packed


cdef object unpack_from(const uint8_t *message, Py_ssize_t length):
    """Return the one object that these bytes are, or `UNREADABLE`."""
    cdef Span span
    span.at = message
    span.end = message + length
    span.most_pairs = UINT32_MAX
    span.objects = 0
    value = unpack_object(&span, 0)
    return value if span.at == span.end else UNREADABLE


cdef bint read_header(const uint8_t *message, Py_ssize_t length, Header *header) noexcept nogil:
    """Read an array's length and its first four elements, if these are integers of 64 signed bits.

    If not, `body_fields` says how many of them are.
    """
    cdef Span span
    cdef uint64_t count
    cdef int index
    span.at = message
    span.end = message + length
    header.body_fields = 0
    if not read_array_header(&span, &count) or count < 4:
        return False
    for index in range(4):
        if not read_signed(&span, &header.fields[index]):
            return False
        header.body_fields += 1
    header.body_bytes = span.at - message
    header.body_fields = <Py_ssize_t>(count - 4)
    return True


cdef int64_t peek_signed(const uint8_t *message, Py_ssize_t length, int64_t otherwise) noexcept nogil:
    """Return the integer with which these bytes begin, or `otherwise`."""
    cdef Span span
    cdef int64_t number
    span.at = message
    span.end = message + length
    return number if read_signed(&span, &number) else otherwise


cdef int64_t reply_id(bytes message):
    """Return the request id with which a packed reply begins."""
    cdef Span span
    cdef uint64_t count
    cdef int64_t number = 0
    span.at = <const uint8_t *>PyBytes_AS_STRING(message)
    span.end = span.at + PyBytes_GET_SIZE(message)
    if read_array_header(&span, &count):
        read_signed(&span, &number)
    return number


cdef list unpack_command(const uint8_t *message, Py_ssize_t length, int64_t *session_id, Py_ssize_t *objects):
    """Return the second of exactly two values, a list, of which the first is an integer; None if not so.

    Set `objects` to the number of objects that all of it is.
    """
    cdef Span span
    cdef uint64_t count
    span.at = message
    span.end = message + length
    span.most_pairs = MOST_PAIRS
    span.objects = 2
    if not read_signed(&span, session_id) or not read_array_header(&span, &count):
        return None
    values = unpack_array(&span, count, 1)
    objects[0] = span.objects + 1
    return values if span.at == span.end else None


cdef bytes unpack_read(const uint8_t *message, Py_ssize_t length, int64_t *session_id, int64_t *kind):
    """Return the third value, a byte string, of exactly three, of which the others are integers; None if not so."""
    cdef Span span
    cdef uint64_t size
    cdef uint8_t code
    span.at = message
    span.end = message + length
    if not read_signed(&span, session_id) or not read_signed(&span, kind) or not has(&span, 1):
        return None
    code = span.at[0]
    span.at += 1
    if not BIN <= code < BIN + 3 or not read_number(&span, 1 << (code - BIN), &size):
        return None
    if size != <uint64_t>(span.end - span.at):
        return None
    return PyBytes_FromStringAndSize(<const char *>span.at, <Py_ssize_t>size)


cdef object unpack_body(const uint8_t *message, Py_ssize_t length, Py_ssize_t count, Py_ssize_t *objects):
    """Return this many values from the bytes, as a list; `UNREADABLE` for values that no request has.

    Set `objects` to the number of objects that they are, the list included.
    """
    cdef Span span
    span.at = message
    span.end = message + length
    span.most_pairs = MOST_PAIRS
    span.objects = 0
    values = unpack_array(&span, count, 0)
    objects[0] = span.objects + 1
    return values if span.at == span.end else UNREADABLE


cdef inline bint read_array_header(Span *span, uint64_t *count) noexcept nogil:
    cdef uint8_t code
    if not has(span, 1):
        return False
    code = span.at[0]
    span.at += 1
    if FIX_ARRAY <= code < FIX_STR:
        count[0] = code & 0x0F
        return True
    return ARRAY <= code < ARRAY + 2 and read_number(span, 2 << (code - ARRAY), count)


cdef inline bint read_signed(Span *span, int64_t *number) noexcept nogil:
    cdef uint8_t code
    cdef uint64_t unsigned
    cdef int unused_bits
    if not has(span, 1):
        return False
    code = span.at[0]
    span.at += 1
    if code < FIX_MAP or code >= NEGATIVE_FIX_INT:
        number[0] = <signed char>code
        return True
    if UINT <= code < UINT + 4:
        if not read_number(span, 1 << (code - UINT), &unsigned) or unsigned >> 63:
            return False
        number[0] = <int64_t>unsigned
        return True
    if INT <= code < INT + 4:
        if not read_number(span, 1 << (code - INT), &unsigned):
            return False
        unused_bits = 64 - (8 << (code - INT))
        number[0] = <int64_t>(unsigned << unused_bits) >> unused_bits
        return True
    return False


# ---- how long it will be

cdef inline Py_ssize_t bin_header_size(Py_ssize_t length) noexcept nogil:
    return 2 if length <= UINT8_MAX else 3 if length <= UINT16_MAX else 5


cdef inline Py_ssize_t container_header_size(Py_ssize_t count) noexcept nogil:
    return 1 if count < 16 else 3 if count <= UINT16_MAX else 5


cdef inline Py_ssize_t int_size(int64_t number) noexcept nogil:
    if number >= 0:
        return 1 if number < 128 else 2 if number <= UINT8_MAX else 3 if number <= UINT16_MAX else (
            5 if number <= <int64_t>UINT32_MAX else 9)
    return 1 if number >= -32 else 2 if number >= INT8_MIN else 3 if number >= INT16_MIN else (
        5 if number >= INT32_MIN else 9)


cdef Py_ssize_t size_of(object value, int depth, Py_ssize_t *left) except -2:
    """Return how many bytes `put` will write, or LEFT_TO_MSGPACK; the latter also for more than `left` objects."""
    cdef Py_ssize_t size, index, part
    cdef int overflow = 0
    cdef int64_t number
    left[0] -= 1
    if left[0] < 0:
        return LEFT_TO_MSGPACK
    if type(value) is bytes:
        size = PyBytes_GET_SIZE(value)
        return bin_header_size(size) + size if size <= <Py_ssize_t>UINT32_MAX else LEFT_TO_MSGPACK
    if value is None or value is True or value is False:
        return 1
    if type(value) is int:
        number = PyLong_AsLongLongAndOverflow(value, &overflow)
        return LEFT_TO_MSGPACK if overflow else int_size(number)
    if type(value) is str:
        if PyUnicode_AsUTF8AndSize(value, &size) == NULL:
            PyErr_Clear()  # a lone surrogate: the library says so
            return LEFT_TO_MSGPACK
        if size > <Py_ssize_t>UINT32_MAX:
            return LEFT_TO_MSGPACK
        return (1 if size < 32 else bin_header_size(size)) + size
    if depth == MOST_NESTED:
        return LEFT_TO_MSGPACK
    if type(value) is list or type(value) is tuple:
        size = container_header_size(PySequence_Fast_GET_SIZE(value))
        for index in range(PySequence_Fast_GET_SIZE(value)):
            part = size_of(<object>PySequence_Fast_GET_ITEM(value, index), depth + 1, left)
            if part == LEFT_TO_MSGPACK:
                return LEFT_TO_MSGPACK
            size += part
        return size
    if type(value) is dict:
        size = container_header_size(len(<dict>value))
        for key, member in (<dict>value).items():
            part = size_of(key, depth + 1, left)
            if part == LEFT_TO_MSGPACK:
                return LEFT_TO_MSGPACK
            size += part
            part = size_of(member, depth + 1, left)
            if part == LEFT_TO_MSGPACK:
                return LEFT_TO_MSGPACK
            size += part
        return size
    return LEFT_TO_MSGPACK


# ---- its bytes

cdef inline uint8_t *put_big_endian(uint8_t *at, uint64_t number, int size) noexcept nogil:
    cdef int shift = 8 * size
    while shift:
        shift -= 8
        at[0] = <uint8_t>(number >> shift)
        at += 1
    return at


cdef inline uint8_t *put_sized(uint8_t *at, uint8_t code, Py_ssize_t length) noexcept nogil:
    """Write a header with a code for each width of the length: 8, 16, 32 bits."""
    cdef int width = 0 if length <= UINT8_MAX else 1 if length <= UINT16_MAX else 2
    at[0] = code + width
    return put_big_endian(at + 1, <uint64_t>length, 1 << width)


cdef inline uint8_t *put_container(uint8_t *at, uint8_t fix_code, uint8_t code, Py_ssize_t count) noexcept nogil:
    if count < 16:
        at[0] = fix_code | <uint8_t>count
        return at + 1
    if count <= UINT16_MAX:
        at[0] = code
        return put_big_endian(at + 1, <uint64_t>count, 2)
    at[0] = code + 1
    return put_big_endian(at + 1, <uint64_t>count, 4)


cdef inline uint8_t *put_int(uint8_t *at, int64_t number) noexcept nogil:
    cdef Py_ssize_t size = int_size(number) - 1
    if size == 0:
        at[0] = <uint8_t>number  # both fixed forms are the number's own lowest byte
        return at + 1
    at[0] = (UINT if number >= 0 else INT) + (0 if size == 1 else 1 if size == 2 else 2 if size == 4 else 3)
    return put_big_endian(at + 1, <uint64_t>number, <int>size)


cdef uint8_t *put(uint8_t *at, object value) except NULL:
    """Write a value that `size_of` has measured. Return the place of the next one."""
    cdef Py_ssize_t size, index
    cdef const char *text
    cdef int overflow = 0
    if type(value) is bytes:
        size = PyBytes_GET_SIZE(value)
        at = put_sized(at, BIN, size)
        memcpy(at, PyBytes_AS_STRING(value), size)
        return at + size
    if value is None:
        at[0] = NIL
        return at + 1
    if value is True or value is False:
        at[0] = TRUE if value is True else FALSE
        return at + 1
    if type(value) is int:
        return put_int(at, PyLong_AsLongLongAndOverflow(value, &overflow))
    if type(value) is str:
        text = PyUnicode_AsUTF8AndSize(value, &size)
        if size < 32:
            at[0] = FIX_STR | <uint8_t>size
            at += 1
        else:
            at = put_sized(at, STR, size)
        memcpy(at, text, size)
        return at + size
    if type(value) is dict:
        at = put_container(at, FIX_MAP, MAP, len(<dict>value))
        for key, member in (<dict>value).items():
            at = put(put(at, key), member)
        return at
    at = put_container(at, FIX_ARRAY, ARRAY, PySequence_Fast_GET_SIZE(value))
    for index in range(PySequence_Fast_GET_SIZE(value)):
        at = put(at, <object>PySequence_Fast_GET_ITEM(value, index))
    return at


# ---- and back

# The struct `Span` is in packing.pxd: `end` is NULL once something was found that is not read here, and no position is
# equal to it.


cdef object give_up(Span *span):
    span.end = NULL
    return None


cdef inline bint has(Span *span, uint64_t size) noexcept nogil:
    return span.end != NULL and size <= <uint64_t>(span.end - span.at)


cdef inline bint read_number(Span *span, int size, uint64_t *number) noexcept nogil:
    """Return a big-endian number of so many bytes."""
    cdef int index
    cdef uint64_t whole
    if not has(span, size):
        return False
    if size == 8:
        memcpy(&whole, span.at, 8)
        number[0] = be64toh(whole)
        span.at += 8
        return True
    number[0] = 0
    for index in range(size):
        number[0] = number[0] << 8 | span.at[0]
        span.at += 1
    return True


cdef object unpack_object(Span *span, int depth):
    """Return the next object. A wrong or rare one ends the span."""
    cdef uint64_t number
    cdef uint8_t code
    if not has(span, 1):
        return give_up(span)
    code = span.at[0]
    span.at += 1
    span.objects += 1
    if code < FIX_MAP or code >= NEGATIVE_FIX_INT:
        return <int64_t><signed char>code
    if code < FIX_ARRAY:
        return unpack_map(span, code & 0x0F, depth)
    if code < FIX_STR:
        return unpack_array(span, code & 0x0F, depth)
    if code < NIL:
        return unpack_str(span, code & 0x1F)
    if code == NIL:
        return None
    if code == FALSE or code == TRUE:
        return code == TRUE
    if BIN <= code < BIN + 3:
        return unpack_bin(span, number) if read_number(span, 1 << (code - BIN), &number) else give_up(span)
    if UINT <= code < UINT + 4:
        return number if read_number(span, 1 << (code - UINT), &number) else give_up(span)
    if INT <= code < INT + 4:
        return unpack_int(span, 1 << (code - INT))
    if STR <= code < STR + 3:
        return unpack_str(span, number) if read_number(span, 1 << (code - STR), &number) else give_up(span)
    if ARRAY <= code < ARRAY + 2:
        return unpack_array(span, number, depth) if read_number(span, 2 << (code - ARRAY), &number) else give_up(span)
    if MAP <= code < MAP + 2:
        return unpack_map(span, number, depth) if read_number(span, 2 << (code - MAP), &number) else give_up(span)
    return give_up(span)  # floats, extensions


cdef object unpack_int(Span *span, int size):
    cdef uint64_t number
    if not read_number(span, size, &number):
        return give_up(span)
    cdef int unused_bits = 64 - 8 * size
    return <int64_t>(number << unused_bits) >> unused_bits


cdef object unpack_bin(Span *span, uint64_t size):
    if not has(span, size):
        return give_up(span)
    value = PyBytes_FromStringAndSize(<const char *>span.at, <Py_ssize_t>size)
    span.at += size
    return value


cdef object unpack_str(Span *span, uint64_t size):
    if not has(span, size):
        return give_up(span)
    try:
        value = PyUnicode_DecodeUTF8(<const char *>span.at, <Py_ssize_t>size, NULL)
    except UnicodeDecodeError:
        return give_up(span)
    span.at += size
    return value


cdef object unpack_array(Span *span, uint64_t count, int depth):
    # Each element takes a byte at least: no list is made by a length that cannot be true.
    if depth == MOST_NESTED or not has(span, count):
        return give_up(span)
    cdef list values = PyList_New(<Py_ssize_t>count)
    cdef Py_ssize_t index
    for index in range(<Py_ssize_t>count):
        value = unpack_object(span, depth + 1)
        if span.end == NULL:
            return None
        Py_INCREF(value)
        PyList_SET_ITEM(values, index, value)
    return values


cdef object unpack_map(Span *span, uint64_t count, int depth):
    if depth == MOST_NESTED or not has(span, count) or count > span.most_pairs:
        return give_up(span)
    cdef dict values = {}
    cdef uint64_t index
    for index in range(count):
        key = unpack_object(span, depth + 1)
        if not isinstance(key, (bytes, str, int)):
            return give_up(span)
        values[key] = unpack_object(span, depth + 1)
        if span.end == NULL:
            return None
    return values
