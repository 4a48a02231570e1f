"""Detours: a second connection for other clients while one client's call holds a connection up (isolation I6).

A server can delay the reply to a write (`CLIENT PAUSE … WRITE`, a fail-over). A long reply delays those behind it while
it arrives. Both hold up every later call on the same connection. Then:

- Reads of other clients that were sent already are sent again on a second connection. The first one's answers to them
  are dropped.
- New reads of other clients take the second connection. Their writes do so behind a long reply. Behind a held write
  they would be held as well, so they stay.
- A client with a call on the first connection that cannot be sent again stays there with all its calls. That keeps
  the order of its commands (contract C23).

When the first connection is idle, the second takes its place. When the second is idle first, all return.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from glidecached.upstream.call import Call
from glidecached.upstream.lane import Lane
from glidecached.upstream.long_replies import LONG_REPLIES

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecached.command_order import CommandOrder
    from glidecached.process.loop import Loop
    from glidecached.upstream.connection import Connection
    from glidecached.upstream.pipeline import Pipeline

_TICK_MS = 10
_IDLE_TICKS = 50
"""After half a second without calls the lane is no longer watched."""

_WARM_TICKS = 100
"""After a second of use, the second connection is made before it is needed, and from then on kept."""

_HELD_MS = 10.0
_ROUND_TRIPS = 4
"""A write without a reply for 10 ms, and for 4 round trips, counts as held."""

USUAL, DETOUR, PINNED = 0, 1, 2
"""The ways of a call (`Call.travel`): as always, on the second connection, or behind its own client's held call."""


class DetouredLane(Lane):
    """A lane whose calls take a detour while one of them holds the connection up. Belongs to the loop's thread."""

    main: Pipeline

    def __init__(self, loop: Loop, main: Pipeline, make_spare: Callable[[], Pipeline]) -> None:
        super().__init__(main)
        self._loop = loop
        self._make_spare = make_spare
        self._spare: Pipeline | None = None
        self._hold: _Hold | None = None
        self._idle_ticks = 0
        self._ticks = 0

    @property
    def pipelines(self) -> list[Pipeline]:
        """Return all connections of the lane, the usual one first."""
        return [self.main] if self._spare is None else [self.main, self._spare]

    def watch(self) -> None:
        """Check the connection every 10 ms, until the lane has been idle for a while."""
        self.watched = True
        self._idle_ticks = 0
        self._loop.call_later(_TICK_MS, self._tick)

    def submit_while_held(self, call: Call) -> None:
        """Send a call that comes while another one holds the connection up."""
        hold, spare = self._hold, self._spare
        if hold is None or spare is None:
            self.main.submit(call)
        elif hold.has_to_wait(call):
            hold.later.append(call)
        elif hold.takes_detour(call):
            call.travel(DETOUR)
            spare.submit(call)
        else:
            call.travel(PINNED)
            self.main.submit(call)

    def reply_is_long(self, connection: Connection) -> None:
        """Handle the beginning of a long reply, for which later replies would wait."""
        if connection is not self.main._connection or not connection.waiting:
            return
        if self._hold is None:
            self._begin(connection, is_long=True)
        else:
            self._hold.go_on(connection)
            self._let_pass(connection, self._hold)

    def _tick(self) -> None:
        if self.main._closed_reason is not None:
            return
        connection = self.main._connection
        if self._hold is not None:
            self._look_for_the_end(self._hold)
        elif connection is not None and self._holds_up(connection):
            self._begin(connection, is_long=False)
        self._idle_ticks = 0 if self.held or self.main.busy else self._idle_ticks + 1
        self._ticks += 1
        if self._ticks == _WARM_TICKS:
            self._ticks = 0
            self._keep_spare()
        if self._idle_ticks < _IDLE_TICKS:
            self._loop.call_later(_TICK_MS, self._tick)
        else:
            self.watched = False

    def _keep_spare(self) -> None:
        """Have the second connection ready: a server that is busy takes its time for a handshake."""
        if not self.main.connected:
            return
        if self._spare is None:
            self._spare = self._make_spare()
        self._spare.connect()

    def _holds_up(self, connection: Connection) -> bool:
        """Return whether a write has waited for its reply so long that the server may be holding it back."""
        if not connection.waiting or connection.waiting[0].may_move():
            return False
        return self.main.silent_ms > max(_HELD_MS, _ROUND_TRIPS * self.main.round_trip_ms)

    def _begin(self, connection: Connection, *, is_long: bool) -> None:
        if self._spare is None:
            self._spare = self._make_spare()
        self._hold = _Hold(connection, is_long=is_long)
        self.held = True
        if not is_long:
            self._hold.pin(connection.waiting[0])
        self._let_pass(connection, self._hold)

    def _let_pass(self, connection: Connection, hold: _Hold) -> None:
        """Send again on the second connection those calls behind the head of the first that may be."""
        spare = self._spare
        if spare is None:
            return
        waiting, queue = connection.waiting, self.main._queue
        # The head is never sent again: its reply is arriving, or it is the write that is held.
        head, *others = waiting
        for call in (*others, *queue):
            if not call.may_move():
                hold.pin(call)
        moved: list[Call] = []
        kept = [self._move(call, hold, moved) for call in others]
        waiting.clear()
        waiting.extend([head, *kept])
        unsent = list(queue)
        queue.clear()
        for call in unsent:
            if hold.is_free(call):
                moved.append(call)
            else:
                call.travel(PINNED)
                queue.append(call)
        for call in moved:
            call.travel(DETOUR)
            spare.submit(call)

    def _move(self, call: Call, hold: _Hold, moved: list[Call]) -> Call:
        """Return the call that takes a sent call's place on the first connection; add those sent again to `moved`."""
        if hold.is_free(call):
            dropped = DroppedReplies(call.replies_left())
            call.restart()
            moved.append(call)
            return dropped
        call.travel(PINNED)
        other = call.divide(hold.pinned)
        if other is not None:
            moved.append(other)
        return call

    def _look_for_the_end(self, hold: _Hold) -> None:
        main, spare = self.main, self._spare
        if not hold.over:
            hold.look(main._connection)
        for call in hold.take_free():
            call.travel(PINNED)
            main.submit(call)
        if spare is None or not hold.over:
            return
        if not main.busy and not hold.later and spare.busy:
            self.main, self._spare = spare, main
            spare.on_demand, main.on_demand = main.on_demand, spare.on_demand
        elif spare.busy or hold.later:
            return
        self.held = False
        self._hold = None


class _Hold:
    """The call that holds a connection up, and the sessions that have to stay on it."""

    def __init__(self, connection: Connection, *, is_long: bool) -> None:
        self.pinned: set[CommandOrder] = set()
        self.over = False
        self.later: list[Call] = []
        """Calls for the first connection, once their clients have nothing open on the second."""
        self._connection = connection
        self._head = connection.waiting[0]
        self._is_long = is_long

    def pin(self, call: Call) -> None:
        """Keep the call's clients on the first connection."""
        self.pinned.update(call.clients())

    def is_free(self, call: Call) -> bool:
        """Return whether the call may be sent on the second connection now: not if it would hold that up as well."""
        if LONG_REPLIES.has_call(call):
            return False
        return call.may_move() and self.pinned.isdisjoint(call.clients())

    def has_to_wait(self, call: Call) -> bool:
        """Return whether a call would overtake its client's open calls on the detour, or other calls that wait."""
        clients = call.clients()
        if self.later and not {client for each in self.later for client in each.clients()}.isdisjoint(
            clients
        ):
            return True
        stays = not call.may_move() and not self._is_long and self.pinned.isdisjoint(clients)
        return stays and any(client.open > 1 for client in clients)

    def take_free(self) -> list[Call]:
        """Return the calls that have waited long enough, in their order; from now on their clients stay."""
        waiting = Counter(client for call in self.later for client in call.clients())
        free = [
            call for call in self.later if all(client.open <= waiting[client] for client in call.clients())
        ]
        self.later = [call for call in self.later if call not in free]
        for call in free:
            self.pin(call)
        return free

    def takes_detour(self, call: Call) -> bool:
        """Return whether a new call takes the detour; pin its clients if it has to stay."""
        clients = call.clients()
        if not self.pinned.isdisjoint(clients):
            return False
        if self.over:
            # Clients return once they have nothing open on the detour.
            return any(client.open > 1 for client in clients)
        if call.may_move() or (self._is_long and clients):
            return True
        self.pinned.update(clients)
        return False

    def go_on(self, connection: Connection) -> None:
        """Start again: the next reply is long, too."""
        self._connection = connection
        self._head = connection.waiting[0]
        self.over = False

    def look(self, connection: Connection | None) -> None:
        """Check whether the call that holds the connection up has been answered, or the connection is another."""
        if connection is None or connection is not self._connection or not connection.waiting:
            self.over = True
        elif connection.waiting[0] is not self._head:
            self.over = not (self._is_long and LONG_REPLIES.has_call(connection.waiting[0]))
            self._head = connection.waiting[0]


class DroppedReplies(Call):
    """The place of a call that was sent again elsewhere: its replies on the first connection are dropped."""

    __slots__ = ("_left",)

    def __init__(self, replies: int) -> None:
        super().__init__(2**63 - 1, repeatable=False)
        self._left = replies

    def receive(self, reply: Any) -> bool:
        """Implement `Call`."""
        del reply
        self._left -= 1
        return self._left <= 0

    def is_wanted(self, now_ns: int) -> bool:
        """Implement `Call`: return False, so that the order of the replies behind it is proved."""
        del now_ns
        return False

    def replies_left(self) -> int:
        """Implement `Call`."""
        return self._left

    def abandon(self) -> None:
        """Implement `Call`."""

    def succeed(self, reply: Any) -> None:
        """Implement `Call`."""

    def fail(self, code: int, message: str) -> None:
        """Implement `Call`."""
