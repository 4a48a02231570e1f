"""The report of one pool: what its sampling says, and what follows from the writes to its keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from glidecached.advice.judgement import advice_on_writes

if TYPE_CHECKING:
    from collections.abc import Sequence

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


class PoolReport(NamedTuple):
    """A pool's report as it was asked for, and with the usual points, which is the same where none were given."""

    asked: dict[str, Any]
    usual: dict[str, Any]


def report_of(
    pool: Pool,
    sizes_kb: Sequence[int] | None = None,
    ttls_ms: Sequence[int] | None = None,
    *,
    names: bool = False,
) -> PoolReport | None:
    """Return the report of a pool; None if it is not sampled, or has ended.

    `names`: with prefixes of keys. Its advice does not depend on the points that somebody wants to see.
    """
    sampling = None if pool.ended else sampling_of(pool)
    if sampling is None:
        return None
    usual = sampling.report(None, None, names=names)
    usual["advice"] = [*usual["advice"], *advice_on_writes(usual)]
    if sizes_kb is None and ttls_ms is None:
        return PoolReport(usual, usual)
    asked = sampling.report(sizes_kb, ttls_ms, names=names)
    return PoolReport({**asked, "advice": usual["advice"]}, usual)
