"""One standalone server: a multiplexed connection that is made on first use and comes back by itself."""

from __future__ import annotations

import functools
import logging
import random
import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from glidecache_shared.protocol import ERROR_BUSY, ERROR_CONNECTION
from glidecached.upstream.blocking import BlockingConnections
from glidecached.upstream.call import SingleCall
from glidecached.upstream.connection import Connection
from glidecached.upstream.connector import Attempt, Channel, ConnectError
from glidecached.upstream.line import Line
from glidecached.upstream.replicas import ReplicaReads, RoleCall, is_replica
from glidecached.upstream.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from glidecached.loop import Loop, Timer
    from glidecached.upstream.blocking import Holder, Reserved
    from glidecached.upstream.call import BatchCall, Call
    from glidecached.upstream.identity import Address, Target
    from glidecached.upstream.options import UpstreamOptions
    from glidecached.upstream.software import Software

logger = logging.getLogger(__name__)

_MAX_ATTEMPTS = 3
_STEADY_NS = 1_000_000_000
_WATCH_INTERVAL_MS = 1_000


class StandaloneUpstream(Line):
    """The upstream of one standalone target: see `glidecached.upstream.base.Upstream`.

    Without a connection, calls wait for the attempt that is under way. When it fails they fail with its reason, and so
    do new ones that cannot live to see the next attempt; attempts go on, with exponential back-off and jitter, while
    there are sessions. When a connection is lost, what was sent may have run: known reads are sent again, up to three
    times, everything else fails. `tally` is the one of the upstream that it is a part of.
    """

    def __init__(
        self, loop: Loop, target: Target, options: UpstreamOptions, tally: Tally | None = None
    ) -> None:
        super().__init__(loop, options)
        self.target = target
        self.sessions = 0
        self.proved = False
        self.last_error: str | None = None
        self.address: Address = target.addresses[0]
        self._connected_ns = 0
        self._attempt: Attempt | None = None
        self._rehearsal: Attempt | None = None
        self._retry: Timer | None = None
        self._retry_ns = 0
        self._failures = 0
        self._watch: Timer | None = None
        self._blocking = BlockingConnections(loop, target, options)
        self._replicas: ReplicaReads | None = None
        self._links: list[StandaloneUpstream] = []
        self._tally = tally or Tally()
        self._software: Software | None = None
        self.connections_made = 0

    @property
    def connected(self) -> bool:
        """Whether the multiplexed connection stands."""
        return self._connection is not None

    @property
    def software(self) -> list[Software]:
        """What its servers said that they are, when they were last connected to; each but once."""
        found = [self._software, *(link._software for link in self._links)]
        return list(dict.fromkeys(software for software in found if software is not None))

    @property
    def silent_ms(self) -> float:
        """For how long the server has sent nothing although it owes a reply."""
        connection = self._connection
        if connection is None or not connection.waiting:
            return 0.0
        return (time.monotonic_ns() - connection.last_received_ns) / 1e6

    @property
    def busy(self) -> bool:
        """Whether any call is open."""
        waits = self._connection is not None and bool(self._connection.waiting)
        return waits or bool(self._queue) or bool(self._blocking.in_use)

    def submit_read(self, call: SingleCall, floor: int, *, primary_too: bool) -> None:
        """Send a read to a replica, if there is one that is able to answer; else as `submit`."""
        if len(self.target.addresses) == 1 or self._closed_reason is not None:
            self.submit(call)
            return
        if self._replicas is None:
            self._links = self._make_links()
            self._replicas = ReplicaReads(self, self._links)
        self._replicas.submit(call, floor, primary_too=primary_too)

    def submit_batch(self, call: BatchCall) -> None:
        """Send the batch in one write: nothing comes between its commands."""
        self._enqueue(call)

    def submit_blocking(self, call: Call) -> None:
        """Send the call on a connection of its own."""
        self._submitted += 1
        if self._closed_reason is not None:
            self._refuse(call, ERROR_CONNECTION, self._closed_reason)
        else:
            self._blocking.submit(call)

    def reserve(self, keys: Sequence[bytes], holder: Holder) -> Reserved | str:
        """A connection of one's own; or why there is none. Which keys does not matter: all are here."""
        del keys
        return self._blocking.reserve(holder) if self._closed_reason is None else self._closed_reason

    @property
    def max_dedicated(self) -> int:
        """How many connections there may be for blocking calls and watches."""
        return self._options.max_blocking_connections

    def adjust(self, target: Target, options: UpstreamOptions) -> None:
        """Use these for connections from now on. Other credentials are tried out at once."""
        renewed = target.credentials != self.target.credentials
        self.target = self._blocking.target = target
        self._options = self._blocking.options = options
        for link in self._links:
            link.adjust(replace(target, addresses=link.target.addresses), options)
        if renewed:
            self._prove_again()

    def close(self, reason: str) -> None:
        """Close everything; what is open fails."""
        if self._closed_reason is not None:
            return
        self._closed_reason = reason
        for timer in (self._retry, self._watch):
            if timer is not None:
                timer.cancel()
        for attempt in (self._attempt, self._rehearsal):
            if attempt is not None:
                attempt.abandon()
        if self._connection is not None:
            self._connection.close()
            self._queue.extendleft(reversed(self._connection.waiting))
            self._connection = None
        self._blocking.close(reason)
        self._fail_queue(reason)
        if self._replicas is not None:
            self._replicas.close(reason)

    def stats(self) -> dict[str, Any]:
        """Numbers for the operator."""
        waiting = 0 if self._connection is None else len(self._connection.waiting)
        return {
            "mode": "standalone",
            "identity": str(self.target.identity),
            "addresses": [str(address) for address in self.target.addresses],
            "database": self.target.database,
            "connected_to": str(self.address) if self.connected else None,
            "software": [software._asdict() for software in self.software],
            "last_error": self.last_error,
            "sessions": self.sessions,
            "requests": self._submitted,
            "failed": self._failed,
            "in_flight": waiting,
            "queued": len(self._queue),
            "connections_made": self.connections_made,
            "blocking_connections": self._blocking.count,
            "replicas": [] if self._replicas is None else self._replicas.stats(),
            **self._tally.stats(),
        }

    def connection_lost(self, reason: str) -> None:
        """`connection.Owner`: sort what was sent into what may be sent again and what may have run."""
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
            self._connect()
        else:
            # It took the connection and dropped it: as good as no server. What waits fails with the next attempt.
            self._back_off()

    def _make_links(self) -> list[StandaloneUpstream]:
        """One connection for each address: any of them may be a replica, now or later."""
        return [
            StandaloneUpstream(
                self._loop, replace(self.target, addresses=(address,)), self._options, self._tally
            )
            for address in self.target.addresses
        ]

    def _enqueue_unconnected(self, call: Call) -> None:
        if self._retry is not None and call.deadline_ns <= self._retry_ns:
            self._refuse(call, ERROR_CONNECTION, self.last_error or "not connected")
        elif len(self._queue) >= self._options.max_waiting_requests:
            self._refuse(call, ERROR_BUSY, self._too_many())
        else:
            self._queue.append(call)
            if self._attempt is None and self._retry is None:
                self._connect()

    def _too_many(self) -> str:
        return f"{self._options.max_waiting_requests} requests already wait for {self.address}"

    def _connect(self) -> None:
        self._retry = None
        self._attempt = Attempt(self._loop, self.target, self._options.connect_timeout_ms, self._attempted)

    def _attempted(self, result: Channel | ConnectError) -> None:
        self._attempt = None
        if isinstance(result, ConnectError):
            self._attempt_failed(result)
            return
        if self.last_error is not None:
            logger.info("upstream %s is reachable again", result.address)
        self.proved = True
        self.last_error = None
        self.address = result.address
        self._software = result.software
        self._connected_ns = time.monotonic_ns()
        self._tally.reconnects += self.connections_made > 0
        self.connections_made += 1
        self._connection = Connection(self._loop, result, self, self._tally)
        self._queue.appendleft(_NameConnection())
        self._loop.defer(self._flush)
        if self._watch is None:
            self._watch = self._loop.call_later(_WATCH_INTERVAL_MS, self._watch_for_stall)
        logger.debug("upstream %s connected, RESP%d", result.address, result.resp_version)

    def _attempt_failed(self, error: ConnectError) -> None:
        if error.refused:
            self.proved = False
        if self.last_error != str(error):
            logger.warning("upstream not reachable: %s", error)
        self.last_error = str(error)
        self._fail_queue(self.last_error)
        self._back_off()

    def _prove_again(self) -> None:
        """The credentials are others: what the server thinks of them must be known before they are needed."""
        self.proved = False
        if self._connection is not None:
            if self._rehearsal is not None:
                self._rehearsal.abandon()
            self._rehearsal = Attempt(
                self._loop, self.target, self._options.connect_timeout_ms, self._rehearsed
            )
        elif self._attempt is not None or self._retry is not None:
            if self._attempt is not None:
                self._attempt.abandon()
            if self._retry is not None:
                self._retry.cancel()
            self._connect()

    def _rehearsed(self, result: Channel | ConnectError) -> None:
        self._rehearsal = None
        if isinstance(result, Channel):
            result.close()
            self.proved = True
            logger.info("upstream %s accepts the new credentials", result.address)
        else:
            logger.warning("no connection with the new credentials, those that stand go on: %s", result)

    def _back_off(self) -> None:
        """Plan the next attempt, if anybody could want it: half of the delay is fixed, half is chance."""
        self._failures += 1
        if not self.sessions and not self._queue:
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
        """Give up a connection on which replies have stopped coming: the network may have lost it silently."""
        self._watch = self._loop.call_later(_WATCH_INTERVAL_MS, self._watch_for_stall)
        connection = self._connection
        silent_ms = self.silent_ms
        if connection is not None and silent_ms > self._options.stall_timeout_ms:
            connection.close()
            self.connection_lost(f"no reply for {silent_ms / 1e3:.0f} s")
        elif connection is not None and len(self.target.addresses) > 1 and not silent_ms:
            self._enqueue(RoleCall(functools.partial(self._check_role, connection)))

    def _check_role(self, asked: Connection, role: Any) -> None:
        """Leave a server that takes no writes any more: after a fail-over another of the addresses is the primary."""
        if is_replica(role) and asked is self._connection:
            asked.close()
            self.connection_lost("it is a replica now")


class _NameConnection(SingleCall):
    """Names the connection for the server's operators. Whether the server allows that does not matter."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__((b"CLIENT", b"SETNAME", b"glidecached"), 2**63 - 1, repeatable=False)

    def abandon(self) -> None:
        """Not sent: nobody minds."""

    def succeed(self, reply: Any) -> None:
        """Named, or not."""

    def fail(self, code: int, message: str) -> None:
        """Not named."""
