"""Lanes: the connections to one server among which calls are divided, and the detour of each (see `detours`).

Every call passes `Lanes.submit` and `Lane.submit`, so the classes are compiled (see `lane.pxd`).
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import cython
from cython.cimports.glidecached.upstream.call import BULK_LANE, PROBE_LANE

from glidecache_shared.command_table import DEDICATED, OUT_OF_BAND
from glidecache_shared.protocol import ERROR_CONNECTION
from glidecached.process.timers import TimedTask
from glidecached.upstream.detours import DETOUR, PINNED, DroppedReplies, Hold
from glidecached.upstream.sender import CallSender

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecached.process.loop import Loop
    from glidecached.upstream.call import Call
    from glidecached.upstream.connection import Connection
    from glidecached.upstream.dedicated import DedicatedConnections, ReservationHolder, Reserved
    from glidecached.upstream.pipeline import Pipeline
    from glidecached.upstream.target import Target, UpstreamOptions

BULK: int = BULK_LANE
"""The lane of requests and replies so long that others would wait for them; an addition to the table's lanes."""

PROBE: int = PROBE_LANE
"""The lane of the daemon's own questions: the shared connection while it is idle, else out of band."""

_WINDOW = 4
"""The number of long calls that are under way at once."""

TICK_NS = cython.declare(cython.longlong, 10_000_000)
IDLE_TICKS = cython.declare(cython.Py_ssize_t, 50)
"""After half a second without calls the lane is no longer watched."""

WARM_TICKS = cython.declare(cython.Py_ssize_t, 100)
"""After a second of use, the second connection is made before it is needed, and from then on kept."""

_HELD_MS = 10.0
_ROUND_TRIPS = 4
"""A write without a reply for 10 ms, and for 4 round trips, counts as held."""


class Lane(TimedTask):
    """A pipeline whose calls take a detour while one of them holds the connection up. Belongs to the loop's thread."""

    def __init__(self, loop: Loop, main: Pipeline, make_spare: Callable[[], Pipeline]) -> None:
        self.main: Pipeline = main
        self.held: cython.bint = False
        """True while calls may take the second connection."""
        self._watched: cython.bint = False
        self._loop = loop
        self._make_spare = make_spare
        self._spare: Pipeline | None = None
        self._hold: Hold | None = None
        self._idle_ticks: cython.Py_ssize_t = 0
        self._ticks: cython.Py_ssize_t = 0

    @property
    def pipelines(self) -> list[Pipeline]:
        """Return all connections of the lane, the usual one first."""
        return [self.main] if self._spare is None else [self.main, self._spare]

    def submit(self, call: Call) -> None:
        """Send the call on the lane's connection, in the order of submission, or refuse it."""
        if not self._watched:
            self._watch()
        if self.held:
            self._submit_while_held(call)
        else:
            self.main.submit(call)

    def reply_is_long(self, connection: Connection) -> None:
        """Handle the beginning of a long reply, for which later replies would wait."""
        if connection is not self.main.connection or not connection.waiting:
            return
        if self._hold is None:
            self._begin(connection, is_long=True)
        else:
            self._hold.extend(connection)
            self._let_pass(connection, self._hold)

    def _watch(self) -> None:
        """Check the connection every 10 ms, until the lane has been idle for a while."""
        self._watched = True
        self._idle_ticks = 0
        self._loop.run_later(TICK_NS, self)

    def _submit_while_held(self, call: Call) -> None:
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

    def run_timer(self) -> None:
        """Implement `TimedTask`: check the connection."""
        connection: Connection | None = self.main.connection
        if self.main.is_closed():
            return
        if self._hold is not None:
            self._check_for_end(self._hold)
        elif connection is not None and self._holds_up(connection):
            self._begin(connection, is_long=False)
        self._idle_ticks = 0 if self.held or self.main.is_busy() else self._idle_ticks + 1
        self._ticks += 1
        if self._ticks == WARM_TICKS:
            self._ticks = 0
            self._keep_spare()
        if self._idle_ticks < IDLE_TICKS:
            self._loop.run_later(TICK_NS, self)
        else:
            self._watched = False

    def _keep_spare(self) -> None:
        """Have the second connection ready: a server that is busy takes its time for a handshake."""
        if not self.main.connected:
            return
        if self._spare is None:
            self._spare = self._make_spare()
        self._spare.connect()

    def _holds_up(self, connection: Connection) -> cython.bint:
        """Return whether a write has waited for its reply so long that the server may be holding it back."""
        if not connection.waiting.count or connection.waiting.at(0).may_move():
            return False
        held_ms: float = max(_HELD_MS, _ROUND_TRIPS * self.main.round_trip_ms)
        return self.main.silent_ms > held_ms

    def _begin(self, connection: Connection, *, is_long: bool) -> None:
        if self._spare is None:
            self._spare = self._make_spare()
        self._hold = Hold(connection, is_long=is_long)
        self.held = True
        if not is_long:
            self._hold.pin(connection.waiting[0])
        self._let_pass(connection, self._hold)

    def _let_pass(self, connection: Connection, hold: Hold) -> None:
        """Send again on the second connection those calls behind the head of the first that may be."""
        spare = self._spare
        if spare is None:
            return
        waiting, queue = connection.waiting, self.main.queue
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

    def _move(self, call: Call, hold: Hold, moved: list[Call]) -> Call:
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

    def _check_for_end(self, hold: Hold) -> None:
        main: Pipeline = self.main
        spare = self._spare
        if not hold.over:
            hold.check(main.connection)
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


class Lanes(CallSender):
    """All lanes to one server. Belongs to the loop's thread.

    Calls with one immediate reply use the shared lane; scripts and long requests have a lane each. Calls that must
    reach a busy server are sent out of band. Commands that block, or are not known as safe, have dedicated
    connections. `make_pipeline` makes a connection with the given `on_demand` and `window`.
    """

    def __init__(
        self, loop: Loop, make_pipeline: Callable[..., Pipeline], dedicated: DedicatedConnections
    ) -> None:
        self._loop = loop
        self._make_pipeline = make_pipeline
        self.dedicated = dedicated
        self.shared: Lane = Lane(loop, make_pipeline(on_demand=False), self._make_spare)
        """The lane of commands with one immediate reply each: `call.lane` is 0."""
        self._others: dict[int, Lane] = {}
        self._out_of_band: Pipeline | None = None
        self._closed_reason: str | None = None
        self._refused: cython.Py_ssize_t = 0

    @property
    def busy(self) -> bool:
        """Return whether any call is open."""
        return bool(self.dedicated.in_use) or any(pipeline.busy for pipeline in self.pipelines)

    @property
    def pipelines(self) -> list[Pipeline]:
        """Return all connections except the dedicated ones."""
        found = [pipeline for lane in self._lanes() for pipeline in lane.pipelines]
        return found if self._out_of_band is None else [*found, self._out_of_band]

    def submit(self, call: Call) -> None:
        """Send the call on its lane."""
        if call.lane:
            self._submit_elsewhere(call)
        else:
            self.shared.submit(call)

    def submit_dedicated(self, call: Call) -> None:
        """Send the call on a connection of its own."""
        if self._closed_reason is not None:
            self._refuse(call, self._closed_reason)
        else:
            self.dedicated.submit(call)

    def reserve(self, holder: ReservationHolder) -> Reserved | str:
        """Reserve a dedicated connection for the holder, or return why there is none."""
        return self.dedicated.reserve(holder) if self._closed_reason is None else self._closed_reason

    def reply_is_long(self, pipeline: Pipeline, connection: Connection) -> None:
        """Handle the beginning of a long reply, for which later replies on that pipeline would wait."""
        for lane in self._lanes():
            if pipeline is lane.main:
                lane.reply_is_long(connection)

    def drop_unwanted(self) -> None:
        """Drop calls that no client waits for any more: unsent ones, and those with a connection of their own."""
        for pipeline in self.pipelines:
            pipeline.drop_unwanted()
        self.dedicated.drop_unwanted()

    def replace_connections(self, reason: str) -> None:
        """Replace all connections that are made; dedicated ones in use stay until their call is done."""
        for pipeline in self.pipelines:
            pipeline.replace_connection(reason)
        self.dedicated.retire_idle()

    def reconfigure(self, target: Target, options: UpstreamOptions) -> None:
        """Use these for connections from now on."""
        self.dedicated.reconfigure(target, options)
        for pipeline in self.pipelines:
            pipeline.reconfigure(target, options)

    def close(self, reason: str) -> None:
        """Close everything; open calls fail."""
        self._closed_reason = reason
        for pipeline in self.pipelines:
            pipeline.close(reason)
        self.dedicated.close(reason)

    def stats(self) -> dict[str, Any]:
        """Return numbers for the operator."""
        counts = [pipeline.stats() for pipeline in self.pipelines]
        return {
            **{
                name: sum(count[name] for count in counts)
                for name in ("requests", "in_flight", "queued", "connections_made")
            },
            "failed": self._refused + sum(count["failed"] for count in counts),
            "blocking_connections": self.dedicated.count,
            "held": any(lane.held for lane in self._lanes()),
        }

    def _lanes(self) -> list[Lane]:
        return [self.shared, *self._others.values()]

    def _submit_elsewhere(self, call: Call) -> None:
        """Send a call of another lane than the shared one."""
        main: Pipeline = self.shared.main
        if call.lane == DEDICATED:
            self.submit_dedicated(call)
        elif self._closed_reason is not None:
            self._refuse(call, self._closed_reason)
        elif call.lane == OUT_OF_BAND:
            self._of_band().submit(call)
        elif call.lane == PROBE:
            (self._of_band() if main.busy else main).submit(call)
        else:
            self._other(call.lane).submit(call)

    def _refuse(self, call: Call, reason: str) -> None:
        self._refused += 1
        call.fail(ERROR_CONNECTION, reason)

    def _make_spare(self) -> Pipeline:
        return self._make_pipeline(on_demand=True)

    def _of_band(self) -> Pipeline:
        if self._out_of_band is None:
            self._out_of_band = self._make_spare()
        return self._out_of_band

    def _other(self, number: int) -> Lane:
        lane = self._others.get(number)
        if lane is None:
            make = self._make_spare
            if number == BULK:
                make = functools.partial(self._make_pipeline, on_demand=True, window=_WINDOW)
            lane = self._others[number] = Lane(self._loop, make(), make)
        return lane
