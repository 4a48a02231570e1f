"""All upstreams of the daemon: one per target, shared by the sessions that use it.

An upstream that a client brings counts for its maker until it ends, whichever process uses it (isolation I9). Those of
the configuration are the operator's, and count for no client.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from glidecached.shares import Shares
from glidecached.upstream.cluster.cluster_upstream import ClusterUpstream
from glidecached.upstream.standalone import StandaloneUpstream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from glidecached.process.loop import Loop
    from glidecached.shares import Holder
    from glidecached.upstream.interface import Upstream
    from glidecached.upstream.target import Target, UpstreamOptions

_SWEEP_MS = 10_000


class TooManyUpstreamsError(Exception):
    """The client has its share of upstreams, and all are in use: `args[0]` names the process or user."""


class _Maker(NamedTuple):
    """The process that brought an upstream: its identity stays while its peers come and go."""

    uid: int
    pid: int


class Upstreams:
    """The upstreams, by target.

    Those of the configuration stay. A client's own upstream ends some seconds after its last session.
    """

    def __init__(self, loop: Loop, max_upstreams: int) -> None:
        """Hold all upstreams. `max_upstreams` limits those of clients.

        When the limit is reduced, upstreams in use stay.
        """
        self._loop = loop
        self._shares = Shares(max_upstreams, "upstreams that clients bring", "[daemon] max_upstreams")
        self._makers: dict[Upstream, _Maker] = {}
        self._by_target: dict[Target, Upstream] = {}
        self._superseded: list[Upstream] = []
        self._permanent: dict[Target, str] = {}
        loop.call_later(_SWEEP_MS, self._sweep_regularly)

    @property
    def max_upstreams(self) -> int:
        """Return the limit of upstreams that clients bring; may be changed at any time."""
        return self._shares.total

    @max_upstreams.setter
    def max_upstreams(self, count: int) -> None:
        self._shares.total = count

    def configure(self, name: str, target: Target, options: UpstreamOptions) -> None:
        """Add an upstream of the configuration. It connects when it is first used."""
        self._permanent.setdefault(target, name)
        upstream = self._by_target.get(target)
        if upstream is None:
            self._by_target[target] = self._make(target, options)
        elif (maker := self._makers.pop(upstream, None)) is not None:
            self._shares.leave(maker)  # a client brought it first: from now on it is the operator's

    def reconfigure(self, name: str, before: Target, target: Target, options: UpstreamOptions) -> None:
        """Change the configuration's upstream of that name, which was `before`: for connections made from now on.

        Sessions stay with it and keep the order of their commands. Clients may have brought these same credentials by
        themselves, so an upstream for them may exist. Its sessions stay with it until they end.
        """
        if before == target:
            upstream = self._by_target.get(target)
            if upstream is not None:
                upstream.reconfigure(target, options)
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
        upstream.reconfigure(target, options)

    def unconfigure(self, name: str, target: Target) -> None:
        """Note that the configuration no longer has that upstream: it ends when no session uses it."""
        if self._permanent.get(target) == name:
            del self._permanent[target]

    def get(self, target: Target, options: UpstreamOptions, peer: Holder | None = None) -> Upstream:
        """Return the upstream of that target, made for the peer if there is none yet. Raises `TooManyUpstreamsError`.

        Without a peer it is the daemon's own, and counts for no client.
        """
        upstream = self._by_target.get(target)
        if upstream is None:
            maker = None if peer is None else self._admit(peer)
            upstream = self._by_target[target] = self._make(target, options)
            if maker is not None:
                self._makers[upstream] = maker
        return upstream

    def _admit(self, peer: Holder) -> _Maker:
        maker = _Maker(peer.uid, peer.pid)
        if self._shares.would_refuse(maker) is not None:
            self._sweep()
        full = self._shares.enter(maker)
        if full is not None:
            raise TooManyUpstreamsError(full)
        return maker

    def _end(self, upstream: Upstream) -> None:
        maker = self._makers.pop(upstream, None)
        if maker is not None:
            self._shares.leave(maker)
        upstream.close("no session uses it any more")

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
        """Return the upstreams of the configuration."""
        return [self._by_target[target] for target in self._permanent]

    def stats(self) -> list[dict[str, Any]]:
        """Return one map per upstream."""
        return [{"name": self._permanent.get(each.target), **each.stats()} for each in self]

    def close(self, reason: str) -> None:
        """Close all; open calls fail with `reason`."""
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
            self._end(upstream)
        for target, upstream in list(self._by_target.items()):
            if not upstream.sessions and target not in self._permanent and not upstream.busy:
                del self._by_target[target]
                self._end(upstream)
