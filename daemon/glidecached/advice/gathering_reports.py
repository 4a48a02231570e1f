"""The reports of many pools, one in each step: there may be hundreds of pools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from glidecached.advice.judgement import advice_on_writes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from glidecached.pools.pool import Pool


class Sampling(Protocol):
    """The part of a pool's sampling that makes reports."""

    cached_key_writes: int
    """The writes of this host's clients to keys that were in the cache, since the pool was made."""

    def report(
        self, sizes_kb: Sequence[int] | None, ttls_ms: Sequence[int] | None, *, names: bool
    ) -> dict[str, Any]:
        """Return the report, with exactly these points where they are given, and with prefixes of keys if `names`."""


def sampling_of(pool: Pool) -> Sampling | None:
    """Return a pool's sampling; None if its traffic is not sampled."""
    sampling: Sampling | None = getattr(pool, "sampling", None)
    return sampling


def reason_without(pool: Pool) -> str:
    """Return why a pool has no sampling while advice is enabled."""
    if not pool.settings.enable_metrics:
        return "its traffic is not sampled, because enable_metrics is false"
    return "its traffic is not sampled yet"


def reports_of(
    pools: Iterable[Pool],
    sizes_kb: Sequence[int] | None = None,
    ttls_ms: Sequence[int] | None = None,
    *,
    names: bool = False,
) -> Iterator[tuple[Pool, dict[str, Any], dict[str, Any]]]:
    """Yield each sampled pool with its report, and with its report at the usual points, if there are others.

    If no points are given, both are the same. Pools that have ended meanwhile are left out.
    """
    for pool in pools:
        sampling = None if pool.ended else sampling_of(pool)
        if sampling is None:
            continue
        usual = sampling.report(None, None, names=names)
        usual["advice"] = [*usual["advice"], *advice_on_writes(usual)]
        if sizes_kb is None and ttls_ms is None:
            yield pool, usual, usual
        else:
            asked = sampling.report(sizes_kb, ttls_ms, names=names)
            # What should be changed does not depend on the points that somebody wants to see.
            yield pool, {**asked, "advice": usual["advice"]}, usual
