"""One cluster named by different seeds (contract C18): its pool is joined through the seeds that the pool has.

A client could describe a cluster of its own as it likes, so the answers of its own seeds prove nothing. The pool's
seeds must accept the client's credentials, and they must know the client's seeds as nodes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from glidecache_shared.protocol import ReplyError
from glidecached.upstream.call import SingleCall
from glidecached.upstream.cluster.routing import MultiNodeRoute

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecached.frontend.request import Request
    from glidecached.process.loop import Loop
    from glidecached.upstream.cluster.cluster_upstream import ClusterUpstream
    from glidecached.upstream.target import Address, Identity, Target

_PING = (b"PING",)
_LOOK_MS = 20
"""The interval of checking a topology that lacks a seed: the node may be new."""


def target_by_pools_seeds(target: Target, pool: Identity | None) -> Target | None:
    """Return a cluster client's target with the pool's seeds; None if these, or anything else, rule that out."""
    if pool is None or target.mode != "cluster" or target.identity.addresses == pool.addresses:
        return None
    if replace(target.identity, addresses=pool.addresses) != pool:
        return None
    return replace(target, addresses=tuple(sorted(pool.addresses)))


class SeedsCheck(SingleCall):
    """The check that the pool's cluster accepts a client and has all its seeds as nodes: one PING, and the topology."""

    __slots__ = ("_done", "_loop", "_request", "_seeds", "_upstream")

    def __init__(
        self,
        loop: Loop,
        upstream: ClusterUpstream,
        seeds: tuple[Address, ...],
        request: Request,
        done: Callable[[bool], object],
    ) -> None:
        """Begin the check. `done` is called once, unless the request has ended: with whether it is the same cluster."""
        super().__init__(_PING, request.deadline_ns, repeatable=True)
        self.route = MultiNodeRoute.RANDOM
        self._loop = loop
        self._upstream = upstream
        self._seeds = seeds
        self._request = request
        self._done: Callable[[bool], object] | None = done

    def is_wanted(self, now_ns: int) -> bool:
        """Return whether the client still waits."""
        return self._done is not None and not self._request.finished and now_ns < self.deadline_ns

    def give_up(self) -> None:
        """Answer with the facts known by now."""
        self._end(self._upstream.proved and self._upstream.has_nodes(self._seeds))

    def abandon(self) -> None:
        """End without an answer in time."""
        self._end(False)

    def succeed(self, reply: Any) -> None:
        """Handle the answer, and look for the seeds among the nodes."""
        # A user that may not PING has proved its password all the same.
        if isinstance(reply, ReplyError) and not str(reply).startswith("NOPERM"):
            self._end(False)
        elif self._upstream.proved and self._upstream.has_nodes(self._seeds):
            self._end(True)
        else:
            self._upstream.request_refresh()
            self._look()

    def fail(self, code: int, message: str) -> None:
        """End: the cluster does not accept the client."""
        del code, message
        self._end(False)

    def _look(self) -> None:
        if self._done is None or self._request.finished:
            return
        if self._upstream.proved and self._upstream.has_nodes(self._seeds):
            self._end(True)
        else:
            self._loop.call_later(_LOOK_MS, self._look)

    def _end(self, is_same: bool) -> None:
        done, self._done = self._done, None
        if done is not None and not self._request.finished:
            done(is_same)
