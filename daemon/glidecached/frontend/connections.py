# cython: boundscheck=True, wraparound=False
"""Messages of connected peers in, answers out, in fair turns. Nothing blocks."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Protocol

import cython
from cython.cimports.glidecache_shared.pool.clock import monotonic_ns

from glidecache_shared.wire.zmtp import SEVERAL_FRAMES, ZmtpError
from glidecached.frontend.connection_queue import ConnectionQueue
from glidecached.process.epoll import EventPoll
from glidecached.process.turn_end import Deferred

if TYPE_CHECKING:
    from collections.abc import Iterator

    from glidecached.access import Peer
    from glidecached.frontend.client_connection import ClientConnection
    from glidecached.process.turn_end import TurnEnd

READABLE = cython.declare(cython.uint, select.EPOLLIN)
WRITABLE = cython.declare(cython.uint, select.EPOLLOUT)
GONE = cython.declare(cython.uint, select.EPOLLERR | select.EPOLLHUP)
# The most messages of one connection before others have their turn.
MESSAGES_IN_TURN = cython.declare(cython.Py_ssize_t, 64)
# The most that one turn of the loop reads, beyond a part of one message; later turns read the rest.
BYTES_PER_TURN = cython.declare(cython.Py_ssize_t, 524_288)


class ConnectionHandler(Protocol):
    """The owner of a connection set, which makes its connections: the listener."""

    def accept(self) -> None:
        """Accept clients: a descriptor that belongs to none of the connections is ready."""

    def connection_lacks_room(self) -> None:
        """Retry soon (`retry_roomless`): there is no room yet for a message that has begun."""

    def connection_ended(self, connection: ClientConnection) -> None:
        """Handle the end of a connection, after its last message was taken."""


class ConnectionSet(Deferred):
    """The connections of a ROUTER socket, with their messages and answers. For the loop's thread."""

    def __init__(self, handler: ConnectionHandler, turn_end: TurnEnd) -> None:
        """Start without connections. Answers leave at the end of the loop's turn: `turn_end` has its tasks."""
        self.handler = handler
        self.turn_end = turn_end
        self.poll = EventPoll()
        self.interest = READABLE
        self.by_identity: dict[bytes, ClientConnection] = {}
        self.by_descriptor: list[ClientConnection | None] = []
        self.introducing: dict[bytes, ClientConnection] = {}
        """The connections whose peers have not introduced themselves yet, in the order of connecting."""
        self.unfinished: dict[bytes, ClientConnection] = {}
        """Connections that have begun a message, or read one in the lane; some may be done already."""
        self.roomless: dict[bytes, ClientConnection] = {}
        """Connections that are not read because there is no room yet for the message that they have begun."""
        self.backlog = ConnectionQueue()
        self.first_answered: ClientConnection | None = None
        self.last_answered: ClientConnection | None = None
        self.current: ClientConnection | None = None
        """The connection whose message was taken last."""
        self.turn_left = 0

    def __len__(self) -> int:
        return len(self.by_identity)

    def __iter__(self) -> Iterator[ClientConnection]:
        return iter(list(self.by_identity.values()))

    @property
    def descriptor(self) -> int:
        """Return the descriptor of all connections: it is readable as long as there is something to do."""
        return self.poll.descriptor

    @property
    def has_messages(self) -> bool:
        """Return whether messages were read from the connections and have not been taken yet."""
        return self.backlog.first is not None

    @property
    def unsent(self) -> bool:
        """Return whether answers wait until the kernel has room for them."""
        return any(connection.unsent for connection in self.by_identity.values())

    def add_listener(self, descriptor: int) -> None:
        """Have the handler `accept` whenever a listening socket is ready."""
        self.poll.add(descriptor, READABLE)

    def remove_listener(self, descriptor: int) -> None:
        """Watch a listening socket no more. Must be called before it is closed."""
        self.poll.remove(descriptor)

    def admit(self, connection: ClientConnection) -> None:
        """Add a connection, and greet its peer."""
        self.poll.add(connection.descriptor, READABLE)
        self.by_identity[connection.identity] = connection
        while connection.descriptor >= len(self.by_descriptor):
            self.by_descriptor.append(None)
        self.by_descriptor[connection.descriptor] = connection
        self.introducing[connection.identity] = connection
        self.flush(connection)

    def drop(self, connection: ClientConnection) -> None:
        """Close a connection, and drop unsent answers. Idempotent."""
        identity = connection.identity
        if self.by_identity.pop(identity, None) is None:
            return
        self.by_descriptor[connection.descriptor] = None
        self.backlog.discard(connection)
        for waiting in (self.introducing, self.unfinished, self.roomless):
            waiting.pop(identity, None)
        self.poll.remove(connection.descriptor)
        connection.close()
        self.handler.connection_ended(connection)

    def read(self) -> None:
        """Read once from each readable connection, and continue to send answers where there is room again."""
        connection: ClientConnection | None
        events: cython.uint
        index: cython.int
        left: cython.Py_ssize_t = BYTES_PER_TURN
        count: cython.int = self.poll.look()
        self.turn_left = 0
        for index in range(count):
            connection = self.at_descriptor(self.poll.descriptor_at(index))
            events = self.poll.events_at(index)
            if connection is None:
                self.handler.accept()
                continue
            if events & WRITABLE:
                self.flush(connection)
            # A connection with untaken messages is read again once they are taken: the kernel holds the rest back.
            if connection.is_paused():
                if events & GONE:
                    self.drop(connection)
            elif events & ~WRITABLE and left > 0 and not connection.queued:
                left -= connection.receive()
                self.backlog.add(connection)

    def next_message(self) -> bytes | memoryview | ZmtpError | None:
        """Return the next message that was read, and set `current`; None when all have been taken.

        An error takes the place of an invalid message. A connection that sent several frames may continue; any other
        error ends it.
        """
        connection: ClientConnection | None
        while True:
            if self.turn_left <= 0:
                connection = self.backlog.first
                if connection is None:
                    return None
                if connection.queue_behind is not None:
                    # Moved to the end: the others have their turns first.
                    self.backlog.discard(connection)
                    self.backlog.add(connection)
                self.current = connection
                self.turn_left = MESSAGES_IN_TURN
            connection = cython.cast("ClientConnection", self.current)
            if not connection.queued:
                self.turn_left = 0  # it was paused or dropped
                continue
            message = self.parse(connection)
            if message is not None:
                self.turn_left -= 1
                return message
            self.turn_left = 0
            if connection.ended:
                self.drop(connection)
            else:
                self.backlog.discard(connection)

    def at_descriptor(self, descriptor: cython.int) -> ClientConnection | None:
        """Return the connection with that descriptor; None where it is a listening socket's."""
        return self.by_descriptor[descriptor] if descriptor < len(self.by_descriptor) else None

    def why_full(self, connection: ClientConnection, size_bytes: cython.Py_ssize_t) -> str | None:
        """Return the reason why a connection takes no answers now: it has not read earlier ones. None where it does.

        With a length, also return why the connection's process has no room for an answer of that length.
        """
        if connection.descriptor < 0:
            return None
        if connection.must_read:
            return connection.account.full
        # Other connections of the same process may be the ones that do not read.
        return connection.account.why_not(size_bytes) if size_bytes else None

    def send(self, connection: ClientConnection, message: bytes, rest: bytes | None = None) -> bool | str:
        """Queue one message for the end of the turn, in one part or two.

        Return False when the peer is gone or has too many unread answers.

        Return a text when there is no room: it names what is full, and for which process or user. Then nothing is sent.
        """
        if connection.descriptor < 0:
            return False
        must_read: cython.bint = connection.must_read
        return self.queued(connection, must_read, connection.queue(message, rest))

    def send_framed(self, connection: ClientConnection, frame: bytes) -> bool | str:
        """Do what `send` does, with a message that is in its frame."""
        if connection.descriptor < 0:
            return False
        must_read: cython.bint = connection.must_read
        return self.queued(connection, must_read, connection.queue_framed(frame))

    def queued(self, connection: ClientConnection, must_read: cython.bint, outcome: bool | str) -> bool | str:
        """Send later what was queued; quieten a connection that must read first. Return the outcome."""
        if connection.must_read != must_read:
            self.quieten(connection)
        if outcome is True:
            self.flush_later(connection)
        return outcome

    def begin_work(self, connection: ClientConnection) -> None:
        """Take no more messages of the connection until `end_work`: one is being worked on."""
        connection.works += 1
        self.quieten(connection)

    def end_work(self, connection: ClientConnection) -> None:
        """Continue with the connection's messages, unless another one is being worked on."""
        connection.works -= 1
        self.resume(connection)

    def retry_roomless(self) -> bool:
        """Resume connections whose messages have room by now. Return whether some still wait for room."""
        connection: ClientConnection
        for connection in list(self.roomless.values()):
            if connection.find_room():
                del self.roomless[connection.identity]
                connection.lacks_room = False
                self.resume(connection)
        return len(self.roomless) > 0

    def drop_unfinished(self) -> list[Peer]:
        """Drop connections whose message, or whose answer in the lane, makes no progress. Return their peers."""
        connection: ClientConnection
        now_ns: cython.longlong = monotonic_ns()
        dropped: list[Peer] = []
        for connection in list(self.unfinished.values()):
            if not connection.has_unfinished() and not connection.answer_in_lane:
                del self.unfinished[connection.identity]
            elif connection.is_stuck(now_ns):
                dropped.append(connection.peer)
                self.drop(connection)
        return dropped

    def limit_unsent(self, max_unsent: int) -> None:
        """Set the limit of parts of answers that wait until a peer reads them."""
        for connection in self.by_identity.values():
            connection.max_unsent = max_unsent

    def stop_reading(self) -> None:
        """Take no more messages; continue to send answers."""
        self.interest = 0
        for connection in self.by_identity.values():
            self.watch(connection)

    def write(self) -> None:
        """Continue to send the answers that wait."""
        connection: ClientConnection | None
        index: cython.int
        count: cython.int = self.poll.look()
        for index in range(count):
            connection = self.at_descriptor(self.poll.descriptor_at(index))
            if connection is None:
                continue
            if self.poll.events_at(index) & WRITABLE:
                self.flush(connection)
            else:
                self.drop(connection)

    def close(self) -> None:
        """Watch no descriptors any more. The connections have been dropped by then."""
        self.poll.close()

    def parse(self, connection: ClientConnection) -> bytes | memoryview | ZmtpError | None:
        """Return the connection's next message, or None; or an error in the place of an invalid message."""
        try:
            message = connection.next_message()
        except ZmtpError as error:
            self.drop(connection)
            return error
        if connection.send_buffer.parts and not connection.watches_room:
            self.flush_later(connection)  # the answer to a heartbeat
        if message is None:
            if connection.has_unfinished():
                self.make_room(connection)
            elif connection.frame_charge:
                connection.release_frame()
        if self.introducing and connection.stream.ready:
            self.introducing.pop(connection.identity, None)
        return ZmtpError("more than one frame") if message is SEVERAL_FRAMES else message

    def make_room(self, connection: ClientConnection) -> None:
        """Handle a message that has begun to arrive: receive it when there is room, within a time limit."""
        if connection.identity not in self.unfinished:
            self.unfinished[connection.identity] = connection
            connection.mark_progress()
        if not connection.find_room():
            connection.lacks_room = True
            self.roomless[connection.identity] = connection
            self.quieten(connection)
            self.handler.connection_lacks_room()

    def resume(self, connection: ClientConnection) -> None:
        """Read from the connection again unless there is another reason not to."""
        if not connection.is_paused() and connection.descriptor >= 0:
            self.watch(connection)
            self.backlog.add(connection)  # more may have been read already
            self.turn_end.add(self)  # the loop must not sleep over it

    def quieten(self, connection: ClientConnection) -> None:
        """Neither read from the connection nor take its messages while it is paused."""
        if connection.descriptor >= 0:
            self.backlog.discard(connection)
            self.watch(connection)

    def flush_later(self, connection: ClientConnection) -> None:
        """Send the connection's answers at the end of the turn."""
        if connection.answered:
            return
        connection.answered = True
        if self.last_answered is None:
            self.first_answered = connection
        else:
            self.last_answered.next_answered = connection
        self.last_answered = connection
        self.turn_end.add(self)

    def end_turn(self) -> None:
        """Implement `Deferred`: send the answers of this turn."""
        connection: ClientConnection | None = self.first_answered
        following: ClientConnection | None
        self.first_answered = self.last_answered = None
        while connection is not None:
            following = connection.next_answered
            connection.next_answered = None
            connection.answered = False
            if connection.descriptor >= 0:
                self.flush(connection)
            connection = following

    def flush(self, connection: ClientConnection) -> None:
        """Send queued answers; wait for room where the kernel has none."""
        waits: cython.bint = not connection.flush()
        if waits != connection.watches_room:
            connection.watches_room = waits
            self.watch(connection)
        if waits:
            if connection.answer_in_lane:
                self.unfinished[connection.identity] = connection
        elif connection.must_read:
            connection.must_read = False
            self.resume(connection)
        elif connection.refusal is not None and connection.messages:
            self.drop(connection)

    def watch(self, connection: ClientConnection) -> None:
        """Have the kernel report what the connection waits for."""
        events: cython.uint = 0 if connection.is_paused() else self.interest
        if connection.descriptor >= 0:
            self.poll.change(connection.descriptor, events | (WRITABLE if connection.watches_room else 0))
