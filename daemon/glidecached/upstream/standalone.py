"""One standalone server, or one node of a cluster: its connections by lane, and the search for its primary."""

from __future__ import annotations

import functools
import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from glidecache_shared.command_table import DEDICATED, OUT_OF_BAND
from glidecache_shared.protocol import ERROR_CONNECTION
from glidecached.upstream.connector import Attempt, Channel, ConnectError
from glidecached.upstream.dedicated import DedicatedConnections
from glidecached.upstream.detours import DetouredLane
from glidecached.upstream.lane import BULK, PROBE, Lanes
from glidecached.upstream.latency_histogram import LatencyHistogram
from glidecached.upstream.pipeline import Pipeline, WindowedPipeline
from glidecached.upstream.replicas import ReplicaReads, RoleCall, is_replica

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from glidecached.process.loop import Loop, Timer
    from glidecached.upstream.call import BatchCall, Call, SingleCall
    from glidecached.upstream.connection import Connection
    from glidecached.upstream.dedicated import ReservationHolder, Reserved
    from glidecached.upstream.server_version import ServerVersion
    from glidecached.upstream.target import Address, Target, UpstreamOptions

logger = logging.getLogger(__name__)

_ROLE_INTERVAL_MS = 300
"""Recovery within a second after a name points to another primary: this interval, a connection, and a request."""
_SEEK_NS = 300_000_000
_SEEK_LATER_NS = 700_000_000
_EAGER_NS = 60_000_000_000
"""The intervals of looking for a primary: in the first minute after it was lost, and later."""
_SEEK_FIRST_PRIMARY_NS = 10_000_000_000
"""The interval if none has ever been found."""
_IS_REPLICA = ("READONLY", "MASTERDOWN")
"""Errors that only a replica returns."""


class StandaloneUpstream(Lanes):
    """The upstream of one standalone target: see `glidecached.upstream.interface.Upstream`.

    Calls are sent by lane. Those with one immediate reply use the shared connection; scripts have their own. Calls that
    must reach a busy server are sent out of band; long requests have a connection for them. `pipeline` makes each
    connection and handles its loss; `detours` handles one that is held up. All of them lead to the current primary.

    A server that reports itself a replica fills no cache. It is left as soon as the target's addresses, resolved again,
    lead to a primary (isolation I14). `tally` is the latency histogram of the upstream that it is a part of.
    """

    def __init__(
        self, loop: Loop, target: Target, options: UpstreamOptions, tally: LatencyHistogram | None = None
    ) -> None:
        self._loop = loop
        self.target = target
        self._options = options
        self._tally = tally or LatencyHistogram()
        self.sessions = 0
        self.proved = False
        self.fills_cache = True
        self._main = self._make_pipeline(on_demand=False)
        self.shared: DetouredLane = DetouredLane(loop, self._main, self._make_spare)
        self._lanes: dict[int, DetouredLane] = {}
        self._out_of_band: Pipeline | None = None
        self._blocking = DedicatedConnections(loop, target, options)
        self._replicas: ReplicaReads | None = None
        self._links: list[StandaloneUpstream] = []
        self._rehearsal: Attempt | None = None
        self._is_replica = False
        self._was_primary = False
        self._replica_since_ns = 0
        self._next_seek_ns = 0
        self._role_timer: Timer | None = None
        self._closed_reason: str | None = None
        self._refused = 0

    @property
    def address(self) -> Address:
        """Return the server that is in use, or was last."""
        return self._pipeline.address

    @property
    def last_error(self) -> str | None:
        """Return why there is no connection; None while nothing is wrong."""
        return self._pipeline.last_error

    @property
    def connections_made(self) -> int:
        """Return how often the shared connection was made."""
        return self._pipeline.connections_made

    @property
    def connected(self) -> bool:
        """Return whether the shared connection exists."""
        return self._pipeline.connected

    @property
    def is_replica(self) -> bool:
        """Return whether the server reports itself a replica."""
        return self._is_replica

    @property
    def software(self) -> list[ServerVersion]:
        """Return what its servers reported about themselves when they were last connected to; each once."""
        found = [self._pipeline.software, *(link._pipeline.software for link in self._links)]
        return list(dict.fromkeys(software for software in found if software is not None))

    @property
    def silent_ms(self) -> float:
        """Return how long the oldest reply that the server owes has been owed, whatever else it has sent."""
        return self._pipeline.silent_ms

    @property
    def busy(self) -> bool:
        """Return whether any call is open."""
        return bool(self._blocking.in_use) or any(pipeline.busy for pipeline in self._pipelines())

    def submit_elsewhere(self, call: Call) -> None:
        """Send a call of another lane than the shared one."""
        if self._closed_reason is not None:
            self._refuse(call, self._closed_reason)
        elif call.lane == OUT_OF_BAND:
            self._of_band().submit(call)
        elif call.lane == PROBE:
            (self._of_band() if self._pipeline.busy else self._pipeline).submit(call)
        elif call.lane == DEDICATED:
            self.submit_blocking(call)
        else:
            self._lane(call.lane).submit(call)

    def submit_read(self, call: SingleCall, floor: int, *, primary_too: bool) -> None:
        """Send a read to a replica, if there is one that is able to answer; else as `submit`."""
        if len(self.target.addresses) == 1 or self._closed_reason is not None or call.lane:
            self.submit(call)
            return
        if self._replicas is None:
            self._links = self._make_links()
            self._replicas = ReplicaReads(self, self._links)
        self._replicas.submit(call, floor, primary_too=primary_too)

    def submit_batch(self, call: BatchCall) -> None:
        """Send the batch in one write: nothing comes between its commands."""
        self.submit(call)

    def submit_blocking(self, call: Call) -> None:
        """Send the call on a connection of its own."""
        if self._closed_reason is not None:
            self._refuse(call, self._closed_reason)
        else:
            self._blocking.submit(call)

    def reserve(self, keys: Sequence[bytes], holder: ReservationHolder) -> Reserved | str:
        """Reserve a connection for the holder, or return why there is none. All keys are on this server."""
        del keys
        return self._blocking.reserve(holder) if self._closed_reason is None else self._closed_reason

    def drop_unwanted(self) -> None:
        """Drop calls that no client waits for any more: unsent ones, and those with a connection of their own."""
        for pipeline in self._pipelines():
            pipeline.drop_unwanted()
        self._blocking.drop_unwanted()
        for link in self._links:
            link.drop_unwanted()

    @property
    def max_dedicated(self) -> int:
        """Return the most connections for blocking calls and watches."""
        return self._options.max_blocking_connections

    def adjust(self, target: Target, options: UpstreamOptions) -> None:
        """Use these for connections from now on. Other credentials are tried out at once."""
        renewed = target.credentials != self.target.credentials
        self.target = self._blocking.target = target
        self._options = self._blocking.options = options
        if renewed:
            self.proved = False
        for pipeline in self._pipelines():
            pipeline.adjust(target, options)
        for link in self._links:
            link.adjust(replace(target, addresses=link.target.addresses), options)
        if renewed and self.connected:
            self._rehearse(self._credentials_tried)

    def close(self, reason: str) -> None:
        """Close everything; open calls fail."""
        if self._closed_reason is not None:
            return
        self._closed_reason = reason
        if self._role_timer is not None:
            self._role_timer.cancel()
        if self._rehearsal is not None:
            self._rehearsal.abandon()
        for pipeline in self._pipelines():
            pipeline.close(reason)
        self._blocking.close(reason)
        if self._replicas is not None:
            self._replicas.close(reason)

    def stats(self) -> dict[str, Any]:
        """Return numbers for the operator."""
        counts = [pipeline.stats() for pipeline in self._pipelines()]
        return {
            "mode": "standalone",
            "identity": str(self.target.identity),
            "addresses": [str(address) for address in self.target.addresses],
            "database": self.target.database,
            "connected_to": str(self.address) if self.connected else None,
            "is_replica": self._is_replica,
            "fills_cache": self.fills_cache,
            "software": [software._asdict() for software in self.software],
            "last_error": self.last_error,
            "sessions": self.sessions,
            **{
                name: sum(count[name] for count in counts)
                for name in ("requests", "in_flight", "queued", "connections_made")
            },
            "failed": self._refused + sum(count["failed"] for count in counts),
            "blocking_connections": self._blocking.count,
            "held": any(lane.held for lane in (self.shared, *self._lanes.values())),
            "replicas": [] if self._replicas is None else self._replicas.stats(),
            **self._tally.stats(),
        }

    def pipeline_connected(self, pipeline: Pipeline, channel: Channel) -> None:
        """Implement `pipeline.Keeper`: the server has accepted the credentials; it may have described itself."""
        self.proved = True
        if pipeline is not self._pipeline:
            return
        self._learn_role(is_replica=channel.role == b"slave")
        if self._role_timer is None:
            self._role_timer = self._loop.call_later(_ROLE_INTERVAL_MS, self._ask_for_role)

    def pipeline_refused(self, pipeline: Pipeline, error: ConnectError) -> None:
        """Implement `pipeline.Keeper`."""
        del pipeline
        if error.refused:
            self.proved = False

    def reply_is_long(self, pipeline: Pipeline, connection: Connection) -> None:
        """Implement `pipeline.Keeper`: later replies would wait for this one."""
        for lane in (self.shared, *self._lanes.values()):
            if pipeline is lane.main:
                lane.reply_is_long(connection)

    def error_replied(self, text: str) -> None:
        """Implement `pipeline.Keeper`: a replica's refusal is a reason to look for the primary at once."""
        if text.startswith(_IS_REPLICA):
            self._learn_role(is_replica=True)

    @property
    def _pipeline(self) -> Pipeline:
        """Return the shared pipeline in use."""
        return self.shared.main

    def _pipelines(self) -> list[Pipeline]:
        """Return all connections except those of blocking calls."""
        found = [pipeline for lane in (self.shared, *self._lanes.values()) for pipeline in lane.pipelines]
        return found if self._out_of_band is None else [*found, self._out_of_band]

    def _make_pipeline(self, *, on_demand: bool) -> Pipeline:
        return Pipeline(self._loop, self.target, self._options, self._tally, self, on_demand=on_demand)

    def _make_spare(self) -> Pipeline:
        return self._make_pipeline(on_demand=True)

    def _make_windowed(self) -> Pipeline:
        return WindowedPipeline(self._loop, self.target, self._options, self._tally, self, on_demand=True)

    def _of_band(self) -> Pipeline:
        if self._out_of_band is None:
            self._out_of_band = self._make_spare()
        return self._out_of_band

    def _lane(self, number: int) -> DetouredLane:
        lane = self._lanes.get(number)
        if lane is None:
            make = self._make_windowed if number == BULK else self._make_spare
            lane = self._lanes[number] = DetouredLane(self._loop, make(), make)
        return lane

    def _make_links(self) -> list[StandaloneUpstream]:
        """Make one upstream for each address: any of them may be a replica, now or later."""
        return [
            StandaloneUpstream(
                self._loop, replace(self.target, addresses=(address,)), self._options, self._tally
            )
            for address in self.target.addresses
        ]

    def _refuse(self, call: Call, reason: str) -> None:
        self._refused += 1
        call.fail(ERROR_CONNECTION, reason)

    def _ask_for_role(self) -> None:
        """Notice a fail-over without a lost connection: ask for the server's role a few times a second."""
        self._role_timer = self._loop.call_later(_ROLE_INTERVAL_MS, self._ask_for_role)
        if self.connected and (self.sessions or self.busy):
            asked = self._pipeline._connection
            question = RoleCall(functools.partial(self._role_told, asked))
            question.lane = PROBE
            self.submit(question)

    def _role_told(self, asked: Connection | None, role: Any) -> None:
        if isinstance(role, list) and asked is self._pipeline._connection:
            self._learn_role(is_replica=is_replica(role))

    def _learn_role(self, *, is_replica: bool) -> None:
        if not is_replica:
            self._is_replica = False
            self._was_primary = self.fills_cache = True
            return
        now_ns = time.monotonic_ns()
        if not self._is_replica:
            self._is_replica = True
            self._replica_since_ns = self._next_seek_ns = now_ns
            self._warn_of_replica()
        self.fills_cache = self._options.allow_replica and not self._was_primary
        if len(self.target.addresses) > 1:
            self._pipeline.replace_connection("it is a replica now")
        elif now_ns >= self._next_seek_ns and not self.fills_cache and self._rehearsal is None:
            self._next_seek_ns = now_ns + self._seek_interval_ns(now_ns)
            self._rehearse(self._primary_sought)

    def _seek_interval_ns(self, now_ns: int) -> int:
        if not self._was_primary:
            return _SEEK_FIRST_PRIMARY_NS
        return _SEEK_NS if now_ns - self._replica_since_ns < _EAGER_NS else _SEEK_LATER_NS

    def _warn_of_replica(self) -> None:
        if self._was_primary:
            logger.warning("upstream %s is a replica now; looking for the primary", self.address)
        elif not self._options.allow_replica:
            logger.warning(
                "upstream %s is a replica: it is asked, and fills no cache (allow_replica = false)",
                self.address,
            )

    def _rehearse(self, done: Callable[[Channel | ConnectError], object]) -> None:
        """Make a connection only for what the server reports on it, with names resolved again."""
        if self._rehearsal is not None:
            self._rehearsal.abandon()
        self._rehearsal = Attempt(self._loop, self.target, self._options.connect_timeout_ms, done)

    def _primary_sought(self, result: Channel | ConnectError) -> None:
        self._rehearsal = None
        if isinstance(result, ConnectError):
            return
        found = result.role != b"slave"
        result.close()
        if found and self._is_replica:
            for pipeline in self._pipelines():
                pipeline.replace_connection("it is a replica now")
            self._blocking.retire_idle()

    def _credentials_tried(self, result: Channel | ConnectError) -> None:
        self._rehearsal = None
        if isinstance(result, Channel):
            result.close()
            self.proved = True
            logger.info("upstream %s accepts the new credentials", result.address)
        else:
            logger.warning("no connection with the new credentials, the present ones stay: %s", result)
