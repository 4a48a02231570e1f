"""The report of one pool: what its sampling says, and what follows from the writes to its keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from glidecached.advice.judgement import advice_on_writes, sizes_of_steps, step_between

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from glidecached.advice.judgement import MemoryStep
    from glidecached.pools.pool import Pool


class Sampling(Protocol):
    """The part of a pool's sampling that makes reports."""

    @property
    def ended(self) -> bool:
        """Return whether nothing is sampled any more."""

    def fail(self, error: Exception) -> None:
        """Log an error, and sample nothing any more."""

    @property
    def cached_key_writes(self) -> int:
        """Return the writes of this host's clients to keys that were in the cache, since the sampling began."""

    def report(
        self, sizes_kb: Sequence[int] | None, ttls_ms: Sequence[int] | None, *, names: bool
    ) -> dict[str, Any]:
        """Return the report, with exactly these points where they are given, and with prefixes of keys if `names`."""


def sampling_of(pool: Pool) -> Sampling | None:
    """Return a pool's sampling; None if its traffic is not sampled, or if it has ended."""
    sampling: Sampling | None = pool.sampling
    return None if pool.ended or sampling is None or sampling.ended else sampling


def reason_without(pool: Pool) -> str:
    """Return why a pool has no sampling while advice is enabled."""
    if not pool.settings.enable_metrics:
        return "its traffic is not sampled, because enable_metrics is false"
    if pool.sampling is not None and pool.sampling.ended:
        return "its traffic is not sampled: that has failed, as the daemon's log says"
    return "its traffic is not sampled yet"


class PoolReport(NamedTuple):
    """A pool's report, and what it would gain and lose by 10 % of all memory; None with too little traffic."""

    report: dict[str, Any]
    memory_step: MemoryStep | None


def report_of(
    pool: Pool,
    max_total_cache_kb: int,
    sizes_kb: Sequence[int] | None = None,
    ttls_ms: Sequence[int] | None = None,
    *,
    names: bool = False,
) -> Generator[None, None, PoolReport | None]:
    """Return, after steps, the report of a pool; None if it is not sampled, or has ended meanwhile.

    Each step takes some milliseconds. `sizes_kb`, `ttls_ms`: exactly these points, or the usual ones. `names`: with
    prefixes of keys.
    """
    sampling = sampling_of(pool)
    if sampling is None:
        return None
    report = None
    if sizes_kb is None:
        report = _made(sampling, None, ttls_ms, names=names)
        yield None
        if sampling_of(pool) is not sampling:
            return None
    steps_kb = sizes_of_steps(pool.settings.max_cache_kb, max_total_cache_kb)
    stepped = _made(sampling, [*(sizes_kb or ()), *steps_kb], ttls_ms, names=names)
    if stepped is None:
        return None
    points, steps = stepped["by_size"][: -len(steps_kb)], stepped["by_size"][-len(steps_kb) :]
    memory_step = step_between(stepped, [each["hit_rate"] for each in steps])
    if report is None:
        report = {**stepped, "by_size": points}
    report["server_ttl"] = pool.settings.server_ttl
    report["advice"] = [*report["advice"], *advice_on_writes(report)]
    return PoolReport(report, memory_step)


def _made(
    sampling: Sampling, sizes_kb: Sequence[int] | None, ttls_ms: Sequence[int] | None, *, names: bool
) -> dict[str, Any] | None:
    """Return a report; None if it cannot be made: then the sampling ends. Raises `ValueError` for a bad point."""
    try:
        return sampling.report(sizes_kb, ttls_ms, names=names)
    except ValueError:
        raise
    except Exception as error:  # noqa: BLE001 - advice must not end the daemon, or fail another request
        sampling.fail(error)
        return None
