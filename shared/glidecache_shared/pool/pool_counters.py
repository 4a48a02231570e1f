"""A pool's counters as one value."""

from __future__ import annotations

from collections import namedtuple


class PoolMetrics(namedtuple("PoolMetrics", "hits misses entry_count evictions expirations")):  # noqa: PYI024
    """The hits, misses, entries, evictions and expirations of one pool, over all its processes (contract C13).

    A `namedtuple` from `collections`: importing `typing` or `dataclasses` would cost the stub more than the pool's
    reader does.
    """

    __slots__ = ()

    hits: int
    misses: int
    entry_count: int
    evictions: int
    expirations: int

    @property
    def total_lookups(self) -> int:
        """Return the lookups that were answered, hits and misses."""
        return self.hits + self.misses

    @property
    def hit_rate(self) -> float:
        """Return hits per lookup, 0.0–1.0; 0.0 before the first lookup."""
        total = self.total_lookups
        return self.hits / total if total else 0.0

    @property
    def miss_rate(self) -> float:
        """Return misses per lookup, 0.0–1.0; 0.0 before the first lookup."""
        total = self.total_lookups
        return self.misses / total if total else 0.0
