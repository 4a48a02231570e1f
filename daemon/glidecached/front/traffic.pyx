"""Messages of connected peers in, answers out (see traffic.pyi)."""

import os
import select

from libc.errno cimport EINTR, errno

from glidecached.epoll cimport EPOLLIN, EPOLLOUT, epoll_event, epoll_wait
from glidecached.front.connection cimport PeerConnection

from glidecache_shared.zmtp import SEVERAL_FRAMES, ZmtpError

cdef enum:
    MESSAGES_IN_TURN = 64
    # How many connections are looked at in one turn at the most; the kernel begins with the others in the next.
    EVENTS_PER_TURN = 256


cdef class Traffic:
    def __init__(self, defer):
        self.defer = defer
        self._poller = select.epoll()
        self.poller_descriptor = self._poller.fileno()
        self._by_identity = {}
        self._by_descriptor = {}
        self._introducing = {}
        self.backlog = {}
        self.answered = {}
        self.interest = EPOLLIN

    @property
    def settled(self) -> bool:
        return len(self.backlog) == 0

    @property
    def unsent(self) -> bool:
        return any(connection.unsent for connection in self._by_identity.values())

    def receive(self, Py_ssize_t max_messages):
        cdef PeerConnection connection
        cdef Py_ssize_t share
        self.gather()
        while self.backlog and max_messages > 0:
            connection = next(iter(self.backlog.values()))
            identity = connection.identity
            if len(self.backlog) > 1:
                # To the end: the others have their turns first.
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
                    del self.backlog[identity]

    def send(self, bytes identity not None, *parts):
        cdef PeerConnection connection = self._by_identity.get(identity)
        if connection is None or not connection.queue(*parts):
            return False
        self.flush_later(connection)
        return True

    def write(self):
        cdef PeerConnection connection
        for descriptor, events in self._poller.poll(0):
            connection = self._by_descriptor.get(descriptor)
            if connection is not None and events & EPOLLOUT:
                self.flush(connection)
            elif connection is not None:
                self._drop(connection)

    cpdef int _admit(self, PeerConnection connection) except -1:
        self._poller.register(connection.descriptor, EPOLLIN)
        self._by_identity[connection.identity] = connection
        self._by_descriptor[connection.descriptor] = connection
        self._introducing[connection.identity] = connection
        return self.flush(connection)

    cpdef int _drop(self, PeerConnection connection) except -1:
        if self._by_identity.pop(connection.identity, None) is None:
            return 0
        del self._by_descriptor[connection.descriptor]
        for waiting in (self._introducing, self.backlog, self.answered):
            waiting.pop(connection.identity, None)
        self._poller.unregister(connection.descriptor)
        connection.close()
        if self.peer_ended is not None:
            self.peer_ended(connection.identity)
        return 0

    def _listen_no_more(self):
        self.interest = 0
        for connection in self._by_identity.values():
            self.watch(connection)

    cdef int gather(self) except -1:
        """Read once from each connection that has something, and go on with answers where there is room again."""
        cdef epoll_event events[EVENTS_PER_TURN]
        cdef PeerConnection connection
        cdef int index, fault
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
            # Who still has messages here is read from again when they are taken: the kernel holds the rest back.
            if events[index].events & ~EPOLLOUT and connection.identity not in self.backlog:
                connection.receive()
                self.backlog[connection.identity] = connection
        return 0

    cdef object next(self, PeerConnection connection):
        """The connection's next message, or None; an error stands for what was none."""
        try:
            message = connection.take()
        except ZmtpError as error:
            self._drop(connection)
            return error
        if connection.outbox.parts and not connection.watches_room:
            self.flush_later(connection)  # the answer to a heartbeat
        if self._introducing and connection.stream.ready:
            self._introducing.pop(connection.identity, None)
        return ZmtpError("more than one frame") if message is SEVERAL_FRAMES else message

    cdef int flush_later(self, PeerConnection connection) except -1:
        self.answered[connection.identity] = connection
        if len(self.answered) == 1:
            self.defer(self._flush_answered)
        return 0

    def _flush_answered(self):
        answered, self.answered = self.answered, {}
        for connection in answered.values():
            self.flush(connection)

    cdef int flush(self, PeerConnection connection) except -1:
        """Send what is queued; wait for room where the kernel has none."""
        cdef bint waits = not connection.flush()
        if waits != connection.watches_room:
            connection.watches_room = waits
            self.watch(connection)
        return 0

    cdef int watch(self, PeerConnection connection) except -1:
        self._poller.modify(connection.descriptor, self.interest | (EPOLLOUT if connection.watches_room else 0))
        return 0
