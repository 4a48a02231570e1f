"""Synthetic traffic with the published statistics of real caches, seeded.

Popularity is Zipf's, with the exponents, lengths of keys and values, one-hit keys and TTLs of Twitter's clusters (Yang,
Yue, Vinayak: A large scale analysis of hundreds of in-memory cache clusters at Twitter, OSDI 2020), at rates that two
cores replay. Lengths spread around their means.
"""

from __future__ import annotations

import math
import random
from array import array
from bisect import bisect
from dataclasses import dataclass, field, replace
from itertools import accumulate

from glidecache_shared.pool.store import charge_bytes

NS = 1_000_000_000
ONE_HIT_KEYS = 1 << 40
"""The number of the first key that is read once."""


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A description of traffic, and of the pool that it goes to."""

    name: str
    keys: int
    """The number of keys that are read again and again."""
    skew: float
    key_bytes: int
    value_bytes: int
    """The mean."""
    ttl_s: float
    """The pool's; 0: none."""
    share: float
    """The pool's bound, as a share of what all keys are charged."""
    one_hit: float = 0.0
    """The share of lookups that are of keys that are read once."""
    spread: float = 0.6
    """The standard deviation of the logarithm of a value's length."""
    changes: int = 1
    """The number of working sets, one after the other."""
    scan: float = 0.0
    """The share of lookups that read as many other keys in turn, again and again."""
    lookups: int = 500_000
    rate: float = 2_000.0
    """Lookups a second."""
    lives_s: tuple[tuple[float, float], ...] = ()
    """The lives of keys on the server, in s, with the share of keys of each; empty: as long as there are any."""
    change_rates: tuple[float, float] = (0.0, 0.0)
    """The lowest and the highest rate at which a key's value changes, a second; the logarithm is uniform between."""


@dataclass
class Trace:
    """The lookups of a workload, by one seed."""

    workload: Workload
    seed: int
    times: array[int] = field(default_factory=lambda: array("q"))
    keys: array[int] = field(default_factory=lambda: array("q"))
    _sizes: dict[int, tuple[int, int]] = field(default_factory=dict)
    _rates: dict[int, float] = field(default_factory=dict)
    _changes: dict[int, list[int]] = field(default_factory=dict)

    def lengths(self, key: int) -> tuple[int, int]:
        """Return the lengths of a key and of its payload, in bytes."""
        known = self._sizes.get(key)
        if known is None:
            chosen = random.Random(key * 1_000_003 + self.seed)
            load, mean = self.workload, math.log(self.workload.value_bytes) - self.workload.spread**2 / 2
            known = self._sizes[key] = (
                load.key_bytes,
                max(1, min(int(chosen.lognormvariate(mean, load.spread)), 1_000_000)),
            )
        return known

    def charge(self, key: int) -> int:
        """Return what the key's entry is charged."""
        return charge_bytes(*self.lengths(key))

    def changes_until(self, key: int, time_ns: int) -> int:
        """Return how often the key's value has changed by then. The same for any order of calls."""
        low, high = self.workload.change_rates
        if not high:
            return 0
        moments = self._changes.get(key)
        if moments is None:
            chosen = random.Random(key * 7_368_787 + self.seed)
            rate = math.exp(chosen.uniform(math.log(low), math.log(high)))
            moments, at, end = [], 0.0, self.times[-1] / NS
            while (at := at + chosen.expovariate(rate)) < end:
                moments.append(int(at * NS))
            self._changes[key] = moments
        return bisect(moments, time_ns)

    def changed_between(self, key: int, after_ns: int, until_ns: int) -> bool:
        """Return whether the key's value changed in between."""
        return self.changes_until(key, after_ns) != self.changes_until(key, until_ns)

    def life(self, key: int, at_ns: int) -> int:
        """Return how long the server lets the key live from then, in ns: it is set again at once when it has ended."""
        chosen = random.Random(key * 15_485_863 + self.seed)
        lives, shares = zip(*self.workload.lives_s, strict=True)
        life = int(chosen.choices(lives, shares)[0] * NS)
        return life - (at_ns + chosen.randrange(life)) % life


def make_trace(workload: Workload, seed: int) -> Trace:
    """Return the lookups of a workload."""
    chosen = random.Random(f"{workload.name} {seed}")
    trace = Trace(workload, seed)
    total = workload.lookups
    cumulative = list(accumulate((rank + 1) ** -workload.skew for rank in range(workload.keys)))
    whole = cumulative[-1]
    numbers = list(range(workload.keys))
    chosen.shuffle(numbers)
    once, scanned, now, uniform = ONE_HIT_KEYS, 0, 0.0, chosen.random
    add_time, add_key = trace.times.append, trace.keys.append
    for index in range(total):
        now -= math.log(1.0 - uniform()) / workload.rate
        add_time(int(now * NS))
        kind = uniform()
        if kind < workload.one_hit:
            add_key(once)
            once += 1
        elif kind < workload.one_hit + workload.scan:
            add_key(workload.keys * workload.changes + scanned)
            scanned = (scanned + 1) % workload.keys
        else:
            number = numbers[bisect(cumulative, uniform() * whole)]
            add_key(number + index * workload.changes // total * workload.keys)
    return trace


def bound_of(trace: Trace) -> int:
    """Return today's bound of the workload's pool, in bytes, a whole number of KB."""
    keys = trace.workload.keys * (2 if trace.workload.scan else 1)
    sampled = range(0, keys, max(1, keys // 5_000))
    mean = sum(map(trace.charge, sampled)) / len(sampled)
    return max(1, int(mean * keys * trace.workload.share) // 1024) * 1024


WORKLOADS = [
    Workload(
        name="cluster4",
        keys=19_000,
        skew=1.1,
        key_bytes=67,
        value_bytes=2439,
        ttl_s=60,
        share=0.2,
        one_hit=0.02,
        lives_s=((60, 0.39), (300, 0.24), (600, 0.12), (3600, 0.25)),
    ),
    Workload(name="cluster7", keys=7_000, skew=1.0666, key_bytes=17, value_bytes=1936, ttl_s=120, share=0.1),
    Workload(
        name="cluster14",
        keys=14_000,
        skew=1.2959,
        key_bytes=96,
        value_bytes=414,
        ttl_s=0,
        share=0.05,
        one_hit=0.01,
    ),
    Workload(
        name="cluster19",
        keys=110_000,
        skew=0.735,
        key_bytes=42,
        value_bytes=101,
        ttl_s=120,
        share=0.3,
        one_hit=0.02,
    ),
    Workload(name="cluster23", keys=130_000, skew=0.274, key_bytes=35, value_bytes=224, ttl_s=120, share=0.5),
    Workload(
        name="cluster26",
        keys=38_000,
        skew=0.6299,
        key_bytes=122,
        value_bytes=1745,
        ttl_s=60,
        share=0.25,
        change_rates=(0.0001, 0.1),
    ),
    Workload(
        name="cluster29",
        keys=22_000,
        skew=1.2323,
        key_bytes=36,
        value_bytes=799,
        ttl_s=30,
        share=0.1,
        one_hit=0.02,
        change_rates=(0.001, 1.0),
    ),
    Workload(
        name="cluster45",
        keys=90_000,
        skew=0.6372,
        key_bytes=10,
        value_bytes=120,
        ttl_s=300,
        share=0.2,
        one_hit=0.16,
    ),
    Workload(
        name="cluster52",
        keys=15_000,
        skew=1.2117,
        key_bytes=20,
        value_bytes=273,
        ttl_s=600,
        share=0.03,
        one_hit=0.01,
    ),
    Workload(
        name="changing", keys=20_000, skew=0.9, key_bytes=32, value_bytes=400, ttl_s=60, share=0.2, changes=2
    ),
    Workload(
        name="scan", keys=20_000, skew=0.9, key_bytes=32, value_bytes=400, ttl_s=300, share=0.25, scan=0.4
    ),
    Workload(
        name="few",
        keys=700,
        skew=0.8,
        key_bytes=24,
        value_bytes=3000,
        ttl_s=10,
        share=0.4,
        change_rates=(0.001, 1.0),
    ),
]


def named(name: str, **changes: object) -> Workload:
    """Return a workload by its name, with changes."""
    return replace(next(load for load in WORKLOADS if load.name == name), **changes)  # type: ignore[arg-type]
