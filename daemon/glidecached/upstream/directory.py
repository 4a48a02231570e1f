"""All upstreams of the daemon: one per target, shared by the sessions that use it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glidecached.upstream.cluster.upstream import ClusterUpstream
from glidecached.upstream.standalone import StandaloneUpstream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from glidecached.loop import Loop
    from glidecached.upstream.base import Upstream
    from glidecached.upstream.identity import Target
    from glidecached.upstream.options import UpstreamOptions

_SWEEP_MS = 10_000


class TooManyUpstreamsError(Exception):
    """There are as many upstreams as the configuration allows, and all are in use."""


class Upstreams:
    """Upstreams by target. Those of the configuration stay; a client's own ends some seconds after its last session."""

    def __init__(self, loop: Loop, max_upstreams: int) -> None:
        self._loop = loop
        self._max_upstreams = max_upstreams
        self._by_target: dict[Target, Upstream] = {}
        self._permanent: dict[Target, str] = {}
        loop.call_later(_SWEEP_MS, self._sweep_regularly)

    def configure(self, name: str, target: Target, options: UpstreamOptions) -> None:
        """Add an upstream of the configuration. It connects when it is first used."""
        self._permanent.setdefault(target, name)
        if target not in self._by_target:
            self._by_target[target] = self._make(target, options)

    def get(self, target: Target, options: UpstreamOptions) -> Upstream:
        """The upstream of that target, made if there is none yet. Raises `TooManyUpstreamsError`."""
        upstream = self._by_target.get(target)
        if upstream is None:
            if len(self._by_target) >= self._max_upstreams:
                self._sweep()
            if len(self._by_target) >= self._max_upstreams:
                message = f"{self._max_upstreams} upstreams are in use already (max_upstreams)"
                raise TooManyUpstreamsError(message)
            upstream = self._by_target[target] = self._make(target, options)
        return upstream

    def stats(self) -> list[dict[str, Any]]:
        """One map per upstream."""
        return [{"name": self._permanent.get(each.target), **each.stats()} for each in self]

    def close(self, reason: str) -> None:
        """Close all; what is open fails with `reason`."""
        for upstream in self:
            upstream.close(reason)

    def __iter__(self) -> Iterator[Upstream]:
        return iter(list(self._by_target.values()))

    def _make(self, target: Target, options: UpstreamOptions) -> Upstream:
        kind = ClusterUpstream if target.mode == "cluster" else StandaloneUpstream
        return kind(self._loop, target, options)

    def _sweep_regularly(self) -> None:
        self._sweep()
        self._loop.call_later(_SWEEP_MS, self._sweep_regularly)

    def _sweep(self) -> None:
        for target, upstream in list(self._by_target.items()):
            if not upstream.sessions and target not in self._permanent and not upstream.busy:
                del self._by_target[target]
                upstream.close("no session uses it any more")
