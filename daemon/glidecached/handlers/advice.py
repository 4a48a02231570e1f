"""ADVISE: what the sample of each cache's traffic says about its settings (docs/advice.md)."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from glidecache_shared.protocol import ERROR_CONFIGURATION
from glidecached.advice.judgement import across
from glidecached.advice.points import MOST_POINTS, fault_of
from glidecached.advice.pool_report import reason_without, report_of, sampling_of
from glidecached.frontend.dispatcher import MalformedError
from glidecached.handlers.admin import MOST_CACHES
from glidecached.handlers.arguments import need, need_fields
from glidecached.pools.manager import UnknownCacheError
from glidecached.pools.metadata import MAX_CACHE_KB, MAX_TTL_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from glidecached.advice.judgement import MemoryStep
    from glidecached.frontend.request import Request
    from glidecached.pools.manager import PoolManager
    from glidecached.pools.pool import Pool

_OFF = "there is no advice: the daemon's configuration has [advice] enabled = false"


class AdviceHandler:
    """The operation behind ADVISE. For the loop's thread.

    `names_keys` returns whether the user of a request may see prefixes of keys.
    """

    def __init__(self, pools: PoolManager, names_keys: Callable[[Request], bool]) -> None:
        self._pools = pools
        self._names_keys = names_keys

    def advise(self, request: Request, body: list[Any]) -> Iterator[float | None] | None:
        """Handle ADVISE: return the report of one cache, or of all, in slices."""
        need_fields(body, "cache_name", "sizes_kb", "ttls_ms")
        label, sizes_kb, ttls_ms = body
        _need_points(sizes_kb, "sizes_kb", 1, MAX_CACHE_KB)
        _need_points(ttls_ms, "ttls_ms", 0, MAX_TTL_MS)
        if label is not None:
            need(label, str, "cache_name")
        if not self._pools.advice_enabled:
            request.fail(ERROR_CONFIGURATION, _OFF)
            return None
        pools = self._pools_of(request, label)
        return None if pools is None else self._answered(request, pools, sizes_kb, ttls_ms)

    def _pools_of(self, request: Request, label: str | None) -> list[Pool] | None:
        """Return the pools that a request is about; None after it was refused."""
        if label is None:
            return list(itertools.islice(self._pools, MOST_CACHES))
        try:
            pool = self._pools.find(label)
        except UnknownCacheError as error:
            request.fail(ERROR_CONFIGURATION, str(error))
            return None
        if sampling_of(pool) is None:
            request.fail(ERROR_CONFIGURATION, f"there is no advice for {pool.label}: {reason_without(pool)}")
            return None
        return [pool]

    def _answered(
        self, request: Request, pools: list[Pool], sizes_kb: list[int] | None, ttls_ms: list[int] | None
    ) -> Iterator[float | None]:
        # Later requests of its connection wait until all steps are done.
        asked: dict[str, dict[str, Any]] = {}
        steps: dict[str, MemoryStep | None] = {}
        total_kb = self._pools.max_total_cache_kb
        names = self._names_keys(request)
        for pool in pools:
            found = yield from report_of(pool, total_kb, sizes_kb, ttls_ms, names=names)
            if found is not None:
                asked[pool.label], steps[pool.label] = found
            yield None
            if request.finished:
                return
        request.reply(
            {
                "caches": asked,
                "across": across(steps),
                "not_sampled": {
                    pool.label: reason_without(pool)
                    for pool in pools
                    if not pool.ended and pool.label not in asked
                },
                "max_total_cache_kb": total_kb,
                "caches_left_out": max(0, len(self._pools) - MOST_CACHES) if len(pools) > 1 else 0,
            }
        )


def _need_points(points: Any, name: str, least: int, most: int) -> None:
    """Refuse anything but nil or a list of 1 to `MOST_POINTS` integers from `least` to `most`."""
    if points is None:
        return
    need(points, list, name)
    if not 1 <= len(points) <= MOST_POINTS:
        message = f"{name} has {len(points)} points; expected 1 to {MOST_POINTS}, or nil for the usual ones"
        raise MalformedError(message)
    for point in points:
        need(point, int, f"a point of {name}")
        fault = fault_of(point, least, most)
        if fault is not None:
            message = f"{name} has {fault}"
            raise MalformedError(message)
