"""Dedicated connections, limited in number: for replies that the server keeps back, and for watched keys."""

from __future__ import annotations

import functools
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from glidecache_shared.command_table import DEDICATED
from glidecache_shared.protocol import ERROR_BUSY, ERROR_CONNECTION, ERROR_REQUEST, ERROR_TIMEOUT, ReplyError
from glidecached.upstream.call import Call, SingleCall, pack_command
from glidecached.upstream.call_queue import CallQueue
from glidecached.upstream.connection import Connection
from glidecached.upstream.connector import Attempt, Channel, ConnectError

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecached.process.loop import Loop
    from glidecached.process.timers import Timer
    from glidecached.upstream.target import Target, UpstreamOptions

_IDLE_MS = 30_000
_MOST_CONNECTING = 2
_MARK = pack_command((b"PUBLISH", b"glidecached:wait", b""))
_ABOUT_EARLIER_WRITES = frozenset((b"WAIT", b"WAITAOF"))


class DedicatedConnections:
    """A target's connections for blocking calls; one is made when none is idle, and closed after 30 s without use.

    Belongs to the loop's thread. A call whose deadline passes takes its connection with it: the server then stops
    waiting on its behalf.
    """

    def __init__(self, loop: Loop, target: Target, options: UpstreamOptions) -> None:
        self.loop = loop
        self._target = target
        self._options = options
        self._all: set[_Dedicated] = set()
        self._idle: list[_Dedicated] = []
        self._connecting = 0
        self._to_connect: deque[_Dedicated] = deque()

    @property
    def count(self) -> int:
        """Return the number of connections, used and idle."""
        return len(self._all)

    @property
    def in_use(self) -> int:
        """Return the number of connections that have a call."""
        return len(self._all) - len(self._idle)

    def submit(self, call: Call) -> None:
        """Send the call on an idle connection, or on a new one; fail it where there are too many already."""
        dedicated = self._take()
        if dedicated is None:
            call.fail(ERROR_BUSY, self._exhausted())
        else:
            dedicated.run(call)

    def reserve(self, holder: ReservationHolder) -> Reserved | str:
        """Reserve a connection for one holder, until the holder gives it back; or return why there is none."""
        dedicated = self._take()
        return self._exhausted() if dedicated is None else Reserved(dedicated, holder)

    def reconfigure(self, target: Target, options: UpstreamOptions) -> None:
        """Use these for connections from now on."""
        self._target = target
        self._options = options

    def drop_unwanted(self) -> None:
        """Close each connection that has a call, or is being made for one, whose caller no longer waits.

        The server forgets the waiter when its connection closes. So the connection is never given to another call.
        """
        if self.in_use:
            now_ns = time.monotonic_ns()
            for dedicated in list(self._all):
                dedicated.end_unless_wanted(now_ns)

    def close(self, reason: str) -> None:
        """Close all of them; their calls fail."""
        for dedicated in list(self._all):
            dedicated.end(ERROR_CONNECTION, reason)

    def retire_idle(self) -> None:
        """Close the connections that have no call: they may lead to a server that is no longer the primary."""
        for dedicated in list(self._idle):
            dedicated.retire()

    def connect(self, dedicated: _Dedicated) -> None:
        """Have a connection made, two at a time: many handshakes at once would keep the loop from its work (I10)."""
        self._to_connect.append(dedicated)
        self._connect_next()

    def released(self, dedicated: _Dedicated) -> None:
        """Note that the connection's call is done: another call may have it."""
        self._idle.append(dedicated)

    def ended(self, dedicated: _Dedicated) -> None:
        """Note that the connection is closed."""
        self._all.discard(dedicated)
        if dedicated in self._to_connect:
            self._to_connect.remove(dedicated)
        if dedicated in self._idle:
            self._idle.remove(dedicated)

    def _connect_next(self) -> None:
        while self._to_connect and self._connecting < _MOST_CONNECTING:
            self._connecting += 1
            attempted = functools.partial(self._attempted, self._to_connect.popleft())
            Attempt(self.loop, self._target, self._options.connect_timeout_ms, attempted)

    def _attempted(self, dedicated: _Dedicated, result: Channel | ConnectError) -> None:
        self._connecting -= 1
        if dedicated not in self._all and isinstance(result, Channel) and self._to_connect:
            dedicated = self._to_connect.popleft()  # its caller has left: the connection serves the next one
        if dedicated in self._all:
            dedicated.attempted(result)
        elif isinstance(result, Channel):
            result.close()
        self._connect_next()

    def _take(self) -> _Dedicated | None:
        if self._idle:
            return self._idle.pop()
        if len(self._all) >= self._options.max_blocking_connections:
            return None
        dedicated = _Dedicated(self)
        self._all.add(dedicated)
        return dedicated

    def _exhausted(self) -> str:
        bound = self._options.max_blocking_connections
        return (
            f"all {bound} connections for blocking commands and watches are in use (max_blocking_connections)"
        )


class ReservationHolder(Protocol):
    """The holder of a reserved connection."""

    def connection_ended(self) -> None:
        """Handle a connection that ended by itself; its calls have failed.

        What the server kept for the connection is lost too.
        """


class Reserved:
    """A connection that stays one holder's between its calls, so that what the server keeps for it lasts: watched keys.

    Belongs to the loop's thread. Calls run one after another. To be given back by a `last` call, or by `close`.
    """

    def __init__(self, dedicated: _Dedicated, holder: ReservationHolder) -> None:
        self._dedicated = dedicated
        self._holder = holder
        self._queue: deque[Call] = deque()
        self._running = False
        self._last: Call | None = None
        dedicated.reserve(self)

    def submit(self, call: Call, *, last: bool = False) -> None:
        """Send the call, behind those before it. `last`: it ends what the server keeps, and the reservation.

        The connection is then another's, unless the call's final reply is an error: that leaves in doubt what is kept.
        """
        self._queue.append(call)
        if last:
            self._last = call
        self._next()

    def close(self) -> None:
        """Close the connection; calls that are open fail. Idempotent."""
        self._dedicated.end(ERROR_CONNECTION, "closed")

    def finished(self, call: Call, *, clean: bool) -> None:
        """Note that a call is done; `clean`: it was sent, and its final reply was no error."""
        self._running = False
        if call is not self._last:
            self._next()
        elif clean:
            self._dedicated.give_back()
        else:
            self.close()

    def ended(self, code: int, reason: str) -> None:
        """Fail the waiting calls: the connection is closed."""
        calls, self._queue = self._queue, deque()
        for call in calls:
            call.fail(code, reason)
        self._holder.connection_ended()

    def _next(self) -> None:
        if self._queue and not self._running:
            self._running = True
            self._dedicated.run(self._queue.popleft())


class _Dedicated:
    """One connection and the call that has it."""

    def __init__(self, pool: DedicatedConnections) -> None:
        self._pool = pool
        self._connection: Connection | None = None
        self._call: Call | None = None
        self._timer: Timer | None = None
        self._reserved: Reserved | None = None

    def reserve(self, reserved: Reserved) -> None:
        """Reserve the connection: it stays the holder's when a call is done."""
        self._cancel_timer()
        self._reserved = reserved

    def give_back(self) -> None:
        """End the reservation: any call may have the connection again."""
        self._reserved = None
        self._set_timer(time.monotonic_ns() + _IDLE_MS * 1_000_000, self.retire)
        self._pool.released(self)

    def run(self, call: Call) -> None:
        """Send the call, once there is a connection."""
        self._call = call
        self._set_timer(call.deadline_ns, self.time_out)
        if self._connection is None:
            self._pool.connect(self)
        else:
            self._send(self._connection, call)

    def time_out(self) -> None:
        """End the connection when the call's deadline has passed: the server then stops waiting for the call."""
        self.end(ERROR_TIMEOUT, "no reply from the server in time")

    def end_unless_wanted(self, now_ns: int) -> None:
        """Close the connection if it has a call that is not wanted any more."""
        if self._call is not None and not self._call.is_wanted(now_ns):
            # A time-out is final: a cluster tries no other node.
            self.end(ERROR_TIMEOUT, "the caller no longer waits")

    def end(self, code: int, reason: str) -> None:
        """Close the connection; a call that has it fails."""
        self._cancel_timer()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        self._pool.ended(self)
        call, self._call = self._call, None
        reserved, self._reserved = self._reserved, None
        if call is not None:
            call.fail(code, reason)
        if reserved is not None:
            reserved.ended(code, reason)

    def reply_is_long(self) -> None:
        """Implement `ConnectionHandler`: no other call waits behind the reply."""

    def error_replied(self, text: str) -> None:
        """Implement `ConnectionHandler`."""

    def connection_drained(self) -> None:
        """Implement `ConnectionHandler`: one call at a time, nothing more to send."""

    def connection_lost(self, reason: str) -> None:
        """Implement `ConnectionHandler`."""
        self.end(ERROR_CONNECTION, f"connection lost: {reason}; the command may have run")

    def finished(self, *, clean: bool) -> None:
        """Note that the call is done; `clean`: it was sent, and its final reply was no error."""
        call, self._call = self._call, None
        if self._reserved is None:
            self.give_back()
            if call is not None and call.lane == DEDICATED and self._connection is not None:
                # A command not known as safe: the next call believes no reply before a marker has come back.
                self._connection.doubt()
        elif call is not None:
            self._cancel_timer()
            self._reserved.finished(call, clean=clean)

    def retire(self) -> None:
        """Close the connection after a long idle time."""
        self.end(ERROR_CONNECTION, "closed")

    def attempted(self, result: Channel | ConnectError) -> None:
        """Use the connection that was made for it."""
        if isinstance(result, ConnectError):
            self.end(ERROR_CONNECTION, str(result))
            return
        self._connection = Connection(self._pool.loop, result, self)
        if self._call is not None:
            self._send(self._connection, self._call)

    def _send(self, connection: Connection, call: Call) -> None:
        wrapped = _Wrapped(call, self)
        connection.send(CallQueue((wrapped,)))

    def _set_timer(self, when_ns: int, callback: Callable[[], object]) -> None:
        self._cancel_timer()
        self._timer = self._pool.loop.call_at(when_ns, callback)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


class _Wrapped(Call):
    """A call that informs its connection when it is done.

    WAIT asks how many replicas have the earlier writes of its own connection. This connection wrote nothing, so WAIT
    would return at once. Therefore a message to a channel goes first. It changes nothing, but replicas get it behind
    all writes so far, those on the daemon's other connections included.
    """

    __slots__ = ("_call", "_dedicated", "_marks", "_refusal")

    def __init__(self, call: Call, dedicated: _Dedicated) -> None:
        super().__init__(call.deadline_ns, repeatable=False)
        self._call = call
        self._dedicated = dedicated
        about_writes = isinstance(call, SingleCall) and call.arguments[0].upper() in _ABOUT_EARLIER_WRITES
        self._marks = int(about_writes)
        self._refusal: str | None = None

    def pack(self) -> bytes:
        return _MARK * self._marks + self._call.pack()

    def receive(self, reply: Any) -> bool:
        if self._marks:
            self._marks = 0
            if isinstance(reply, ReplyError):
                self._refusal = f"WAIT needs a PUBLISH to 'glidecached:wait' first: {reply}"
            return False
        if self._refusal is not None:
            self._call.fail(ERROR_REQUEST, self._refusal)
        elif not self._call.receive(reply):
            return False
        self._dedicated.finished(clean=not isinstance(reply, ReplyError))
        return True

    def replies_left(self) -> int:
        return self._marks + self._call.replies_left()

    def is_wanted(self, now_ns: int) -> bool:
        return self._call.is_wanted(now_ns)

    def abandon(self) -> None:
        self._call.abandon()
        self._dedicated.finished(clean=False)

    def succeed(self, reply: Any) -> None:
        self._call.succeed(reply)

    def fail(self, code: int, message: str) -> None:
        self._call.fail(code, message)
