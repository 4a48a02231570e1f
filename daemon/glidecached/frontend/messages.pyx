"""Messages: their headers and bodies, large ones in slices (see messages.pyi)."""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_New, PyList_SET_ITEM
from cpython.ref cimport Py_INCREF

from glidecache_shared.wire.packing cimport (
    UNREADABLE, Span, peek_signed, put_reply, read_header, reply_size, unpack_object, unpack_body, unpack_command, unpack_from, unpack_read)

from glidecache_shared.wire.zmtp cimport frame_header_bytes, put_frame_header

cdef extern from "Python.h":
    void PyObject_GC_UnTrack(object container) noexcept

cdef enum:
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
