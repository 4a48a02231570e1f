"""A DEALER's side of an established connection (see dealer.pyi)."""

from cpython.bytes cimport PyBytes_GET_SIZE

from glidecache_shared.wire.send_buffer cimport SendBuffer
from glidecache_shared.owned cimport OwnedDescriptor
from glidecache_shared.wire.zmtp cimport Stream, frame_of

from glidecache_shared.wire.zmtp import SEVERAL_FRAMES, ZmtpError, message_header

cdef enum:
    IN = 1
    OUT = 2
    JOIN_BELOW_BYTES = 16_384

READABLE = IN
WRITABLE = OUT

# The daemon is trusted with a client's memory as it is with its data.
cdef Py_ssize_t NO_LIMIT = <Py_ssize_t>1 << 62


class NotSentError(Exception):
    """The connection was gone before the request was handed over: connect, and send it then."""


cdef class Dealer:
    def __cinit__(self):
        # A call before `__init__` has come this far finds them: another thread may fork, and close all transports.
        self.stream = Stream(b"DEALER", NO_LIMIT)
        self.outbox = SendBuffer()

    def __init__(self, int descriptor, OwnedDescriptor file=None):
        self.file = file
        self.descriptor = descriptor
        self.writable = True
        self.outbox.append(self.stream.opening)
        self.flush()

    @property
    def is_up(self) -> bool:
        return self.events() & OUT != 0

    @property
    def has_arrived(self) -> bool:
        return self.arrived is not None or self.stream.missing <= 0

    @property
    def unsent(self) -> bool:
        return len(self.outbox.parts) > 0

    cpdef int events(self) except -1:
        cdef Py_ssize_t size
        while self.arrived is None:
            self.arrived = self.next()
            if self.arrived is not None or self.ended:
                break
            size = self.stream.receive(self.descriptor)
            if size < 0:
                self.ended = True
            if size <= 0:
                break
        return (IN if self.arrived is not None else 0) | (
            OUT if self.stream.ready and self.writable and not self.ended else 0)

    def send(self, *frames):
        cdef bint waits = len(self.outbox.parts) > 0
        cdef bytes frame
        if self.file is not None and not self.file.is_own():
            # The application closed it: its number now belongs to another file.
            self.ended = True
        if self.ended or not self.writable or not self.stream.ready:
            raise NotSentError
        for frame in frames:
            if PyBytes_GET_SIZE(frame) < JOIN_BELOW_BYTES:
                self.outbox.append(frame_of(frame))
            else:
                self.outbox.append(message_header(PyBytes_GET_SIZE(frame)))
                self.outbox.append(frame)
        if not waits and not self.hand_over() and not self.writable:
            raise NotSentError

    cpdef object receive(self):
        if self.arrived is None:
            self.events()
        message, self.arrived = self.arrived, None
        return message

    cpdef object flush(self):
        self.hand_over()

    cdef Py_ssize_t hand_over(self) except -1:
        """Return how many bytes the kernel took."""
        cdef Py_ssize_t size_bytes = self.outbox.unsent_bytes
        cdef int fault = self.outbox.send(self.descriptor, NO_LIMIT)
        size_bytes -= self.outbox.unsent_bytes
        if fault:
            # Only writing has come to an end: what the other side has said can still be read, up to its last byte.
            self.writable = False
            self.outbox.clear()
        return size_bytes

    def close(self):
        self.ended = True
        self.outbox.clear()

    cdef object next(self):
        """Return the next message, or None. A peer that breaks the protocol is not listened to any more."""
        try:
            message = self.stream.take()
        except ZmtpError:
            message = SEVERAL_FRAMES
        if message is SEVERAL_FRAMES:
            self.ended = True
            return None
        # Behind the end, the descriptor's number may be another file's.
        if self.stream.answers and not self.ended:
            for answer in self.stream.answers:
                self.outbox.append(answer)
            self.stream.answers.clear()
            self.hand_over()
        return message
