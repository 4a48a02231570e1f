"""ZeroMQ's wire protocol, as far as one DEALER and one ROUTER on one host need it (see zmtp.pyi).

Source: https://rfc.zeromq.org/spec/23/ (ZMTP 3.0). A peer sends 64 bytes of greeting, then a READY command, then
messages. A frame is a flags byte, a length of one byte or of eight, and the body.
"""

import struct

from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy, memmove, memset

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF

cdef extern from "Python.h":
    Py_ssize_t Py_SIZE(object sized) noexcept
    int _PyBytes_Resize(PyObject **text, Py_ssize_t size) except -1
    PyObject *PyList_GET_ITEM(object values, Py_ssize_t place) noexcept
    Py_ssize_t PyList_GET_SIZE(object values) noexcept
    void Py_SET_SIZE "Py_SET_SIZE" (PyObject *sized, Py_ssize_t size) noexcept
    void Py_DECREF_RAW "Py_DECREF" (PyObject *value) noexcept
    int PyList_SetSlice(object values, Py_ssize_t start, Py_ssize_t end, PyObject *replacement) except -1

cdef extern from "<sys/uio.h>" nogil:
    struct iovec:
        void *iov_base
        size_t iov_len

cdef extern from "<sys/socket.h>" nogil:
    int MSG_DONTWAIT
    int MSG_NOSIGNAL
    struct msghdr:
        iovec *msg_iov
        size_t msg_iovlen
    ssize_t recv(int descriptor, void *buffer, size_t size, int flags)
    ssize_t sendmsg(int descriptor, const msghdr *message, int flags)

cdef enum:
    MORE = 0x01
    LONG = 0x02
    COMMAND = 0x04
    KNOWN_FLAGS = 0x07

    SHORT_HEADER_BYTES = 2
    LONG_HEADER_BYTES = 9
    LONGEST_SHORT_BODY = 255
    GREETING_BYTES = 64
    MAX_COMMAND_BYTES = 4_096

    # What is asked of the kernel at once: at the least, and at the most, however much is missing.
    RECEIVE_BYTES = 65_536
    MOST_BYTES = 262_144
    BELIEVED_BYTES = 1_048_576

    # The parts of messages in one system call.
    PARTS_AT_ONCE = 64
    # The most parts for which a list keeps its memory while it is empty.
    PARTS_KEPT = 4

_LONG_HEADER = struct.Struct(">BQ")
_PROPERTY_LENGTH = struct.Struct(">I")

_MECHANISM = slice(12, 32)
_NULL = b"NULL".ljust(20, b"\0")
_GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + _NULL + bytes(32)
_OLDEST_VERSION = 3

# The pairs of socket types. A REQ would send an empty frame before each message, and no message of ours has two.
_PARTNERS = {b"DEALER": b"ROUTER", b"ROUTER": b"DEALER"}

SEVERAL_FRAMES = memoryview(b"")

# One buffer of RECEIVE_BYTES that no stream uses now. Streams of all threads share it; all hold the interpreter's lock.
cdef uint8_t *spare_buffer = NULL


class ZmtpError(Exception):
    """The peer does not speak this protocol, and the connection is of no use any more. `args[0]` says why."""


class TooLongError(ZmtpError):
    """The peer announced a message over the limit."""


def message_header(body_bytes):
    if body_bytes <= LONGEST_SHORT_BODY:
        return bytes((0, body_bytes))
    return _LONG_HEADER.pack(LONG, body_bytes)


cdef Py_ssize_t frame_header_bytes(Py_ssize_t body_bytes) noexcept nogil:
    """Return the length of the header of a frame with a body of this length."""
    return SHORT_HEADER_BYTES if body_bytes <= LONGEST_SHORT_BODY else LONG_HEADER_BYTES


cdef uint8_t *put_frame_header(uint8_t *at, Py_ssize_t body_bytes) noexcept nogil:
    """Write the header of a frame with a body of this length. Return the place of the body."""
    cdef Py_ssize_t header_bytes = frame_header_bytes(body_bytes)
    cdef Py_ssize_t index
    at[0] = 0 if header_bytes == SHORT_HEADER_BYTES else LONG
    for index in range(header_bytes - 1, 0, -1):
        at[index] = <uint8_t>body_bytes
        body_bytes >>= 8
    return at + header_bytes


cdef bytes frame_of(bytes message):
    """Return a short message behind its header, in one piece."""
    cdef Py_ssize_t size = PyBytes_GET_SIZE(message)
    cdef bytes frame = PyBytes_FromStringAndSize(NULL, frame_header_bytes(size) + size)
    memcpy(put_frame_header(<uint8_t *>PyBytes_AS_STRING(frame), size), PyBytes_AS_STRING(message), size)
    return frame


cdef bytes message_in(bytes frame):
    """Return the message of a frame in one piece."""
    return frame[LONG_HEADER_BYTES if (<uint8_t>PyBytes_AS_STRING(frame)[0]) & LONG else SHORT_HEADER_BYTES:]


cdef class SendBuffer:
    """The parts of messages that a socket has not accepted yet; sent as many together as the kernel has room for.

    Compiled code on both sides of the control plane uses it: `Dealer`, and the daemon's `ClientConnection`.
    """

    def __init__(self):
        self.parts = []

    cdef int append(self, bytes part) except -1:
        self.parts.append(part)
        self.unsent_bytes += PyBytes_GET_SIZE(part)
        return 0

    cdef void clear(self):
        self.parts.clear()
        self.sent_of_first = self.unsent_bytes = 0

    cdef void drop_last(self) noexcept:
        """Remove the last part, without giving back the memory of its place."""
        cdef PyObject *last = PyList_GET_ITEM(self.parts, PyList_GET_SIZE(self.parts) - 1)
        Py_SET_SIZE(<PyObject *>self.parts, PyList_GET_SIZE(self.parts) - 1)
        Py_DECREF_RAW(last)

    cdef int send(self, int descriptor, Py_ssize_t most_bytes) except -1:
        """Send as much as the kernel takes, but about `most_bytes` at the most.

        Return the error's number when the peer takes nothing any more, else 0.
        """
        cdef iovec pieces[PARTS_AT_ONCE]
        cdef msghdr message
        cdef Py_ssize_t count, index
        cdef ssize_t sent
        cdef bytes part
        memset(&message, 0, sizeof(message))
        message.msg_iov = pieces
        while self.parts and most_bytes > 0:
            count = min(len(self.parts), PARTS_AT_ONCE)
            for index in range(count):
                part = self.parts[index]
                pieces[index].iov_base = PyBytes_AS_STRING(part)
                pieces[index].iov_len = PyBytes_GET_SIZE(part)
            pieces[0].iov_base = <uint8_t *>pieces[0].iov_base + self.sent_of_first
            pieces[0].iov_len -= self.sent_of_first
            if pieces[0].iov_len > <size_t>most_bytes:
                # A peer that reads as fast as this writes would have all of a long message copied in one go.
                pieces[0].iov_len = most_bytes
                count = 1
            message.msg_iovlen = count
            sent = sendmsg(descriptor, &message, MSG_DONTWAIT | MSG_NOSIGNAL)
            if sent < 0:
                return 0 if errno == EAGAIN or errno == EINTR else errno
            self.unsent_bytes -= sent
            most_bytes -= sent
            sent += self.sent_of_first
            index = 0
            while index < count and sent >= PyBytes_GET_SIZE(<bytes>self.parts[index]):
                sent -= PyBytes_GET_SIZE(<bytes>self.parts[index])
                index += 1
            self.sent_of_first = sent
            if index == len(self.parts) and index <= PARTS_KEPT:
                # All of it is sent. The list keeps its memory for the next few.
                while index:
                    index -= 1
                    self.drop_last()
                continue
            # `del` would make a slice, at which old interpreters collect garbage: a finalizer that sends would find
            # here data that has been sent already.
            PyList_SetSlice(self.parts, 0, index, NULL)
        return 0


cdef class Stream:
    def __init__(self, bytes socket_type not None, Py_ssize_t max_message_bytes):
        self.opening = _GREETING + _command(b"READY", _property(b"Socket-Type", socket_type))
        self.answers = []
        self.partner = _PARTNERS[socket_type]
        self.max_message_bytes = max_message_bytes
        self.missing = GREETING_BYTES

    def __dealloc__(self):
        PyMem_Free(self.buffer)
        Py_XDECREF(self.long_body)

    @property
    def missing_bytes(self) -> int:
        return self.missing

    def feed(self, bytes data not None):
        cdef const char *at = PyBytes_AS_STRING(data)
        cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
        cdef Py_ssize_t part
        while size:
            part = min(size, self.make_room(size))
            if self.spoilt:
                return
            memcpy(self.place(), at, part)
            self.filled(part)
            at += part
            size -= part

    cpdef Py_ssize_t receive(self, int descriptor) except -2:
        cdef Py_ssize_t room = self.make_room(min(max(self.missing, RECEIVE_BYTES), MOST_BYTES))
        if self.spoilt:
            return 0
        cdef ssize_t size = recv(descriptor, self.place(), min(room, MOST_BYTES), MSG_DONTWAIT)
        cdef int fault = errno
        if size <= 0:
            self.give_back_room()
            return 0 if size < 0 and (fault == EAGAIN or fault == EINTR) else -1
        self.filled(size)
        return size

    cpdef object next_message(self):
        cdef uint8_t flags
        cdef bytes body
        while self.missing <= 0:
            if self.spoilt:
                raise ZmtpError(f"no memory for a frame of {self.long_bytes} bytes")
            if not self.greeted:
                self.check_greeting()
                continue
            body = self.next_frame(&flags)
            if body is None:
                break
            if flags & COMMAND:
                self.process_command(body)
            elif not self.ready:
                raise ZmtpError("a message before READY")
            elif flags & MORE:
                self.in_message = True
            elif self.in_message:
                self.in_message = False
                return SEVERAL_FRAMES
            else:
                return body
        return None

    cdef Py_ssize_t make_room(self, Py_ssize_t size) except -1:
        """Make room for about so much, at `place`. Return for how much.

        An announced length is believed up to BELIEVED_BYTES, then as it comes true: at most doubled.
        """
        global spare_buffer
        cdef Py_ssize_t held = self.end - self.start
        if self.fills_long_body():
            if self.long_held == Py_SIZE(<object>self.long_body):
                try:
                    _PyBytes_Resize(&self.long_body, min(self.long_held * 2, self.long_bytes))
                except MemoryError:
                    # What has come of the frame is gone: what is behind must not be taken for a beginning.
                    self.spoilt = True
                    self.missing = 0
                    return 0
            return Py_SIZE(<object>self.long_body) - self.long_held
        cdef uint8_t *buffer
        if self.capacity - self.end < size:
            if self.start:
                memmove(self.buffer, self.buffer + self.start, held)
                self.start, self.end = 0, held
            if self.buffer == NULL and spare_buffer != NULL and size == RECEIVE_BYTES:
                self.buffer, self.capacity = spare_buffer, RECEIVE_BYTES
                spare_buffer = NULL
            elif self.capacity - held < size:
                buffer = <uint8_t *>PyMem_Realloc(self.buffer, held + size)
                if buffer == NULL:
                    raise MemoryError
                self.buffer, self.capacity = buffer, held + size
        return self.capacity - self.end

    cdef inline bint fills_long_body(self) noexcept:
        return self.long_body != NULL and self.long_held < self.long_bytes

    cdef inline void *place(self) noexcept:
        """Return the place for the next bytes."""
        if self.fills_long_body():
            return PyBytes_AS_STRING(<object>self.long_body) + self.long_held
        return self.buffer + self.end

    cdef inline void filled(self, Py_ssize_t size) noexcept:
        """Note that so many bytes have arrived there."""
        self.received += size
        if self.fills_long_body():
            self.long_held += size
        else:
            self.end += size
        self.missing -= size

    cdef int begin_long_body(self, Py_ssize_t size) except -1:
        """Receive the rest of a frame straight into its object, which begins with the bytes behind the header."""
        cdef Py_ssize_t held = self.end - self.start - LONG_HEADER_BYTES
        cdef bytes body = PyBytes_FromStringAndSize(NULL, min(size, max(2 * held, BELIEVED_BYTES)))
        self.start += LONG_HEADER_BYTES
        memcpy(PyBytes_AS_STRING(body), self.buffer + self.start, held)
        self.start = self.end
        self.give_back_room()
        Py_INCREF(body)
        self.long_body = <PyObject *>body
        self.long_held = held
        self.long_bytes = size
        return 0

    cdef bytes end_long_body(self):
        body = <bytes>self.long_body
        Py_DECREF(body)
        self.long_body = NULL
        return body

    cdef void give_back_room(self) noexcept:
        """Free an empty buffer, or keep it for the next stream that needs one: a silent peer costs no memory."""
        global spare_buffer
        if self.start == self.end:
            if spare_buffer == NULL and self.capacity == RECEIVE_BYTES:
                spare_buffer = self.buffer
            else:
                PyMem_Free(self.buffer)
            self.buffer = NULL
            self.start = self.end = self.capacity = 0

    cdef inline bint has(self, Py_ssize_t size) noexcept:
        """Return whether so many bytes are there; if not, the next check waits until they have come."""
        self.missing = size - (self.end - self.start)
        return self.missing <= 0

    cdef int check_greeting(self) except -1:
        cdef bytes greeting = self.buffer[self.start:self.start + GREETING_BYTES]
        # Between these two bytes are data of the protocol's first version.
        if greeting[0] != _GREETING[0] or greeting[9] != _GREETING[9] or greeting[10] < _OLDEST_VERSION:
            raise ZmtpError("not the greeting of ZMTP 3")
        mechanism = greeting[_MECHANISM]
        if mechanism != _NULL:
            raise ZmtpError(f"the security mechanism {mechanism!r}; only NULL is spoken here")
        self.greeted = True
        self.start += GREETING_BYTES
        self.has(SHORT_HEADER_BYTES)
        return 0

    cdef bytes next_frame(self, uint8_t *flags):
        """Return the body of the next frame, or None when it is not complete."""
        cdef const uint8_t *at = self.buffer + self.start
        cdef Py_ssize_t header_bytes = SHORT_HEADER_BYTES
        cdef uint64_t length
        cdef int index
        cdef bytes body
        if self.long_body != NULL:
            flags[0] = self.long_flags
            self.has(SHORT_HEADER_BYTES)
            return self.end_long_body()
        length = at[1]
        flags[0] = at[0]
        if flags[0] & LONG:
            header_bytes = LONG_HEADER_BYTES
            if not self.has(header_bytes):
                return None
            length = 0
            for index in range(1, LONG_HEADER_BYTES):
                length = length << 8 | at[index]
        if flags[0] & ~KNOWN_FLAGS:
            raise ZmtpError(f"a frame with the unknown flags {flags[0]:#04x}")
        if length > <uint64_t>(self.max_message_bytes if self.ready and not flags[0] & COMMAND else MAX_COMMAND_BYTES):
            raise TooLongError(f"a frame of {length} bytes")
        if not self.has(header_bytes + <Py_ssize_t>length):
            if length > RECEIVE_BYTES:
                self.long_flags = flags[0]
                self.begin_long_body(<Py_ssize_t>length)
            return None
        body = PyBytes_FromStringAndSize(<const char *>at + header_bytes, <Py_ssize_t>length)
        self.start += header_bytes + <Py_ssize_t>length
        self.give_back_room()
        self.has(SHORT_HEADER_BYTES)
        return body

    cdef int process_command(self, bytes body) except -1:
        name, content = _split(body)
        if name == b"READY" and not self.ready:
            socket_type = _properties(content).get(b"socket-type")
            if socket_type != self.partner:
                raise ZmtpError(f"a {socket_type!r} socket, where a {self.partner!r} is expected")
            self.ready = True
        elif name == b"PING":
            self.answers.append(_command(b"PONG", content[2:]))  # without the peer's time to live
        elif name == b"ERROR":
            raise ZmtpError(f"the peer refused: {content[1:]!r}")
        elif not self.ready:
            raise ZmtpError(f"the command {name!r} before READY")
        # What else a later version may have does not ask for an answer.
        return 0


def _command(name, content):
    body = bytes((len(name),)) + name + content
    if len(body) <= LONGEST_SHORT_BODY:
        return bytes((COMMAND, len(body))) + body
    return _LONG_HEADER.pack(COMMAND | LONG, len(body)) + body


def _split(text):
    """Return a name behind a byte with its length, and what follows. Raises `ZmtpError`."""
    length = text[0] if text else 0
    if not 0 < length < len(text):
        raise ZmtpError("a command or property without a name")
    return text[1 : length + 1], text[length + 1 :]


def _property(name, value):
    return bytes((len(name),)) + name + _PROPERTY_LENGTH.pack(len(value)) + value


def _properties(content):
    """Return a READY's properties by their names in lower case. Raises `ZmtpError`."""
    found = {}
    while content:
        name, content = _split(content)
        if len(content) < _PROPERTY_LENGTH.size:
            raise ZmtpError(f"the property {name!r} has no value")
        (length,) = _PROPERTY_LENGTH.unpack_from(content)
        value, content = content[4 : 4 + length], content[4 + length :]
        if len(value) < length:
            raise ZmtpError(f"the property {name!r} is cut short")
        found[name.lower()] = value
    return found
