"""One multiplexed connection to a target's primary: made on first use, and made again when it is lost."""

from __future__ import annotations

import logging
import random
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from glidecache_shared.protocol import ERROR_BUSY, ERROR_CONNECTION
from glidecached.upstream.call import SingleCall
from glidecached.upstream.connection import Connection
from glidecached.upstream.connector import Attempt, Channel, ConnectError
from glidecached.upstream.line import Line
from glidecached.upstream.long_replies import LONG_REPLIES

if TYPE_CHECKING:
    from glidecached.process.loop import Loop, Timer
    from glidecached.upstream.call import Call
    from glidecached.upstream.latency_histogram import LatencyHistogram
    from glidecached.upstream.server_version import ServerVersion
    from glidecached.upstream.target import Address, Target, UpstreamOptions

logger = logging.getLogger(__name__)

_MAX_ATTEMPTS = 3
_STEADY_NS = 1_000_000_000
_WATCH_INTERVAL_MS = 1_000
_IDLE_NS = 60_000_000_000
"""A connection that is made on demand is closed after this long without a call."""
_SECOND_ATTEMPT_MS = 500
_MAX_PARALLEL_ATTEMPTS = 4
_LONG_REPLY_BYTES = 1_048_576
_WINDOW = 4
"""The number of long calls that are under way at once."""


class Keeper(Protocol):
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


class Pipeline(Line):
    """A queue of calls and the connection that they travel on.

    Without a connection, calls wait for the attempt that is under way. If it fails, they fail with its reason, and so
    do new ones whose deadline comes before the next attempt. Attempts continue, with exponential back-off and jitter,
    while there are sessions. When a connection is lost, sent calls may have run: known reads are sent again, up to
    three times, and everything else fails.

    `on_demand`: it is connected only while there are calls, and closed after a minute without any.
    """

    def __init__(
        self,
        loop: Loop,
        target: Target,
        options: UpstreamOptions,
        tally: LatencyHistogram,
        keeper: Keeper,
        *,
        on_demand: bool,
    ) -> None:
        super().__init__(loop, options)
        self.target = target
        self.last_error: str | None = None
        self.address: Address = target.addresses[0]
        self.software: ServerVersion | None = None
        self.connections_made = 0
        self._keeper = keeper
        self._tally = tally
        self._connected_ns = 0
        self._attempts: list[Attempt] = []
        self._another: Timer | None = None
        self._retry: Timer | None = None
        self._retry_ns = 0
        self._failures = 0
        self._watch: Timer | None = None
        self._used_ns = 0
        self._unproved = False
        self.on_demand = on_demand
        self.round_trip_ms = 0.0
        """The time that the first reply on the present connection took."""

    @property
    def connected(self) -> bool:
        """Return whether the connection exists."""
        return self._connection is not None

    @property
    def connecting(self) -> bool:
        """Return whether an attempt to connect is under way."""
        return bool(self._attempts)

    @property
    def silent_ms(self) -> float:
        """Return how long the oldest reply that the server owes has been owed, whatever else it has sent."""
        connection = self._connection
        if connection is None or not connection.waiting:
            return 0.0
        return (time.monotonic_ns() - connection.oldest_sent_ns) / 1e6

    @property
    def in_flight(self) -> int:
        """Return the number of calls that were sent and wait for a reply."""
        return 0 if self._connection is None else len(self._connection.waiting)

    @property
    def queued(self) -> int:
        """Return the number of calls that were not sent yet."""
        return len(self._queue)

    @property
    def busy(self) -> bool:
        """Return whether any call is open."""
        return bool(self._queue) or bool(self.in_flight)

    def adjust(self, target: Target, options: UpstreamOptions) -> None:
        """Use these for connections from now on. With other credentials, start an attempt under way again."""
        renewed = target.credentials != self.target.credentials
        self.target = target
        self._options = options
        if renewed and self._connection is None and (self._attempts or self._retry is not None):
            self._abandon_attempts()
            if self._retry is not None:
                self._retry.cancel()
            self._connect()

    def connect(self) -> None:
        """Connect, though there is no call yet. A pipeline that is closed or fails just now is left alone."""
        if (
            self._closed_reason is None
            and self._connection is None
            and not self._attempts
            and self._retry is None
        ):
            self._connect()

    def drop_unwanted(self) -> None:
        """Drop unsent calls that no client waits for any more."""
        if not self._queue:
            return
        now_ns = time.monotonic_ns()
        calls = list(self._queue)
        self._queue.clear()
        for call in calls:
            if call.is_wanted(now_ns):
                self._queue.append(call)
            else:
                call.abandon()

    def close(self, reason: str) -> None:
        """Close the connection; open calls fail. Idempotent."""
        if self._closed_reason is not None:
            return
        self._closed_reason = reason
        for timer in (self._retry, self._watch):
            if timer is not None:
                timer.cancel()
        self._abandon_attempts()
        if self._connection is not None:
            self._connection.close()
            self._queue.extendleft(reversed(self._connection.waiting))
            self._connection = None
        self._fail_queue(reason)

    def replace_connection(self, reason: str) -> None:
        """Close the connection and make another; calls on it end as after a loss."""
        connection = self._connection
        if connection is not None:
            self._connected_ns = 0 if self._failures else self._connected_ns
            connection.close()
            self.connection_lost(reason)

    def stats(self) -> dict[str, Any]:
        """Return numbers for the operator."""
        return {
            "requests": self._submitted,
            "failed": self._failed,
            "in_flight": self.in_flight,
            "queued": self.queued,
            "connections_made": self.connections_made,
        }

    def error_replied(self, text: str) -> None:
        """Implement `connection.Owner`."""
        self._keeper.error_replied(text)

    def reply_is_long(self) -> None:
        """Implement `connection.Owner`."""
        connection = self._connection
        if connection is not None and connection.waiting:
            LONG_REPLIES.add(getattr(connection.waiting[0], "arguments", ()))
            self._keeper.reply_is_long(self, connection)

    def connection_lost(self, reason: str) -> None:
        """Implement `connection.Owner`: divide the sent calls: some may be sent again, others may have run."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        self.last_error = f"{self.address}: connection lost: {reason}"
        logger.warning("upstream %s", self.last_error)
        failing = []
        again = []
        for call in connection.waiting:
            if call.repeatable and call.attempts < _MAX_ATTEMPTS:
                call.restart()
                again.append(call)
            else:
                failing.append(call)
        self._queue.extendleft(reversed(again))
        self._failed += len(failing)
        for call in failing:
            call.fail(ERROR_CONNECTION, f"{self.last_error}; the command may have run")
        if time.monotonic_ns() - self._connected_ns >= _STEADY_NS:
            self._failures = 0
            if self._queue or not self.on_demand:
                self._connect()
        else:
            # The server accepted the connection and dropped it at once: treat it as no server.
            self._back_off()

    @property
    def _wants_connection(self) -> bool:
        return bool(self._queue) or (not self.on_demand and self._keeper.sessions > 0)

    def _enqueue_unconnected(self, call: Call) -> None:
        if self._retry is not None and call.deadline_ns <= self._retry_ns:
            self._refuse(call, ERROR_CONNECTION, self.last_error or "not connected")
        elif len(self._queue) >= self._options.max_waiting_requests:
            self._refuse(call, ERROR_BUSY, self._too_many())
        else:
            self._queue.append(call)
            if not self._attempts and self._retry is None:
                self._connect()

    def _too_many(self) -> str:
        return f"{self._options.max_waiting_requests} requests already wait for {self.address}"

    def _connect(self) -> None:
        self._retry = None
        self._attempt()

    def _attempt(self) -> None:
        """Begin an attempt. If it hangs, begin another beside it: by then the name may lead elsewhere."""
        attempt: Attempt

        def attempted(result: Channel | ConnectError) -> None:
            self._attempted(attempt, result)

        attempt = Attempt(self._loop, self.target, self._options.connect_timeout_ms, attempted)
        self._attempts.append(attempt)
        if self._another is not None:
            self._another.cancel()
        self._another = None
        if len(self._attempts) < _MAX_PARALLEL_ATTEMPTS:
            self._another = self._loop.call_later(_SECOND_ATTEMPT_MS, self._attempt)

    def _abandon_attempts(self) -> None:
        attempts, self._attempts = self._attempts, []
        for attempt in attempts:
            attempt.abandon()
        if self._another is not None:
            self._another.cancel()
            self._another = None

    def _attempted(self, attempt: Attempt, result: Channel | ConnectError) -> None:
        self._attempts.remove(attempt)
        if isinstance(result, ConnectError):
            if not self._attempts:
                self._attempt_failed(result)
            return
        self._abandon_attempts()
        if self.last_error is not None:
            logger.info("upstream %s is reachable again", result.address)
        self.last_error = None
        self.address = result.address
        self.software = result.software
        self._connected_ns = time.monotonic_ns()
        self._tally.reconnects += self.connections_made > 0
        self.connections_made += 1
        if result.marker is None and not self._unproved:
            self._unproved = True
            logger.info(
                "upstream %s allows its user neither ECHO nor PING: after each late reply its connection is "
                "replaced, because nothing proves the order of the next ones",
                result.address,
            )
        self._connection = Connection(self._loop, result, self, self._tally)
        self._queue.appendleft(_NameConnection(self))
        self._keeper.pipeline_connected(self, result)
        self._loop.defer(self._flush)
        if self._watch is None:
            self._watch = self._loop.call_later(_WATCH_INTERVAL_MS, self._watch_for_stall)
        logger.debug("upstream %s connected, RESP%d", result.address, result.resp_version)

    def _attempt_failed(self, error: ConnectError) -> None:
        if self._another is not None:
            self._another.cancel()
            self._another = None
        self._keeper.pipeline_refused(self, error)
        if self.last_error != str(error):
            logger.warning("upstream not reachable: %s", error)
        self.last_error = str(error)
        self._fail_queue(self.last_error)
        self._back_off()

    def _back_off(self) -> None:
        """Plan the next attempt if a client could want it. Half of the delay is fixed, half is random."""
        self._failures += 1
        if not self._wants_connection:
            return
        options = self._options
        delay_ms = min(
            options.reconnect_max_ms, options.reconnect_initial_ms * 2 ** min(self._failures - 1, 16)
        )
        delay_ms *= 0.5 + 0.5 * random.random()  # noqa: S311 - spreads attempts, protects nothing
        self._retry_ns = time.monotonic_ns() + int(delay_ms * 1e6)
        self._retry = self._loop.call_at(self._retry_ns, self._connect)

    def _fail_queue(self, reason: str) -> None:
        calls, self._queue = self._queue, deque()
        self._failed += len(calls)
        for call in calls:
            call.fail(ERROR_CONNECTION, reason)

    def _watch_for_stall(self) -> None:
        """Close a connection on which a reply is overdue: the network may have lost it silently."""
        self._watch = self._loop.call_later(_WATCH_INTERVAL_MS, self._watch_for_stall)
        connection = self._connection
        if connection is None:
            return
        silent_ms = self.silent_ms
        now_ns = time.monotonic_ns()
        if self.busy:
            self._used_ns = now_ns
        if silent_ms > self._options.stall_timeout_ms:
            connection.close()
            self.connection_lost(f"no reply for {silent_ms / 1e3:.0f} s")
        elif self.on_demand and now_ns - max(self._used_ns, self._connected_ns) > _IDLE_NS:
            connection.close()
            self._connection = None


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


class WindowedPipeline(Pipeline):
    """The pipeline of long requests and replies: it has only a few under way at once.

    It refuses requests of a client that does not read its answers, instead of sending them. It also refuses a request
    whose last reply was long, if the client's process has no room for a long reply now.
    """

    def _flush(self) -> None:
        connection = self._connection
        if connection is None:
            super()._flush()
            return
        connection.on_reply = self._reply_taken
        waiting, self._queue = self._queue, deque()
        room = _WINDOW - len(connection.waiting)
        while waiting and len(self._queue) < room:
            call = waiting.popleft()
            full = call.refusal(_LONG_REPLY_BYTES if LONG_REPLIES.has_call(call) else 0)
            if full is None:
                self._queue.append(call)
            else:
                self._refuse(call, ERROR_BUSY, f"{full}; read the answers that were sent")
        super()._flush()
        self._queue.extend(waiting)

    def _reply_taken(self) -> None:
        if self._queue:
            self._loop.defer(self._flush)
