"""One connection to a server (see connection.pyi)."""

import logging
import os
import ssl
from collections import deque

from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport int64_t, uint8_t

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE

from glidecache_shared.pool.clock cimport monotonic_ns
from glidecached.process.loop cimport EventHandler, Loop
from glidecached.upstream.call cimport BULK_LANE, Call
from glidecached.upstream.call_queue cimport CallQueue
from glidecached.upstream.resp cimport INCOMPLETE, Reader
from glidecached.upstream.latency_histogram cimport LatencyHistogram
from glidecached.upstream.reply_order cimport BROKEN, NOT_NOW, PROVED, ReplyOrder

from glidecache_shared.protocol import ERROR_REQUEST, ReplyError
from glidecached.process.loop import READABLE, WRITABLE
from glidecached.upstream.reply_room import ROOM
from glidecached.upstream.resp import UnreadableError

cdef extern from "<sys/socket.h>" nogil:
    int MSG_DONTWAIT
    int MSG_NOSIGNAL
    int MSG_PEEK
    ssize_t recv(int descriptor, void *buffer, size_t size, int flags)
    ssize_t send(int descriptor, const void *buffer, size_t size, int flags)

logger = logging.getLogger(__name__)

cdef enum:
    READ_BYTES = 262_144
    # The bytes that are packed ahead: a call that has not been packed yet can still be dropped when it is overdue.
    WRITE_BYTES = 1_048_576
    # The most that one connection reads, writes and delivers in a turn of the loop; then others are served.
    TURN_BYTES = 262_144
    # Less of a reply that is known to be long: it passes thousands of turns, and other clients wait for each of them.
    LONG_TURN_BYTES = 65_536
    TURN_NS = 1_000_000
    # The number of replies passed on between two looks at the clock.
    REPLIES_PER_LOOK = 64
    # This much of one reply counts as progress, like a whole reply.
    PROGRESS_BYTES = 1_048_576
    PROVE_AGAIN_MS = 20
    ROOM_MS = 20
    NOTHING_YET = -1

cdef int IN = READABLE
cdef int OUT = WRITABLE

# One for all connections, used by one of them at a time: its content is read before it is used again.
cdef bytearray read_buffer = bytearray(READ_BYTES)
cdef bint buffer_taken = False

_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

cdef class Connection(EventHandler):
    def __init__(self, Loop loop, channel, handler, LatencyHistogram latencies=None):
        self.loop = loop
        self.channel = channel
        self.socket = channel.socket
        self.descriptor = channel.socket.fileno()
        self.is_tls = isinstance(channel.socket, ssl.SSLSocket)
        self.handler = handler
        self.server = str(channel.address)
        self.latencies = latencies
        self.reader = Reader()
        self.events = IN
        self.waiting = CallQueue()
        self.order = ReplyOrder(channel.marker, self.waiting)
        self.behind = deque()
        self.last_received_ns = self.oldest_sent_ns = monotonic_ns()
        loop.watch(self.descriptor, IN, self)

    @property
    def closed(self) -> bool:
        return self.channel is None

    @property
    def in_doubt(self) -> bool:
        return self.order.in_doubt

    @property
    def pushes(self):
        return self.reader.pushes

    cpdef object send(self, CallQueue calls):
        cdef Call call
        cdef int64_t now_ns
        cdef Py_ssize_t size_bytes
        cdef bytes data, only
        cdef list packed
        if self.channel is None or self.unwritten is not None or self.resuming or not calls.count:
            return
        if not self.waiting.count:
            self.begin_idle()
            if self.channel is None:
                return
        now_ns = monotonic_ns()
        # The usual single command is written as it is; only several are put together.
        packed = only = None
        size_bytes = 0
        while calls.count and size_bytes < WRITE_BYTES:
            if packed is not None and len(packed) % REPLIES_PER_LOOK == REPLIES_PER_LOOK - 1 and (
                    monotonic_ns() - now_ns >= TURN_NS):
                break
            call = calls.popleft()
            if not call.is_wanted(now_ns):
                call.abandon()
                continue
            call.attempts += 1
            self.waiting.append(call)
            if call.lane == BULK_LANE:
                size_bytes += self.write_pieces([only] if packed is None and only is not None else packed, call.pack_pieces())
                packed = only = None
                continue
            data = call.pack()
            size_bytes += PyBytes_GET_SIZE(data)
            if only is None:
                only = data
            elif packed is None:
                packed = [only, data]
            else:
                packed.append(data)
        if packed is not None:
            self.write_more(b"".join(packed))
        elif only is not None:
            self.write_more(only)
        elif not size_bytes:
            return
        if self.order.in_doubt and self.order.marker is None and self.channel is not None:
            self.prove()
        if calls.count and self.channel is not None and self.unwritten is None:
            # The rest follows in the next turn: others are served first.
            self.resuming = True
            self.loop.defer(self._resume)

    cpdef object doubt(self):
        if self.order.in_doubt or self.channel is None:
            return
        if self.order.doubt():
            self.prove()
        else:
            self.lose("a reply came too late, and the server refuses the commands that prove the order of replies")

    cpdef object close(self):
        channel, self.channel = self.channel, None
        if channel is not None:
            self.loop.forget(self.descriptor)
            self.descriptor = -1  # the number may soon be another's
            channel.close()
            if self.progress_bytes:
                ROOM.leave(self, self.server)
            self.order.close()
            # Now, not when the connection is collected: its handler may still refer to it.
            self.reader.drop()
            self.unwritten = None
            self.behind.clear()

    cpdef object ready(self, int events):
        if self.unwritten is not None and events & OUT and self.write():
            self.handler.connection_drained()
        if self.roomless and events & ~(IN | OUT):
            self.lose("closed by the server")  # it is not read, so the kernel would announce it endlessly
        elif events & ~OUT:
            self.read()

    def _resume(self):
        self.resuming = False
        if self.channel is not None:
            self.handler.connection_drained()

    def _read_on(self):
        self.reading_on = False
        self.read()

    def _prove_again(self):
        if self.order.in_doubt and self.order.marker is None and self.channel is not None:
            self.prove()

    # ---- writing

    cdef int begin_idle(self) except -1:
        """Start with no reply owed: data that has arrived until now answers no call that is sent from now on."""
        cdef char byte
        self.oldest_sent_ns = monotonic_ns()
        if not self.dispatching:
            # A plain socket is asked whether anything has arrived, an end or an error too; TLS can only be read.
            if self.is_tls or recv(self.descriptor, &byte, 1, MSG_DONTWAIT | MSG_PEEK) >= 0 or errno != EAGAIN:
                self.read()
        self.floor_bytes = self.reader.received_bytes
        return 0

    cdef int write_more(self, bytes data) except -1:
        """Write this behind the data that is still unwritten."""
        if self.unwritten is None:
            self.unwritten = data
            self.written = 0
            self.write()
        else:
            self.behind.append(data)
        return 0

    cdef Py_ssize_t write_pieces(self, list before, list pieces) except -1:
        """Write a long command behind short ones. Return its length."""
        cdef Py_ssize_t size_bytes = 0
        if before is not None:
            self.write_more(b"".join(before))
        for piece in pieces:
            size_bytes += PyBytes_GET_SIZE(<bytes?>piece)
            if self.channel is not None:
                self.write_more(piece)
        return size_bytes

    cdef bint write(self) except -1:
        """Write as much as the socket takes in one turn. Return whether that was everything."""
        cdef Py_ssize_t size_bytes
        cdef Py_ssize_t left = TURN_BYTES
        try:
            while True:
                while self.written < PyBytes_GET_SIZE(self.unwritten):
                    size_bytes = self.send_some(left) if left > 0 else 0
                    if size_bytes == 0:
                        self.watch(IN | OUT)
                        return False
                    self.written += size_bytes
                    left -= size_bytes
                if not self.behind:
                    break
                self.unwritten = self.behind.popleft()
                self.written = 0
        except OSError as error:
            self.unwritten = None
            self.behind.clear()
            self.lose(str(error))
            return False
        self.unwritten = None
        self.watch(IN)
        return True

    cdef Py_ssize_t send_some(self, Py_ssize_t most_bytes) except -1:
        """Return how much of `most_bytes` the socket took; 0 when it has no room. Raises `OSError`."""
        cdef ssize_t size_bytes
        cdef int fault
        if self.is_tls:
            try:
                return self.socket.send(memoryview(self.unwritten)[self.written:self.written + most_bytes])
            except _WOULD_BLOCK:
                return 0
        size_bytes = send(
            self.descriptor, PyBytes_AS_STRING(self.unwritten) + self.written,
            min(PyBytes_GET_SIZE(self.unwritten) - self.written, most_bytes), MSG_DONTWAIT | MSG_NOSIGNAL)
        if size_bytes >= 0:
            return size_bytes
        fault = errno
        if fault == EAGAIN or fault == EINTR:
            return 0
        raise OSError(fault, os.strerror(fault))

    cdef int watch(self, int events) except -1:
        if self.roomless:
            events &= ~IN
        if events != self.events:
            self.events = events
            self.loop.change(self.descriptor, events)
        return 0

    # ---- reading

    cdef int read(self) except -1:
        global buffer_taken
        cdef bytearray buffer = read_buffer
        cdef bint nested = buffer_taken
        if self.dispatching or self.roomless:
            return 0
        if nested:
            # Another connection passes its replies on, and made this one send something.
            buffer = bytearray(READ_BYTES)
        buffer_taken = True
        try:
            return self.read_into(buffer)
        finally:
            buffer_taken = nested

    cdef int read_into(self, bytearray buffer) except -1:
        cdef Py_ssize_t size_bytes, room
        cdef Py_ssize_t turn_bytes = 0
        cdef Py_ssize_t most_bytes = LONG_TURN_BYTES if self.progress_bytes else TURN_BYTES
        cdef int64_t began_ns = 0
        cdef uint8_t *place
        if self.paused and not self.dispatch_replies(monotonic_ns()):
            return 0
        while self.channel is not None:
            place = NULL if self.is_tls else self.reader.room(&room)
            try:
                size_bytes = self.receive_some(buffer) if place == NULL else self.receive(
                    place, min(room, most_bytes))
            except OSError as error:
                return self.lose(str(error))
            if size_bytes == NOTHING_YET:
                return 0
            if size_bytes == 0:
                return self.lose("closed by the server")
            self.last_received_ns = monotonic_ns()
            if place == NULL:
                self.reader.set_input(<const uint8_t *>PyByteArray_AS_STRING(buffer), size_bytes)
            else:
                self.reader.filled(size_bytes)
            if not began_ns:
                began_ns = self.last_received_ns
            if not self.dispatch_replies(began_ns) or self.roomless:
                return 0
            turn_bytes += size_bytes
            # TLS may have more decrypted already than the socket will announce.
            if not self.is_tls and place == NULL and size_bytes < READ_BYTES:
                return 0
            if turn_bytes >= most_bytes or self.last_received_ns - began_ns >= TURN_NS:
                # The kernel announces the rest of a plain socket's data by itself.
                if self.is_tls:
                    self.read_on()
                return 0
        return 0

    cdef int read_on(self) except -1:
        """Continue reading in the next turn, even if the kernel does not announce the socket."""
        if not self.reading_on:
            self.reading_on = True
            self.loop.defer(self._read_on)
        return 0

    cdef Py_ssize_t receive_some(self, bytearray buffer) except -2:
        """Return how many bytes came into the buffer; 0 at the end of the stream. Raises `OSError`."""
        if not self.is_tls:
            return self.receive(<uint8_t *>PyByteArray_AS_STRING(buffer), PyByteArray_GET_SIZE(buffer))
        try:
            return self.socket.recv_into(buffer)
        except _WOULD_BLOCK:
            return NOTHING_YET

    cdef Py_ssize_t receive(self, uint8_t *place, Py_ssize_t room) except -2:
        cdef ssize_t size_bytes = recv(self.descriptor, place, room, MSG_DONTWAIT)
        cdef int fault
        if size_bytes >= 0:
            return size_bytes
        fault = errno
        if fault == EAGAIN or fault == EINTR:
            return NOTHING_YET
        raise OSError(fault, os.strerror(fault))

    # ---- replies

    cdef int find_room(self) except -1:
        """Read no more of a long reply than there is room for."""
        cdef bint roomless = self.channel is not None and not ROOM.take(
            self, self.handler, self.server, max(self.progress_bytes, self.reader.weight_bytes))
        if roomless != self.roomless:
            self.roomless = roomless
            self.watch(IN if self.unwritten is None else IN | OUT)
        if roomless:
            self.loop.call_later(ROOM_MS, self._look_for_room)
        return 0

    def _look_for_room(self):
        if self.channel is not None:
            self.oldest_sent_ns = monotonic_ns()  # the server is not the one that delays others
            self.find_room()
            if not self.roomless:
                self.read_on()

    cdef bint dispatch_replies(self, int64_t began_ns) except -1:
        """Pass on the complete replies. Return whether that was all of them before the turn's time was up."""
        self.dispatching = True
        try:
            return self.dispatch_all(began_ns)
        except BaseException:
            # The unread rest of this input would be missing from the stream.
            self.lose("a fault of the daemon's own")
            raise
        finally:
            self.dispatching = False

    cdef bint dispatch_all(self, int64_t began_ns) except -1:
        cdef Py_ssize_t count = 0
        cdef Call call
        self.paused = False
        # A call may close the connection; then the data behind its reply is useless.
        while self.channel is not None:
            try:
                reply = self.reader.next_reply()
            except UnreadableError as error:
                self.fail_protocol(str(error))
                return True
            except MemoryError:
                self.fail_protocol("there is no memory for it")
                return True
            if reply is INCOMPLETE:
                if self.reader.progress_bytes() - self.progress_bytes >= PROGRESS_BYTES:
                    if not self.progress_bytes:
                        self.handler.reply_is_long()
                    self.progress_bytes = self.reader.progress_bytes()
                    self.oldest_sent_ns = self.last_received_ns
                    self.find_room()
                return True
            if not self.waiting.count or self.reader.last_begun_bytes < self.floor_bytes:
                self.lose("the server sent a reply to no request")
                return True
            self.oldest_sent_ns = self.last_received_ns
            if self.progress_bytes:
                self.progress_bytes = 0
                ROOM.leave(self, self.server)
            if self.order.in_doubt:
                self.park(reply)
            else:
                call = self.waiting.popleft()
                if call.is_wanted(self.last_received_ns):
                    self.deliver(call, reply, self.last_received_ns, self.latencies)
                else:
                    self.waiting.appendleft(call)
                    self.doubt()
                    self.park(reply)
            if type(reply) is ReplyError:
                self.handler.error_replied(str(reply))
            # Long ones take longer to deliver.
            count += 1 + (self.reader.last_weight_bytes >> 12)
            if count >= REPLIES_PER_LOOK:
                count = 0
                if monotonic_ns() - began_ns < TURN_NS:
                    continue
                self.paused = True
                self.reader.keep_input()
                self.read_on()
                return False
        return True

    cdef int deliver(self, Call call, object reply, int64_t received_ns, LatencyHistogram latencies) except -1:
        """Give a reply to the call that it answers, which has been taken from the waiting calls."""
        cdef int64_t submitted_ns = call.submitted_ns  # a redirected call is submitted again when it receives its reply
        try:
            if not call.receive(reply):
                self.waiting.appendleft(call)
            else:
                if latencies is not None and submitted_ns:
                    latencies.replied(received_ns - submitted_ns)
                if self.on_reply is not None:
                    self.on_reply()
        except Exception:
            logger.exception("a reply could not be delivered", extra={"upstream": self.server})
        return 0

    cdef int fail_protocol(self, str reason) except -1:
        message = f"the server's reply cannot be read: {reason}"
        # In doubt the daemon does not know to which call the reply belonged.
        if self.waiting and not self.order.in_doubt:
            (<Call>self.waiting.popleft()).fail(ERROR_REQUEST, message)
        return self.lose(message)

    cdef int lose(self, str reason) except -1:
        if self.channel is not None:
            self.close()
            self.handler.connection_lost(reason)
        return 0

    # ---- replies in doubt (rule I4, see `reply_order`)

    cdef int prove(self) except -1:
        """Send a marker behind everything that was sent."""
        self.write_more(self.order.send_marker())
        return 0

    cdef int park(self, object reply) except -1:
        """Keep a reply until its call is proved, or use what it shows about the order."""
        cdef int found
        if self.channel is None:
            return 0  # doubted, and there is no marker
        found = self.order.park(reply, self.last_received_ns, self.reader.last_weight_bytes)
        if found == PROVED:
            return self.deliver_proved()
        if found == NOT_NOW:
            return self.deliver_certain(str(reply))
        if found == BROKEN:
            return self.lose(self.order.fault)
        return 0

    cdef int deliver_proved(self) except -1:
        """Pass on the parked replies: they belong to their calls."""
        cdef Call call
        cdef Call marker = self.order.marker
        for reply, received_ns in self.order.take_proved():
            if self.channel is None:
                break  # a call has closed the connection
            call = self.waiting.popleft()
            # Late replies do not show how long replies take.
            self.deliver(call, reply, received_ns, self.latencies if call.is_wanted(received_ns) else None)
        if marker in self.waiting:
            self.waiting.remove(marker)
        return 0

    cdef int deliver_certain(self, str error) except -1:
        """Handle a server that runs no commands now: pass its errors on, true for any caller, and try again soon."""
        cdef tuple certain
        while self.channel is not None:
            certain = self.order.take_certain(error)
            if certain is None:
                break
            self.deliver(self.waiting.popleft(), certain[0], certain[1], None)
        self.order.find_place()
        if self.waiting and self.channel is not None:
            self.loop.call_later(PROVE_AGAIN_MS, self._prove_again)
        return 0
