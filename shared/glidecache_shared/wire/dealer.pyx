"""A client's connection to one daemon process, and to no later one (see dealer.pyi)."""

import os
import select
import weakref

from cpython.bytes cimport PyBytes_GET_SIZE

from glidecache_shared.owned cimport OwnedDescriptor
from glidecache_shared.wire.zmtp cimport SendBuffer, Stream, frame_of

from glidecache_shared.wire.zmtp import SEVERAL_FRAMES, ZmtpError, message_header

cdef enum:
    IN = 1
    OUT = 2
    JOIN_BELOW_BYTES = 16_384

READABLE = IN
WRITABLE = OUT

# The daemon is trusted with a client's memory as it is with its data.
cdef Py_ssize_t NO_LIMIT = <Py_ssize_t>1 << 62

# What belongs to this process alone: its forks so far, and its connections.
cdef object forks_so_far = 0
cdef object dealers = weakref.WeakSet()


class NotSentError(Exception):
    """The connection was gone before the request was handed over: connect, and send it then."""


def forks():
    return forks_so_far


def _after_fork():
    """Close the child's copies of the parent's connections, which would keep them open at the daemon."""
    global forks_so_far
    forks_so_far += 1
    for dealer in list(dealers):
        dealer.close()
    dealers.clear()


os.register_at_fork(after_in_child=_after_fork)


cdef class Dealer:
    def __cinit__(self, OwnedDescriptor file not None):
        self.file = file
        self.descriptor = file.number
        self.stream = Stream(b"DEALER", NO_LIMIT)
        self.unsent_parts = SendBuffer()
        self.writable = True
        # As early as possible: another thread may fork.
        dealers.add(self)
        self.unsent_parts.append(self.stream.opening)
        self.flush()

    @staticmethod
    def connect(str path not None):
        return Dealer(OwnedDescriptor.connect(path))

    @property
    def is_up(self) -> bool:
        return self.events() & OUT != 0

    @property
    def has_arrived(self) -> bool:
        return self.arrived is not None or self.stream.missing <= 0

    @property
    def unsent(self) -> bool:
        return len(self.unsent_parts.parts) > 0

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

    def wait(self, double milliseconds):
        # Python's own poll, which gevent and its like replace. One object per wait: a signal handler may wait for this
        # connection too, and a poll object serves one at a time.
        poll = select.poll()
        poll.register(self.descriptor, select.POLLIN | select.POLLOUT if self.unsent else select.POLLIN)
        return bool(poll.poll(milliseconds))

    def send(self, *frames):
        cdef bint waits = len(self.unsent_parts.parts) > 0
        cdef bytes frame
        if not self.file.is_own():
            # The application closed it: its number now belongs to another file.
            self.ended = True
        if self.ended or not self.writable or not self.stream.ready:
            raise NotSentError
        for frame in frames:
            if PyBytes_GET_SIZE(frame) < JOIN_BELOW_BYTES:
                self.unsent_parts.append(frame_of(frame))
            else:
                self.unsent_parts.append(message_header(PyBytes_GET_SIZE(frame)))
                self.unsent_parts.append(frame)
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
        cdef Py_ssize_t size_bytes = self.unsent_parts.unsent_bytes
        cdef int fault = self.unsent_parts.send(self.descriptor, NO_LIMIT)
        size_bytes -= self.unsent_parts.unsent_bytes
        if fault:
            # Only writing has ended: what the other side sent before can still be read, to its last byte.
            self.writable = False
            self.unsent_parts.clear()
        return size_bytes

    def close(self):
        self.ended = True
        self.unsent_parts.clear()
        self.file.release()

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
                self.unsent_parts.append(answer)
            self.stream.answers.clear()
            self.hand_over()
        return message
