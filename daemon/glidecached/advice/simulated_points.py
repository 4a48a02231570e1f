"""The pools that are simulated beside a real one: other bounds, other TTLs, the other policy."""

from __future__ import annotations

from typing import NamedTuple

NS_PER_MS = 1_000_000
BYTES_PER_KB = 1024
SIZE_FACTORS = (0.1, 0.25, 0.5, 0.75, 1.5, 2.0, 4.0)
SHOWN_SIZE_FACTORS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0)
UNBOUNDED_POINT = len(SIZE_FACTORS) + 1
"""The place of the pool without a bound among the points: behind the real one, and those of other sizes."""
TTL_FACTORS = (0.02, 0.1, 0.25, 0.5, 2.0, 10.0)
TTLS_MS = (1_000, 10_000, 60_000, 600_000, 3_600_000, 86_400_000)
"""Simulated beside a pool without a TTL, of which there are no multiples."""


class SimulatedPoint(NamedTuple):
    """A pool that is simulated: its bound in bytes (0: none), its TTL in ns (0: none), its policy."""

    max_bytes: int
    ttl_ns: int
    policy: str
    ages: bool
    """True if the ages at which entries are hit are kept, for the share of stale reads."""


def scaled_bound(max_bytes: int, factor: float) -> int:
    """Return a multiple of a bound, in whole KB."""
    return max_bytes if factor == 1 else max(int(max_bytes * factor) // BYTES_PER_KB, 1) * BYTES_PER_KB


def simulated_points(max_bytes: int, ttl_ns: int, policy: str) -> list[SimulatedPoint]:
    """Return the points around a real pool, which is the first of them."""
    other = "LFU" if policy == "LRU" else "LRU"
    sizes = [scaled_bound(max_bytes, factor) for factor in SIZE_FACTORS]
    ttls_ms = [max(int(ttl_ns * factor) // NS_PER_MS, 1) for factor in TTL_FACTORS] if ttl_ns else TTLS_MS
    ttls = [*(ms * NS_PER_MS for ms in ttls_ms), *([0] if ttl_ns else [])]
    return [
        SimulatedPoint(max_bytes, ttl_ns, policy, ages=True),
        *(SimulatedPoint(size, ttl_ns, policy, ages=False) for size in (*sizes, 0)),
        *(SimulatedPoint(max_bytes, ttl, policy, ages=True) for ttl in ttls),
        SimulatedPoint(max_bytes, ttl_ns, other, ages=False),
    ]
