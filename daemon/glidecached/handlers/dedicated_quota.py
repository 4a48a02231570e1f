"""The dedicated connections of an upstream: shares by process and by user (isolation I9)."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from glidecached.shares import Shares

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecached.frontend.request import Request
    from glidecached.upstream.interface import Upstream

_WHAT = "connections for blocking commands and watches"
_KEY = "max_blocking_connections"
_DEFAULT = 64


class DedicatedShares:
    """The shares of each upstream. For the loop's thread."""

    def __init__(self) -> None:
        self._by_upstream: WeakKeyDictionary[Upstream, Shares] = WeakKeyDictionary()

    def of(self, upstream: Upstream) -> Shares:
        """Return the shares of that upstream's connections; for a cluster, of those to all nodes together."""
        shares = self._by_upstream.get(upstream)
        total = int(getattr(upstream, "max_dedicated", _DEFAULT))
        if shares is None:
            shares = self._by_upstream[upstream] = Shares(total, _WHAT, _KEY)
        shares.total = total
        return shares

    def enter(self, request: Request, upstream: Upstream) -> str | None:
        """Count one for the request, until it is finished. If none is left for it, return the text that says why."""
        shares = self.of(upstream)
        full = shares.enter(request.peer)
        if full is None:
            request.on_finish = functools.partial(shares.leave, request.peer)
        return full

    def keep(self, request: Request, upstream: Upstream) -> Callable[[], object] | str:
        """Count one until the returned function is called. If none is left, return the text that says why."""
        shares = self.of(upstream)
        full = shares.enter(request.peer)
        return functools.partial(shares.leave, request.peer) if full is None else full
