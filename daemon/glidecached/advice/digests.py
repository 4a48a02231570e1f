"""The newest report of each pool, for STATS, Prometheus and the status page: made now and then, in slices."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from glidecached.advice.judgement import could_be
from glidecached.advice.pool_report import report_of, sampling_of
from glidecached.pools.metadata import PoolKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from glidecached.advice.judgement import MemoryStep
    from glidecached.pools.manager import PoolManager
    from glidecached.pools.pool import Pool
    from glidecached.process.sliced_work import SlicedWork

logger = logging.getLogger(__name__)

INTERVAL_MS = 5_000.0
_OVER = object()
_REST_PER_WORK = 100
"""The daemon rests a hundred times as long as the reports took: however many pools there are, 1 % of a processor."""


class AdviceDigests:
    """The digests. For the loop's thread. A digest is a report without names of keys, and what follows from it."""

    def __init__(self, sliced_work: SlicedWork, pools: PoolManager) -> None:
        self._sliced_work = sliced_work
        self._pools = pools
        self._digests: dict[PoolKey, dict[str, Any]] = {}
        self._failed: set[PoolKey] = set()

    def start(self) -> None:
        """Begin to make digests, until the loop ends."""
        self._sliced_work.start(self._renew())

    def add_to(self, caches: Iterable[dict[str, Any]]) -> None:
        """Add to STATS' map of each cache its digest, None if it has none."""
        by_key = {pool.key: sampling_of(pool) for pool in self._pools}
        for cache in caches:
            key = PoolKey(cache["name"], cache["id"])
            sampling = by_key.get(key)
            cache["advice"] = None if sampling is None else self._digests.get(key)
            cache["cached_key_writes"] = None if sampling is None else sampling.cached_key_writes

    def _renew(self) -> Iterator[float | None]:
        while True:
            made: dict[PoolKey, dict[str, Any]] = {}
            spent_ns = 0
            for pool in self._pools:
                steps = self._made(pool, made)
                while True:
                    began_ns = time.monotonic_ns()
                    is_over = next(steps, _OVER) is _OVER
                    spent_ns += time.monotonic_ns() - began_ns
                    if is_over:
                        break
                    yield None
            self._digests = made
            yield max(INTERVAL_MS, spent_ns / 1e6 * _REST_PER_WORK)

    def _made(self, pool: Pool, made: dict[PoolKey, dict[str, Any]]) -> Iterator[None]:
        """Make one digest, in steps."""
        try:
            found = yield from report_of(pool, self._pools.max_total_cache_kb)
        except Exception:
            # One cache without figures must not take those of all others away, nor fill the log.
            if pool.key not in self._failed:
                self._failed.add(pool.key)
                logger.exception("advice failed", extra={"cache": pool.label})
            return
        self._failed.discard(pool.key)
        if found is not None:
            made[pool.key] = digest_of(*found)
        yield None


def digest_of(report: Mapping[str, Any], step: MemoryStep | None) -> dict[str, Any]:
    """Return a report for everybody, with the hit rate that could be, and the gain of another 10 % of all memory."""
    digest = {key: value for key, value in report.items() if key != "written_prefixes"}
    digest["could_be"] = could_be(report)
    digest["gain_of_10_percent"] = None if step is None else round(step.gain, 6)
    return digest
