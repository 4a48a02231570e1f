"""One standalone server, or one node of a cluster: its connections by lane, and the search for its primary."""

from __future__ import annotations

import functools
import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from glidecached.upstream.connector import Attempt, Channel, ConnectError
from glidecached.upstream.dedicated import DedicatedConnections
from glidecached.upstream.lane import PROBE, Lanes
from glidecached.upstream.latency_histogram import LatencyHistogram
from glidecached.upstream.pipeline import Pipeline
from glidecached.upstream.replicas import ReplicaReads, RoleCall, is_replica
from glidecached.upstream.sender import UpstreamCore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from glidecached.process.loop import Loop
    from glidecached.process.timers import Timer
    from glidecached.upstream.call import BatchCall, SingleCall
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


class StandaloneUpstream(UpstreamCore):
    """The upstream of one standalone target: see `glidecached.upstream.interface.Upstream`.

    Calls are sent by `lanes`. `submit` is the lanes' own method: no Python code runs between a caller and the compiled
    lanes. All their connections lead to the current primary.

    A server that reports itself a replica fills no cache. It is left as soon as the target's addresses, resolved again,
    lead to a primary (isolation I14). `latencies` is that of the upstream that it is a part of.
    """

    def __init__(
        self,
        loop: Loop,
        target: Target,
        options: UpstreamOptions,
        latencies: LatencyHistogram | None = None,
    ) -> None:
        self._loop = loop
        self.target = target
        self._options = options
        self._latencies = latencies or LatencyHistogram()
        self.sessions = 0
        self.proved = False
        self.fills_cache = True
        self.lanes = Lanes(loop, self._make_pipeline, DedicatedConnections(loop, target, options))
        self.sender = self.lanes
        self.submit = self.lanes.submit
        self.submit_blocking = self.lanes.submit_dedicated
        self._replicas: ReplicaReads | None = None
        self._links: list[StandaloneUpstream] = []
        self._probe: Attempt | None = None
        """A connection that is made only for what the server reports on it."""
        self._is_replica = False
        self._was_primary = False
        self._replica_since_ns = 0
        self._next_seek_ns = 0
        self._role_timer: Timer | None = None
        self._closed = False

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
        made: int = self._pipeline.connections_made
        return made

    @property
    def connected(self) -> bool:
        """Return whether the shared connection exists."""
        return self._pipeline.connected

    @property
    def is_replica(self) -> bool:
        """Return whether the server reports itself a replica."""
        return self._is_replica

    @property
    def server_versions(self) -> list[ServerVersion]:
        """Return the versions that its servers reported when they were last connected to; each once."""
        mine = self._pipeline.server_version
        found = [] if mine is None else [mine]
        found += (version for link in self._links for version in link.server_versions)
        return list(dict.fromkeys(found))

    @property
    def silent_ms(self) -> float:
        """Return how long the oldest reply that the server owes has been owed, whatever else it has sent."""
        return self._pipeline.silent_ms

    @property
    def busy(self) -> bool:
        """Return whether any call is open."""
        return self.lanes.busy

    def submit_read(self, call: SingleCall, floor: int, *, primary_too: bool) -> None:
        """Send a read to a replica, if there is one that is able to answer; else as `submit`."""
        if len(self.target.addresses) == 1 or self._closed or call.lane:
            self.submit(call)
            return
        if self._replicas is None:
            self._links = self._make_links()
            self._replicas = ReplicaReads(self, self._links)
        self._replicas.submit(call, floor, primary_too=primary_too)

    def submit_batch(self, call: BatchCall) -> None:
        """Send the batch in one write: nothing comes between its commands."""
        self.submit(call)

    def reserve(self, keys: Sequence[bytes], holder: ReservationHolder) -> Reserved | str:
        """Reserve a connection for the holder, or return why there is none. All keys are on this server."""
        del keys
        return self.lanes.reserve(holder)

    def drop_unwanted(self) -> None:
        """Drop calls that no client waits for any more: unsent ones, and those with a connection of their own."""
        self.lanes.drop_unwanted()
        for link in self._links:
            link.drop_unwanted()

    @property
    def max_dedicated(self) -> int:
        """Return the most connections for blocking calls and watches."""
        return self._options.max_blocking_connections

    def reconfigure(self, target: Target, options: UpstreamOptions) -> None:
        """Use these for connections from now on. Other credentials are tried out at once."""
        renewed = target.credentials != self.target.credentials
        self.target = target
        self._options = options
        if renewed:
            self.proved = False
        self.lanes.reconfigure(target, options)
        for link in self._links:
            link.reconfigure(replace(target, addresses=link.target.addresses), options)
        if renewed and self.connected:
            self._start_probe(self._credentials_tried)

    def close(self, reason: str) -> None:
        """Close everything; open calls fail."""
        if self._closed:
            return
        self._closed = True
        if self._role_timer is not None:
            self._role_timer.cancel()
        if self._probe is not None:
            self._probe.abandon()
        self.lanes.close(reason)
        if self._replicas is not None:
            self._replicas.close(reason)

    def stats(self) -> dict[str, Any]:
        """Return numbers for the operator."""
        return {
            "mode": "standalone",
            "identity": str(self.target.identity),
            "addresses": [str(address) for address in self.target.addresses],
            "database": self.target.database,
            "connected_to": str(self.address) if self.connected else None,
            "is_replica": self._is_replica,
            "fills_cache": self.fills_cache,
            "software": [version._asdict() for version in self.server_versions],
            "last_error": self.last_error,
            "sessions": self.sessions,
            **self.lanes.stats(),
            "replicas": [] if self._replicas is None else self._replicas.stats(),
            **self._latencies.stats(),
        }

    def pipeline_connected(self, pipeline: Pipeline, channel: Channel) -> None:
        """Implement `PipelineHandler`: the server has accepted the credentials; it may have described itself."""
        self.proved = True
        if pipeline is not self._pipeline:
            return
        self._learn_role(is_replica=channel.role == b"slave")
        if self._role_timer is None:
            self._role_timer = self._loop.call_later(_ROLE_INTERVAL_MS, self._ask_for_role)

    def pipeline_refused(self, pipeline: Pipeline, error: ConnectError) -> None:
        """Implement `PipelineHandler`."""
        del pipeline
        if error.refused:
            self.proved = False

    def reply_is_long(self, pipeline: Pipeline, connection: Connection) -> None:
        """Implement `PipelineHandler`: later replies would wait for this one."""
        self.lanes.reply_is_long(pipeline, connection)

    def error_replied(self, text: str) -> None:
        """Implement `PipelineHandler`: a replica's refusal is a reason to look for the primary at once."""
        if text.startswith(_IS_REPLICA):
            self._learn_role(is_replica=True)

    @property
    def _pipeline(self) -> Pipeline:
        """Return the shared pipeline in use."""
        return self.lanes.shared.main

    def _make_pipeline(self, *, on_demand: bool, window: int = 0) -> Pipeline:
        return Pipeline(
            self._loop, self.target, self._options, self._latencies, self, on_demand=on_demand, window=window
        )

    def _make_links(self) -> list[StandaloneUpstream]:
        """Make one upstream for each address: any of them may be a replica, now or later."""
        return [
            StandaloneUpstream(
                self._loop, replace(self.target, addresses=(address,)), self._options, self._latencies
            )
            for address in self.target.addresses
        ]

    def _ask_for_role(self) -> None:
        """Notice a fail-over without a lost connection: ask for the server's role a few times a second."""
        self._role_timer = self._loop.call_later(_ROLE_INTERVAL_MS, self._ask_for_role)
        if self.connected and (self.sessions or self.busy):
            asked = self._pipeline.connection
            question = RoleCall(functools.partial(self._role_received, asked))
            question.lane = PROBE
            self.submit(question)

    def _role_received(self, asked: Connection | None, role: Any) -> None:
        if isinstance(role, list) and asked is self._pipeline.connection:
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
        elif now_ns >= self._next_seek_ns and not self.fills_cache and self._probe is None:
            self._next_seek_ns = now_ns + self._seek_interval_ns(now_ns)
            self._start_probe(self._primary_sought)

    def _seek_interval_ns(self, now_ns: int) -> int:
        if not self._was_primary:
            return _SEEK_FIRST_PRIMARY_NS
        return _SEEK_NS if now_ns - self._replica_since_ns < _EAGER_NS else _SEEK_LATER_NS

    def _warn_of_replica(self) -> None:
        if self._was_primary:
            logger.warning(
                "upstream became a replica; looking for the primary", extra={"upstream": str(self.address)}
            )
        elif not self._options.allow_replica:
            logger.warning(
                "upstream is a replica; it is used, but fills no cache (allow_replica = false)",
                extra={"upstream": str(self.address)},
            )

    def _start_probe(self, done: Callable[[Channel | ConnectError], object]) -> None:
        """Make a connection only for what the server reports on it, with names resolved again."""
        if self._probe is not None:
            self._probe.abandon()
        self._probe = Attempt(self._loop, self.target, self._options.connect_timeout_ms, done)

    def _primary_sought(self, result: Channel | ConnectError) -> None:
        self._probe = None
        if isinstance(result, ConnectError):
            return
        found = result.role != b"slave"
        result.close()
        if found and self._is_replica:
            self.lanes.replace_connections("it is a replica now")

    def _credentials_tried(self, result: Channel | ConnectError) -> None:
        self._probe = None
        if isinstance(result, Channel):
            result.close()
            self.proved = True
            logger.info("new credentials accepted", extra={"upstream": str(result.address)})
        else:
            logger.warning(
                "no connection with the new credentials; open ones stay", extra={"reason": str(result)}
            )
