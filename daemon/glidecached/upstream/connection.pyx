"""One connection to a server (see connection.pyi)."""

import logging
import os
import ssl
from collections import deque

import libvalkey

from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport int64_t

from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE

from glidecache_shared.pool.clock cimport monotonic_ns
from glidecached.upstream.call cimport Call
from glidecached.upstream.tally cimport Tally

from glidecache_shared.protocol import ERROR_REQUEST, ReplyError
from glidecached.loop import READABLE, WRITABLE
from glidecached.upstream.leaking_sets import AGGREGATES, SETS_LEAK, release

cdef extern from "<sys/socket.h>" nogil:
    int MSG_DONTWAIT
    int MSG_NOSIGNAL
    ssize_t recv(int descriptor, void *buffer, size_t size, int flags)
    ssize_t send(int descriptor, const void *buffer, size_t size, int flags)

logger = logging.getLogger(__name__)

cdef enum:
    READ_BYTES = 262_144
    # How much is packed ahead: what has not been packed yet can still be dropped when it is overdue.
    WRITE_BYTES = 1_048_576
    NOTHING_YET = -1

cdef int IN = READABLE
cdef int OUT = WRITABLE
cdef bint sets_leak = SETS_LEAK
cdef object NOT_YET = object()

# One for all connections: it is only used within one call, in one thread.
cdef bytearray read_buffer = bytearray(READ_BYTES)

_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


cdef class Connection:
    def __init__(self, loop, channel, owner, Tally tally=None):
        self.loop = loop
        self.channel = channel
        self.socket = channel.socket
        self.descriptor = channel.socket.fileno()
        self.is_tls = isinstance(channel.socket, ssl.SSLSocket)
        self.owner = owner
        self.tally = tally
        self.reader = libvalkey.Reader(replyError=ReplyError, notEnoughData=NOT_YET)
        self.events = IN
        self.waiting = deque()
        self.last_received_ns = monotonic_ns()
        loop.watch(self.descriptor, IN, self._ready)

    @property
    def closed(self) -> bool:
        return self.channel is None

    cpdef object send(self, object calls):
        cdef Call call
        cdef int64_t now_ns
        cdef Py_ssize_t size_bytes
        cdef bytes data
        cdef list packed
        if self.channel is None or self.unwritten is not None:
            return
        while calls:
            now_ns = monotonic_ns()
            if not self.waiting:
                self.last_received_ns = now_ns
            packed = []
            size_bytes = 0
            while calls and size_bytes < WRITE_BYTES:
                call = calls.popleft()
                if not call.is_wanted(now_ns):
                    call.abandon()
                    continue
                call.attempts += 1
                data = call.pack()
                size_bytes += PyBytes_GET_SIZE(data)
                packed.append(data)
                self.waiting.append(call)
            if not packed:
                return
            self.unwritten = packed[0] if len(packed) == 1 else b"".join(packed)
            self.written = 0
            if not self.write():
                return

    cpdef object close(self):
        channel, self.channel = self.channel, None
        if channel is not None:
            self.loop.forget(self.descriptor)
            self.descriptor = -1  # the number may soon be another's
            channel.close()

    def _ready(self, int events):
        if self.unwritten is not None and events & OUT and self.write():
            self.owner.connection_drained()
        if events & ~OUT:
            self.read()

    cdef bint write(self) except -1:
        """Write as much as the socket takes; whether that was everything."""
        cdef Py_ssize_t size_bytes
        try:
            while self.written < PyBytes_GET_SIZE(self.unwritten):
                size_bytes = self.send_some()
                if size_bytes == 0:
                    self.watch(IN | OUT)
                    return False
                self.written += size_bytes
        except OSError as error:
            self.unwritten = None
            self.lose(str(error))
            return False
        self.unwritten = None
        self.watch(IN)
        return True

    cdef Py_ssize_t send_some(self) except -1:
        """How much the socket took; 0 when it has no room. Raises `OSError`."""
        cdef ssize_t size_bytes
        cdef int fault
        if self.is_tls:
            try:
                return self.socket.send(memoryview(self.unwritten)[self.written:])
            except _WOULD_BLOCK:
                return 0
        size_bytes = send(
            self.descriptor, PyBytes_AS_STRING(self.unwritten) + self.written,
            PyBytes_GET_SIZE(self.unwritten) - self.written, MSG_DONTWAIT | MSG_NOSIGNAL)
        if size_bytes >= 0:
            return size_bytes
        fault = errno
        if fault == EAGAIN or fault == EINTR:
            return 0
        raise OSError(fault, os.strerror(fault))

    cdef int watch(self, int events) except -1:
        if events != self.events:
            self.events = events
            self.loop.change(self.descriptor, events)
        return 0

    cdef int read(self) except -1:
        cdef Py_ssize_t size_bytes
        while self.channel is not None:
            try:
                size_bytes = self.receive_some()
            except OSError as error:
                return self.lose(str(error))
            if size_bytes == NOTHING_YET:
                return 0
            if size_bytes == 0:
                return self.lose("closed by the server")
            self.last_received_ns = monotonic_ns()
            self.reader.feed(read_buffer, 0, size_bytes)
            self.settle()
            # TLS may have more decrypted already than the socket will announce.
            if size_bytes < READ_BYTES and not self.is_tls:
                return 0
        return 0

    cdef Py_ssize_t receive_some(self) except -2:
        """How much came into the buffer; 0 at the end of the stream. Raises `OSError`."""
        cdef ssize_t size_bytes
        cdef int fault
        if self.is_tls:
            try:
                return self.socket.recv_into(read_buffer)
            except _WOULD_BLOCK:
                return NOTHING_YET
        size_bytes = recv(self.descriptor, PyByteArray_AS_STRING(read_buffer), READ_BYTES, MSG_DONTWAIT)
        if size_bytes >= 0:
            return size_bytes
        fault = errno
        if fault == EAGAIN or fault == EINTR:
            return NOTHING_YET
        raise OSError(fault, os.strerror(fault))

    cdef int settle(self) except -1:
        cdef Call call
        cdef int64_t submitted_ns
        # A call may close the connection: what comes behind its reply is nobody's then.
        while self.channel is not None:
            try:
                reply = self.reader.gets()
            except (libvalkey.ProtocolError, TypeError) as error:
                # TypeError: a set or a map whose members are themselves collections. The parser cannot go on.
                return self.spoil(str(error))
            if reply is NOT_YET:
                return 0
            if type(reply) is ReplyError:
                self.owner.error_replied(str(reply))
            if sets_leak and type(reply) is not bytes and type(reply) in AGGREGATES:
                release(reply)
            if not self.waiting:
                return self.lose("the server sent a reply that nobody asked for")
            call = self.waiting.popleft()
            submitted_ns = call.submitted_ns  # a redirected call is submitted anew by what it receives
            try:
                if not call.receive(reply):
                    self.waiting.appendleft(call)
                elif self.tally is not None and submitted_ns:
                    self.tally.replied(self.last_received_ns - submitted_ns)
            except Exception:
                logger.exception("a reply could not be handed on")
        return 0

    cdef int spoil(self, str reason) except -1:
        message = f"the server's reply cannot be read: {reason}"
        if self.waiting:
            (<Call>self.waiting.popleft()).fail(ERROR_REQUEST, message)
        return self.lose(message)

    cdef int lose(self, str reason) except -1:
        if self.channel is not None:
            self.close()
            self.owner.connection_lost(reason)
        return 0
