"""One multiplexed connection to a server, and the queue of calls for it: made on first use, made again when lost.

Calls are queued while a turn of the loop lasts, then written together. Every call passes `Pipeline.submit`, so the
class is compiled (see `pipeline.pxd`). It reports rare events to its handler.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Protocol

import cython
from cython.cimports.glidecache_shared.pool.clock import monotonic_ns

from glidecache_shared.protocol import ERROR_BUSY, ERROR_CONNECTION
from glidecached.process.turn_end import Deferred
from glidecached.upstream.call import SingleCall
from glidecached.upstream.call_queue import CallQueue
from glidecached.upstream.connection import Connection
from glidecached.upstream.long_replies import LONG_REPLIES
from glidecached.upstream.reconnector import Reconnector

if TYPE_CHECKING:
    from glidecached.process.loop import Loop
    from glidecached.process.timers import Timer
    from glidecached.upstream.call import Call
    from glidecached.upstream.connector import Channel, ConnectError
    from glidecached.upstream.latency_histogram import LatencyHistogram
    from glidecached.upstream.server_version import ServerVersion
    from glidecached.upstream.target import Address, Target, UpstreamOptions

logger = logging.getLogger(__name__)

_MAX_ATTEMPTS = 3
_WATCH_INTERVAL_MS = 1_000
_IDLE_NS = 60_000_000_000
"""A connection that is made on demand is closed after this long without a call."""
_LONG_REPLY_BYTES = 1_048_576


class PipelineHandler(Protocol):
    """The upstream that a pipeline is a part of."""

    sessions: int

    def pipeline_connected(self, pipeline: Pipeline, channel: Channel) -> None:
        """Handle a new connection, before anything is sent on it."""

    def pipeline_refused(self, pipeline: Pipeline, error: ConnectError) -> None:
        """Handle an attempt that failed."""

    def reply_is_long(self, pipeline: Pipeline, connection: Connection) -> None:
        """Handle a reply so long that those behind it would wait for it."""

    def error_replied(self, text: str) -> None:
        """Handle an error in a server's reply, whatever call it belongs to."""


class Pipeline(Deferred):
    """A queue of calls and the connection that they travel on. Belongs to the loop's thread.

    Without a connection, calls wait for the attempt that is under way. If it fails, they fail with its reason, and so
    do new ones whose deadline comes before the next attempt. Attempts continue while there are sessions (see
    `reconnector`). When a connection is lost, sent calls may have run: known reads are sent again, up to three times,
    and everything else fails.

    `on_demand`: it is connected only while there are calls, and closed after a minute without any.

    `window`: the most calls under way at once, for long requests and replies. Such a pipeline refuses requests of a
    client that does not read its answers, instead of sending them. It also refuses a request whose last reply was
    long, if the client's process has no room for a long reply now.
    """

    def __init__(
        self,
        loop: Loop,
        target: Target,
        options: UpstreamOptions,
        latencies: LatencyHistogram,
        handler: PipelineHandler,
        *,
        on_demand: cython.bint,
        window: cython.Py_ssize_t = 0,
    ) -> None:
        self.connection: Connection | None = None
        self.queue = CallQueue()
        """The calls that were not sent yet, in their order. A lane takes calls out of it for a detour."""
        self.reconnector = Reconnector(loop, target, options, self)
        self.address: Address = target.addresses[0]
        self.last_error: str | None = None
        self.server_version: ServerVersion | None = None
        self.connections_made: cython.Py_ssize_t = 0
        self.on_demand = on_demand
        self.round_trip_ms: cython.double = 0.0
        """The time that the first reply on the present connection took."""
        self._loop = loop
        self._handler = handler
        self._latencies = latencies
        self._closed_reason: str | None = None
        self._max_waiting: cython.Py_ssize_t = options.max_waiting_requests
        self._stall_ms: cython.Py_ssize_t = options.stall_timeout_ms
        self._window = window
        self._submitted: cython.Py_ssize_t = 0
        self._failed: cython.Py_ssize_t = 0
        self._unproved: cython.bint = False
        self._watch: Timer | None = None
        self._used_ns: cython.longlong = 0

    @property
    def connected(self) -> bool:
        """Return whether the connection exists."""
        return self.connection is not None

    @property
    def closed(self) -> bool:
        """Return whether it takes no more calls."""
        return bool(self.is_closed())

    def is_closed(self) -> cython.bint:
        """Return whether it is `closed`."""
        return self._closed_reason is not None

    @property
    def silent_ms(self) -> float:
        """Return how long the oldest reply that the server owes has been owed, whatever else it has sent."""
        connection = self.connection
        if connection is None or not connection.waiting:
            return 0.0
        return (time.monotonic_ns() - connection.oldest_sent_ns) / 1e6

    @property
    def busy(self) -> bool:
        """Return whether any call is open."""
        return bool(self.is_busy())

    def is_busy(self) -> cython.bint:
        """Return whether it is `busy`."""
        return self.queue.count > 0 or (self.connection is not None and self.connection.waiting.count > 0)

    @property
    def wants_connection(self) -> bool:
        """Implement `ReconnectHandler`."""
        return bool(self.queue) or (not self.on_demand and self._handler.sessions > 0)

    def submit(self, call: Call) -> None:
        """Send the call in the order of submission, or refuse it."""
        connection: Connection | None = self.connection
        self._submitted += 1
        if self._closed_reason is not None:
            self._refuse(call, ERROR_CONNECTION, self._closed_reason)
            return
        call.submitted_ns = monotonic_ns()
        if connection is None:
            self._submit_unconnected(call)
        elif self.queue.count + connection.waiting.count >= self._max_waiting:
            self._refuse(call, ERROR_BUSY, self._too_many())
        else:
            self.queue.append(call)
            self._loop.turn_end.add(self)

    def connect(self) -> None:
        """Connect, though there is no call yet. A pipeline that is closed or fails just now is left alone."""
        if self._closed_reason is None and self.connection is None:
            self.reconnector.connect()

    def reconfigure(self, target: Target, options: UpstreamOptions) -> None:
        """Use these for connections from now on. With other credentials, start an attempt under way again."""
        self._max_waiting = options.max_waiting_requests
        self._stall_ms = options.stall_timeout_ms
        self.reconnector.reconfigure(target, options)

    def drop_unwanted(self) -> None:
        """Drop unsent calls that no client waits for any more."""
        if not self.queue:
            return
        now_ns = time.monotonic_ns()
        calls = list(self.queue)
        self.queue.clear()
        for call in calls:
            if call.is_wanted(now_ns):
                self.queue.append(call)
            else:
                call.abandon()

    def close(self, reason: str) -> None:
        """Close the connection; open calls fail. Idempotent."""
        if self._closed_reason is not None:
            return
        self._closed_reason = reason
        if self._watch is not None:
            self._watch.cancel()
        self.reconnector.close()
        if self.connection is not None:
            self.connection.close()
            self.queue.extendleft(reversed(self.connection.waiting))
            self.connection = None
        self._fail_queue(reason)

    def replace_connection(self, reason: str) -> None:
        """Close the connection and make another; calls on it end as after a loss."""
        connection = self.connection
        if connection is not None:
            self.reconnector.excuse_loss()
            connection.close()
            self.connection_lost(reason)

    def stats(self) -> dict[str, Any]:
        """Return numbers for the operator."""
        return {
            "requests": self._submitted,
            "failed": self._failed,
            "in_flight": 0 if self.connection is None else len(self.connection.waiting),
            "queued": len(self.queue),
            "connections_made": self.connections_made,
        }

    def connection_made(self, channel: Channel) -> None:
        """Implement `ReconnectHandler`."""
        if self.last_error is not None:
            logger.info("upstream reachable again", extra={"upstream": str(channel.address)})
        self.last_error = None
        self.address = channel.address
        self.server_version = channel.server_version
        self._latencies.reconnects += self.connections_made > 0
        self.connections_made += 1
        if channel.marker is None and not self._unproved:
            self._unproved = True
            logger.info(
                "user may run neither ECHO nor PING; a connection is replaced after each late reply, "
                "because its order cannot be proved",
                extra={"upstream": str(channel.address)},
            )
        self.connection = Connection(self._loop, channel, self, self._latencies)
        if self._window:
            self.connection.on_reply = self._reply_taken
        self.queue.appendleft(_NameConnection(self))
        self._handler.pipeline_connected(self, channel)
        self._loop.turn_end.add(self)
        if self._watch is None:
            self._watch = self._loop.call_later(_WATCH_INTERVAL_MS, self._watch_for_stall)
        logger.debug(
            "upstream connected", extra={"upstream": str(channel.address), "resp": channel.resp_version}
        )

    def connection_failed(self, error: ConnectError) -> None:
        """Implement `ReconnectHandler`."""
        self._handler.pipeline_refused(self, error)
        reason = str(error)
        if self.last_error != reason:
            logger.warning("upstream not reachable", extra={"upstream": str(self.address), "reason": reason})
        self.last_error = reason
        self._fail_queue(reason)

    def connection_lost(self, reason: str) -> None:
        """Implement `ConnectionHandler`: divide the sent calls: some may be sent again, others may have run."""
        connection, self.connection = self.connection, None
        if connection is None:
            return
        self.last_error = f"{self.address}: connection lost: {reason}"
        logger.warning("upstream connection lost", extra={"upstream": str(self.address), "reason": reason})
        failing = []
        again = []
        for call in connection.waiting:
            if call.repeatable and call.attempts < _MAX_ATTEMPTS:
                call.restart()
                again.append(call)
            else:
                failing.append(call)
        self.queue.extendleft(reversed(again))
        self._failed += len(failing)
        for call in failing:
            call.fail(ERROR_CONNECTION, f"{self.last_error}; the command may have run")
        self.reconnector.connection_lost(again=bool(self.queue) or not self.on_demand)

    def connection_drained(self) -> None:
        """Implement `ConnectionHandler`: there is room for more."""
        self.end_turn()

    def reply_is_long(self) -> None:
        """Implement `ConnectionHandler`."""
        connection = self.connection
        if connection is not None and connection.waiting:
            LONG_REPLIES.add(getattr(connection.waiting[0], "arguments", ()))
            self._handler.reply_is_long(self, connection)

    def error_replied(self, text: str) -> None:
        """Implement `ConnectionHandler`."""
        self._handler.error_replied(text)

    def _submit_unconnected(self, call: Call) -> None:
        if call.deadline_ns <= self.reconnector.next_attempt_ns:
            self._refuse(call, ERROR_CONNECTION, self.last_error or "not connected")
        elif len(self.queue) >= self._max_waiting:
            self._refuse(call, ERROR_BUSY, self._too_many())
        else:
            self.queue.append(call)
            self.reconnector.connect()

    def _refuse(self, call: Call, code: cython.int, message: str) -> None:
        """Fail a call that was not taken."""
        self._failed += 1
        call.fail(code, message)

    def _too_many(self) -> str:
        return f"{self._max_waiting} requests already wait for {self.address}"

    def end_turn(self) -> None:
        """Implement `Deferred`: write what waits, so that all of it leaves together."""
        # It may be lost while it sends: without this reference it would be freed while it runs.
        connection: Connection | None = self.connection
        if connection is None:
            return
        if self._window:
            self._send_window(connection)
        else:
            connection.send(self.queue)

    def _send_window(self, connection: Connection) -> None:
        """Send only as many calls as may be under way at once."""
        waiting, self.queue = self.queue, CallQueue()
        room = self._window - len(connection.waiting)
        while waiting and len(self.queue) < room:
            call = waiting.popleft()
            full = call.refusal(_LONG_REPLY_BYTES if LONG_REPLIES.has_call(call) else 0)
            if full is None:
                self.queue.append(call)
            else:
                self._refuse(call, ERROR_BUSY, f"{full}; read the answers that were sent")
        connection.send(self.queue)
        self.queue.extend(waiting)

    def _reply_taken(self) -> None:
        if self.queue:
            self._loop.turn_end.add(self)

    def _fail_queue(self, reason: str) -> None:
        calls, self.queue = self.queue, CallQueue()
        self._failed += len(calls)
        for call in calls:
            call.fail(ERROR_CONNECTION, reason)

    def _watch_for_stall(self) -> None:
        """Close a connection on which a reply is overdue: the network may have lost it silently."""
        self._watch = self._loop.call_later(_WATCH_INTERVAL_MS, self._watch_for_stall)
        connection = self.connection
        if connection is None:
            return
        silent_ms = self.silent_ms
        now_ns = time.monotonic_ns()
        if self.busy:
            self._used_ns = now_ns
        if silent_ms > self._stall_ms:
            connection.close()
            self.connection_lost(f"no reply for {silent_ms / 1e3:.0f} s")
        elif self.on_demand and now_ns - max(self._used_ns, self.reconnector.connected_ns) > _IDLE_NS:
            connection.close()
            self.connection = None


class _NameConnection(SingleCall):
    """A command that names the connection for the server's operators, and measures its round trip.

    A refusal does not matter.
    """

    __slots__ = ("_begun_ns", "_pipeline")

    def __init__(self, pipeline: Pipeline) -> None:
        super().__init__((b"CLIENT", b"SETNAME", b"glidecached"), 2**63 - 1, repeatable=False)
        self._pipeline = pipeline
        self._begun_ns = time.monotonic_ns()

    def abandon(self) -> None:
        """Do nothing: the name is not needed."""

    def succeed(self, reply: Any) -> None:
        """Record the round trip, whether the name was accepted or refused."""
        del reply
        self._pipeline.round_trip_ms = (time.monotonic_ns() - self._begun_ns) / 1e6

    def fail(self, code: int, message: str) -> None:
        """Do nothing: the name is not needed."""
