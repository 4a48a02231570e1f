"""All upstreams of the daemon: one per target, shared by the sessions that use it."""

from __future__ import annotations

from dataclasses import replace
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
        """`max_upstreams` may be set anew at any time; upstreams that are in use stay."""
        self._loop = loop
        self.max_upstreams = max_upstreams
        self._by_target: dict[Target, Upstream] = {}
        self._superseded: list[Upstream] = []
        self._permanent: dict[Target, str] = {}
        loop.call_later(_SWEEP_MS, self._sweep_regularly)

    def configure(self, name: str, target: Target, options: UpstreamOptions) -> None:
        """Add an upstream of the configuration. It connects when it is first used."""
        self._permanent.setdefault(target, name)
        if target not in self._by_target:
            self._by_target[target] = self._make(target, options)

    def reconfigure(self, name: str, before: Target, target: Target, options: UpstreamOptions) -> None:
        """Change the configuration's upstream of that name, which was `before`: for connections made from now on.

        Sessions stay with it and keep the order of their commands. Of clients that brought just these credentials by
        themselves there may be an upstream already: its sessions stay with that one, until they end.
        """
        if before == target:
            upstream = self._by_target.get(target)
            if upstream is not None:
                upstream.adjust(target, options)
            return
        if self._permanent.get(before) != name:
            # Another name has the same target, and keeps it.
            self.configure(name, target, options)
            return
        upstream = self._by_target.pop(before)
        del self._permanent[before]
        if target in self._by_target:
            self._superseded.append(self._by_target[target])
        self._by_target[target] = upstream
        self._permanent[target] = name
        upstream.adjust(target, options)

    def unconfigure(self, name: str, target: Target) -> None:
        """The configuration has that upstream no more: it ends when nobody uses it."""
        if self._permanent.get(target) == name:
            del self._permanent[target]

    def get(self, target: Target, options: UpstreamOptions) -> Upstream:
        """The upstream of that target, made if there is none yet. Raises `TooManyUpstreamsError`."""
        upstream = self._by_target.get(target)
        if upstream is None:
            if len(self._by_target) >= self.max_upstreams:
                self._sweep()
            if len(self._by_target) >= self.max_upstreams:
                message = f"{self.max_upstreams} upstreams are in use already (max_upstreams)"
                raise TooManyUpstreamsError(message)
            upstream = self._by_target[target] = self._make(target, options)
        return upstream

    def in_known_order(self, target: Target) -> Target:
        """Return the target of an upstream that has the same addresses in another order, or the target itself."""
        for known in self._by_target:
            if (
                set(known.addresses) == set(target.addresses)
                and replace(known, addresses=target.addresses) == target
            ):
                return known
        return target

    def configured(self) -> list[Upstream]:
        """Those of the configuration."""
        return [self._by_target[target] for target in self._permanent]

    def stats(self) -> list[dict[str, Any]]:
        """One map per upstream."""
        return [{"name": self._permanent.get(each.target), **each.stats()} for each in self]

    def close(self, reason: str) -> None:
        """Close all; what is open fails with `reason`."""
        for upstream in self:
            upstream.close(reason)

    def __iter__(self) -> Iterator[Upstream]:
        return iter([*self._by_target.values(), *self._superseded])

    def _make(self, target: Target, options: UpstreamOptions) -> Upstream:
        kind = ClusterUpstream if target.mode == "cluster" else StandaloneUpstream
        return kind(self._loop, target, options)

    def _sweep_regularly(self) -> None:
        self._sweep()
        self._loop.call_later(_SWEEP_MS, self._sweep_regularly)

    def _sweep(self) -> None:
        for upstream in [each for each in self._superseded if not each.sessions and not each.busy]:
            self._superseded.remove(upstream)
            upstream.close("no session uses it any more")
        for target, upstream in list(self._by_target.items()):
            if not upstream.sessions and target not in self._permanent and not upstream.busy:
                del self._by_target[target]
                upstream.close("no session uses it any more")
