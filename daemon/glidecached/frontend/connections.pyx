"""Messages of connected peers in, answers out (see connections.pyi)."""

import os
import select

from libc.errno cimport EINTR, errno

from libc.stdint cimport int64_t

from glidecache_shared.pool.clock cimport monotonic_ns
from glidecached.epoll cimport EPOLLIN, EPOLLOUT, epoll_event, epoll_wait
from glidecached.frontend.client_connection cimport IN_WORK, NO_ROOM, UNREAD_ANSWERS, ClientConnection

from glidecache_shared.wire.zmtp import SEVERAL_FRAMES, ZmtpError

cdef enum:
    MESSAGES_IN_TURN = 64
    # The most that one turn reads, beyond a part of one message; later turns read the rest.
    BYTES_PER_TURN = 524_288
    EPOLL_GONE = 0x018  # EPOLLERR and EPOLLHUP
    # The most connections handled in one turn; in the next, the kernel begins with the others.
    EVENTS_PER_TURN = 256


cdef class ConnectionSet:
    def __init__(self, defer):
        self.defer = defer
        self._poller = select.epoll()
        self.poller_descriptor = self._poller.fileno()
        self._by_identity = {}
        self._by_descriptor = {}
        self._introducing = {}
        self.backlog = {}
        self.answered = {}
        self.unfinished = {}
        self.roomless = {}
        self.interest = EPOLLIN

    @property
    def settled(self) -> bool:
        return len(self.backlog) == 0

    @property
    def unsent(self) -> bool:
        return any(connection.unsent for connection in self._by_identity.values())

    def receive(self, Py_ssize_t max_messages):
        cdef ClientConnection connection
        cdef Py_ssize_t share
        self.gather()
        while self.backlog and max_messages > 0:
            connection = next(iter(self.backlog.values()))
            identity = connection.identity
            self.current = connection
            if len(self.backlog) > 1:
                # Moved to the end: the others have their turns first.
                self.backlog[identity] = self.backlog.pop(identity)
            share = min(max_messages, MESSAGES_IN_TURN)
            while share > 0 and identity in self.backlog:
                message = self.next(connection)
                if message is not None:
                    share -= 1
                    max_messages -= 1
                    yield identity, connection.peer, message
                elif connection.ended:
                    self._drop(connection)
                else:
                    self.backlog.pop(identity, None)  # it may have been paused

    def why_full(self, bytes identity not None, Py_ssize_t size_bytes):
        cdef ClientConnection connection = self._by_identity.get(identity)
        if connection is None:
            return None
        if connection.pauses & UNREAD_ANSWERS:
            return connection.account.full
        # Other connections of the same process may be the ones that do not read.
        return connection.account.why_not(size_bytes) if size_bytes else None

    def send(self, bytes identity not None, *parts):
        cdef ClientConnection connection = self._by_identity.get(identity)
        cdef int pauses
        if connection is None:
            return False
        pauses = connection.pauses
        outcome = connection.queue_parts(parts)
        if connection.pauses != pauses:
            self.quieten(connection)
        if outcome is True:
            self.flush_later(connection)
        return outcome

    cdef int hold(self, ClientConnection connection) except -1:
        """Take no more messages of the connection until `resume`: one is being worked on."""
        connection.works += 1
        connection.pauses |= IN_WORK
        return self.quieten(connection)

    cdef int resume(self, ClientConnection connection, int pause) except -1:
        """Remove one reason for not reading from the connection."""
        if pause == IN_WORK:
            connection.works -= 1
            if connection.works > 0:
                return 0
        connection.pauses &= ~pause
        if connection.pauses == 0 and connection.descriptor >= 0:
            self.watch(connection)
            self.backlog[connection.identity] = connection  # more may have been read already
            self.defer(do_nothing)  # the loop must not sleep over it
        return 0

    cdef int quieten(self, ClientConnection connection) except -1:
        if connection.descriptor >= 0:
            self.backlog.pop(connection.identity, None)
            self.watch(connection)
        return 0

    def retry_roomless(self):
        """Resume connections whose messages have room by now. Return whether any still wait."""
        cdef ClientConnection connection
        for connection in list(self.roomless.values()):
            if connection.find_room():
                del self.roomless[connection.identity]
                self.resume(connection, NO_ROOM)
        return len(self.roomless) > 0

    def drop_unfinished(self):
        """Drop connections whose message, or whose answer in the lane, makes no progress. Return their peers."""
        cdef ClientConnection connection
        cdef int64_t now_ns = monotonic_ns()
        cdef list dropped = []
        for connection in list(self.unfinished.values()):
            if not connection.has_unfinished() and not connection.answer_in_lane:
                del self.unfinished[connection.identity]
            elif not connection.goes_on(now_ns):
                dropped.append(connection.peer)
                self._drop(connection)
        return dropped

    def write(self):
        cdef ClientConnection connection
        for descriptor, events in self._poller.poll(0):
            connection = self._by_descriptor.get(descriptor)
            if connection is not None and events & EPOLLOUT:
                self.flush(connection)
            elif connection is not None:
                self._drop(connection)

    cpdef int _admit(self, ClientConnection connection) except -1:
        self._poller.register(connection.descriptor, EPOLLIN)
        self._by_identity[connection.identity] = connection
        self._by_descriptor[connection.descriptor] = connection
        self._introducing[connection.identity] = connection
        return self.flush(connection)

    cpdef int _drop(self, ClientConnection connection) except -1:
        if self._by_identity.pop(connection.identity, None) is None:
            return 0
        del self._by_descriptor[connection.descriptor]
        for waiting in (self._introducing, self.backlog, self.answered, self.unfinished, self.roomless):
            waiting.pop(connection.identity, None)
        self._poller.unregister(connection.descriptor)
        connection.close()
        if self.peer_ended is not None:
            self.peer_ended(connection.identity)
        self._dropped(connection)
        return 0

    def _dropped(self, connection):
        """Count one connection less."""

    def _listen_no_more(self):
        self.interest = 0
        for connection in self._by_identity.values():
            self.watch(connection)

    cdef int gather(self) except -1:
        """Read once from each readable connection, and continue to send answers where there is room again."""
        cdef epoll_event events[EVENTS_PER_TURN]
        cdef ClientConnection connection
        cdef int index, fault
        cdef Py_ssize_t before
        cdef Py_ssize_t left = BYTES_PER_TURN
        cdef int count = epoll_wait(self.poller_descriptor, events, EVENTS_PER_TURN, 0)
        fault = errno
        if count < 0 and fault != EINTR:
            raise OSError(fault, os.strerror(fault))
        for index in range(count):
            connection = self._by_descriptor.get(events[index].data.fd)
            if connection is None:
                self._accept()
                continue
            if events[index].events & EPOLLOUT:
                self.flush(connection)
            # A connection with untaken messages is read again once they are taken: the kernel holds the rest back.
            if connection.pauses:
                if events[index].events & EPOLL_GONE:
                    self._drop(connection)
            elif events[index].events & ~EPOLLOUT and left > 0 and connection.identity not in self.backlog:
                before = connection.stream.received
                connection.receive()
                left -= connection.stream.received - before
                self.backlog[connection.identity] = connection
        return 0

    cdef object next(self, ClientConnection connection):
        """Return the connection's next message, or None; or an error in the place of an invalid message."""
        try:
            message = connection.take()
        except ZmtpError as error:
            self._drop(connection)
            return error
        if connection.outbox.parts and not connection.watches_room:
            self.flush_later(connection)  # the answer to a heartbeat
        if message is None:
            if connection.has_unfinished():
                self.make_room(connection)
            elif connection.frame_charge:
                connection.release_frame()
        if self._introducing and connection.stream.ready:
            self._introducing.pop(connection.identity, None)
        return ZmtpError("more than one frame") if message is SEVERAL_FRAMES else message

    cdef int make_room(self, ClientConnection connection) except -1:
        """Handle a message that has begun to arrive: receive it when there is room, within a time limit."""
        if connection.identity not in self.unfinished:
            self.unfinished[connection.identity] = connection
            connection.mark_progress()
        if not connection.find_room():
            connection.pauses |= NO_ROOM
            self.roomless[connection.identity] = connection
            self.quieten(connection)
        return 0

    cdef int flush_later(self, ClientConnection connection) except -1:
        cdef bint is_first = not self.answered
        self.answered[connection.identity] = connection
        if is_first:
            self.defer(self._flush_answered)
        return 0

    def _flush_answered(self):
        answered, self.answered = self.answered, {}
        for connection in answered.values():
            self.flush(connection)

    cdef int flush(self, ClientConnection connection) except -1:
        """Send queued answers; wait for room where the kernel has none."""
        cdef bint waits = not connection.flush()
        if waits != connection.watches_room:
            connection.watches_room = waits
            self.watch(connection)
        if waits:
            if connection.answer_in_lane:
                self.unfinished[connection.identity] = connection
        elif connection.pauses & UNREAD_ANSWERS:
            self.resume(connection, UNREAD_ANSWERS)
        elif connection.refused is not None and connection.messages:
            self._drop(connection)
        return 0

    cdef int watch(self, ClientConnection connection) except -1:
        cdef int events = 0 if connection.pauses else self.interest
        if connection.descriptor < 0:
            return 0
        self._poller.modify(connection.descriptor, events | (EPOLLOUT if connection.watches_room else 0))
        return 0


def do_nothing():
    """Keep the loop awake for one more turn."""
