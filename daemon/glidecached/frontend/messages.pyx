"""Messages: their headers and bodies, large ones in slices (see messages.pyi)."""

from libc.stdint cimport INT32_MIN, UINT32_MAX, int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_New, PyList_SET_ITEM
from cpython.ref cimport Py_INCREF

from glidecache_shared.wire.packing cimport (
    UNREADABLE, Span, peek_signed, put_reply, read_header, reply_size, unpack_object, unpack_body, unpack_command, unpack_from, unpack_read)

from glidecache_shared.wire.zmtp cimport frame_header_bytes, put_frame_header

from glidecache_shared.protocol import EXT_BIG_INTEGER, EXT_ERROR, EXT_SET, ReplyError

cdef extern from "Python.h":
    void PyObject_GC_UnTrack(object container) noexcept

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

    # The body of a read: a session's number, a kind (of `protocol.KIND_NAMES`, one after another), a key.
    READ_FIELDS = 3
    # That of a command without a route: a session's number, the arguments.
    COMMAND_FIELDS = 2
    FIRST_KIND = 1
    LAST_KIND = 3

    MOST_NESTED = 16
    # Bytes copied in one step: a fraction of a millisecond, including the kernel's page faults.
    COPY_BYTES = 262_144


cdef bytes reply_frame(int64_t request_id, int64_t status, object body):
    """Return the frame of the message `(request_id, status, body)`; None if it needs a `Packer`."""
    cdef Py_ssize_t size = reply_size(request_id, status, body)
    cdef bytes frame
    if size < 0:
        return None
    frame = PyBytes_FromStringAndSize(NULL, frame_header_bytes(size) + size)
    put_reply(put_frame_header(<uint8_t *>PyBytes_AS_STRING(frame), size), request_id, status, body)
    return frame


cdef class MessageHeader:
    cdef bint read(self, bytes message) noexcept:
        cdef Header *header = &self.header
        if read_header(<const uint8_t *>PyBytes_AS_STRING(message), PyBytes_GET_SIZE(message), header):
            self.operation = header.fields[0]
            self.request_id = header.fields[1]
            self.instance_id = header.fields[2]
            self.deadline_ns = header.fields[3]
            self.body_bytes = header.body_bytes
            self.body_fields = header.body_fields
            return self.request_id > 0
        # In this case, the number of fields that are as they should be.
        self.request_id = header.fields[1] if header.body_fields >= 2 else 0
        return False

    cdef bint unpack_read(self, bytes message) except -1:
        cdef int64_t kind
        if self.body_fields != READ_FIELDS:
            return False
        self.key = unpack_read(
            <const uint8_t *>PyBytes_AS_STRING(message) + self.body_bytes,
            PyBytes_GET_SIZE(message) - self.body_bytes, &self.session_id, &kind)
        if self.key is None or kind < FIRST_KIND or kind > LAST_KIND:
            return False
        self.kind = <int>kind
        self.objects = 1 + READ_FIELDS
        return True

    cdef bint unpack_command(self, bytes message) except -1:
        if self.body_fields != COMMAND_FIELDS:
            return False
        self.arguments = unpack_command(
            <const uint8_t *>PyBytes_AS_STRING(message) + self.body_bytes,
            PyBytes_GET_SIZE(message) - self.body_bytes, &self.session_id, &self.objects)
        return self.arguments is not None

    cdef list take_arguments(self):
        arguments, self.arguments = self.arguments, None
        return arguments

    cdef object unpack_body(self, bytes message):
        body = unpack_body(
            <const uint8_t *>PyBytes_AS_STRING(message) + self.body_bytes,
            PyBytes_GET_SIZE(message) - self.body_bytes, self.body_fields, &self.objects)
        return None if body is UNREADABLE else body

    cdef object unpack_whole(self, bytes message):
        value = unpack_from(<const uint8_t *>PyBytes_AS_STRING(message), PyBytes_GET_SIZE(message))
        return None if value is UNREADABLE else value

    cdef int64_t peek_session_id(self, bytes message) noexcept:
        return peek_signed(
            <const uint8_t *>PyBytes_AS_STRING(message) + self.body_bytes,
            PyBytes_GET_SIZE(message) - self.body_bytes, -1)

    cdef str fault_of(self, bytes message):
        cdef Scanner scanner = Scanner(message, self.body_bytes, self.body_fields, PyBytes_GET_SIZE(message))
        while not scanner.step(PyBytes_GET_SIZE(message)):
            pass
        return scanner.fault or "a text in it is not UTF-8, or a map in it has too many keys"


cdef class Scanner:
    def __init__(self, bytes frame not None, Py_ssize_t begin, Py_ssize_t count, Py_ssize_t most_objects):
        self.frame = frame
        self.span.at = <const uint8_t *>PyBytes_AS_STRING(frame) + begin
        self.span.end = <const uint8_t *>PyBytes_AS_STRING(frame) + PyBytes_GET_SIZE(frame)
        self.most_objects = most_objects
        self.left[0] = count
        self.objects = 1

    cpdef bint step(self, Py_ssize_t most) except -1:
        cdef uint8_t code
        while most > 0:
            while self.left[self.depth] == 0:
                if self.depth == 0:
                    if self.span.at != self.span.end:
                        return self.refuse("bytes follow behind the message")
                    return True
                self.depth -= 1
            if self.span.at >= self.span.end:
                return self.refuse("the message ends in the middle of a value")
            most -= 1
            self.left[self.depth] -= 1
            self.objects += 1
            if self.objects > self.most_objects:
                return self.refuse(f"it consists of more than {self.most_objects} values; send it in several parts")
            code = self.span.at[0]
            self.span.at += 1
            if code < FIX_MAP or code >= NEGATIVE_FIX_INT or code == NIL or code == FALSE or code == TRUE:
                continue
            if code < FIX_ARRAY or code >= MAP:
                return self.refuse("a map, where the protocol has none")
            if code < FIX_STR:
                if self.open_container(code & 0x0F):
                    return True
            elif code < NIL:
                if self.skip(code & 0x1F):
                    return True
            elif BIN <= code < BIN + 3:
                if self.skip(self.number(1 << (code - BIN))):
                    return True
            elif STR <= code < STR + 3:
                if self.skip(self.number(1 << (code - STR))):
                    return True
            elif UINT <= code < UINT + 4:
                if self.skip(1 << (code - UINT)):
                    return True
            elif INT <= code < INT + 4:
                if self.skip(1 << (code - INT)):
                    return True
            elif ARRAY <= code < ARRAY + 2:
                if self.open_container(self.number(2 << (code - ARRAY))):
                    return True
            elif code == FLOAT_32 or code == FLOAT_64:
                return self.refuse("a floating-point number, where the protocol has none")
            elif code == NEVER_USED:
                return self.refuse("the byte 0xc1, which msgpack does not have")
            else:
                return self.refuse("an extension, where the protocol has none")
        return False

    cdef bint refuse(self, str fault) except -1:
        self.fault = fault
        return True

    cdef bint skip(self, uint64_t size) except -1:
        """Skip this many bytes. Return True when the message is refused."""
        if size > <uint64_t>(self.span.end - self.span.at):
            return self.refuse("the message ends in the middle of a value")
        self.span.at += size
        return False

    cdef bint open_container(self, uint64_t count) except -1:
        if self.depth + 1 >= MOST_NESTED:
            return self.refuse(f"it is nested more than {MOST_NESTED} deep")
        if count > <uint64_t>(self.span.end - self.span.at):
            return self.refuse("an array is announced longer than the message")
        self.depth += 1
        self.left[self.depth] = count
        return False

    cdef uint64_t number(self, int size) noexcept:
        """Return a length of this many bytes, or an impossible one where the message ends before."""
        cdef uint64_t number = 0
        cdef int index
        if size > self.span.end - self.span.at:
            return <uint64_t>-1
        for index in range(size):
            number = number << 8 | self.span.at[0]
            self.span.at += 1
        return number


cdef class Unpacker:
    def __init__(self, bytes frame not None, Py_ssize_t begin, Py_ssize_t count):
        self.frame = frame
        self.span.at = <const uint8_t *>PyBytes_AS_STRING(frame) + begin
        self.span.end = <const uint8_t *>PyBytes_AS_STRING(frame) + PyBytes_GET_SIZE(frame)
        self.span.most_pairs = 0
        self.span.objects = 0
        self.lists = []
        self.begin(count)
        self.value = self.lists[0]

    cpdef bint step(self, Py_ssize_t most) except -1:
        cdef uint8_t code
        cdef int depth
        cdef Py_ssize_t size
        if self.long_text is not None and not self.copy():
            return False
        while most > 0:
            depth = len(self.lists) - 1
            while depth >= 0 and self.filled[depth] == len(<list>self.lists[depth]):
                self.lists.pop()
                depth -= 1
            if depth < 0:
                return True
            most -= 1
            code = self.span.at[0]
            if FIX_ARRAY <= code < FIX_STR:
                self.span.at += 1
                self.begin(code & 0x0F)
            elif code == ARRAY or code == ARRAY + 1:
                self.begin(self.length(2 << (code - ARRAY)))
            elif BIN <= code < BIN + 3:
                size = self.length(1 << (code - BIN))
                if size <= COPY_BYTES:
                    self.put(PyBytes_FromStringAndSize(<const char *>self.span.at, size))
                    self.span.at += size
                    most -= size >> 10
                else:
                    self.long_text = PyBytes_FromStringAndSize(NULL, size)
                    self.copied = 0
                    if not self.copy():
                        return False
            else:
                value = unpack_object(&self.span, 0)
                if self.span.end == NULL:
                    raise ValueError("a text is not UTF-8")
                self.put(value)
        return False

    cdef Py_ssize_t length(self, int size):
        cdef Py_ssize_t number = 0
        cdef int index
        self.span.at += 1
        for index in range(size):
            number = number << 8 | self.span.at[0]
            self.span.at += 1
        return number

    cdef bint copy(self) except -1:
        """Copy the next part of a long string. Return whether that was the last."""
        cdef Py_ssize_t size = min(<Py_ssize_t>COPY_BYTES, PyBytes_GET_SIZE(self.long_text) - self.copied)
        memcpy(PyBytes_AS_STRING(self.long_text) + self.copied, self.span.at, size)
        self.copied += size
        self.span.at += size
        if self.copied < PyBytes_GET_SIZE(self.long_text):
            return False
        text, self.long_text = self.long_text, None
        self.put(text)
        return True

    cdef int begin(self, Py_ssize_t count) except -1:
        values = PyList_New(count)
        # It contains no references to itself, so the garbage collector need not scan millions of these.
        PyObject_GC_UnTrack(values)
        if self.lists:
            self.put(values)
        self.filled[len(self.lists)] = 0
        self.lists.append(values)
        return 0

    cdef int put(self, object value) except -1:
        cdef int depth = len(self.lists) - 1
        Py_INCREF(value)
        PyList_SET_ITEM(<list>self.lists[depth], self.filled[depth], value)
        self.filled[depth] += 1
        return 0


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
