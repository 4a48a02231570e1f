"""A trace through a pool whose traffic is sampled as the daemon does it, without shared memory, processes or a clock.

Lookups are answered by an exact replay at the pool's settings. What they do is fed to a `KeySample`, in windows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from glidecached.advice.key_sample import LOOKUP_HIT, LOOKUP_MISS, PAUSE, RESUME, STORE, KeySample
from support.exact_replay import ExactReplay
from support.traffic_workloads import NS

if TYPE_CHECKING:
    from support.exact_replay import ReplayResult
    from support.traffic_workloads import Trace

LOOKUPS_A_SECOND = 5_000
MOST_TOKENS = 10_000
SECOND_WINDOW = 1_250
"""Tokens with which the second window begins; with each after it twice as many are wanted, up to the most."""
TURN_LOOKUPS = 200
"""Lookups between two feedings, after which the threshold is published."""
STRING = 1
WORD = (1 << 64) - 1


def hash_of(key: int, seed: int) -> int:
    """Return a 64-bit hash of a key's number (the finaliser of splitmix64)."""
    mixed = (key + 1 + (seed + 1) * 0x9E3779B97F4A7C15) & WORD
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & WORD
    return mixed ^ (mixed >> 31)


@dataclass
class SampledRun:
    """What a run leaves: the sample, and what the real pool has counted."""

    sample: KeySample
    real: ReplayResult


def run_sampled(trace: Trace, max_bytes: int, policy: str, hash_seed: int = 0) -> SampledRun:
    """Send a trace through a pool of the workload's TTL. `hash_seed` chooses which keys are sampled."""
    load = trace.workload
    ttl_ns = int(load.ttl_s * NS)
    life = trace.life if load.lives_s else None
    real = ExactReplay(max_bytes, ttl_ns, policy, None, life)
    sample = KeySample(max_bytes, ttl_ns, policy, server_ttl=life is not None)
    events: list[tuple[Any, ...]] = []
    hashes: dict[int, int] = {}
    threshold, tokens, wanted, is_open = sample.threshold, float(MOST_TOKENS), SECOND_WINDOW, True
    opened = filled = trace.times[0]
    lookups = misses = 0
    seconds = 0.0
    for number, (now, key) in enumerate(zip(trace.times, trace.keys, strict=True)):
        hash = hashes.get(key)
        if hash is None:
            hash = hashes[key] = hash_of(key, hash_seed)
        lengths = trace.lengths(key)
        hit = real.lookup(now, key, *lengths)
        lookups += is_open
        misses += is_open and not hit
        if hash & 0xFFFFFFFF < threshold:
            if is_open:
                events.append((LOOKUP_HIT if hit else LOOKUP_MISS, hash, now))
                tokens -= 1
            if not hit:
                digest = trace.changes_until(key, now) + 1
                events.append(
                    (STORE, hash, now, digest, STRING, *lengths, life(key, now) if life is not None else 0)
                )
        if number % TURN_LOOKUPS:
            continue
        tokens = min(MOST_TOKENS, tokens + (now - filled) / NS * LOOKUPS_A_SECOND)
        filled = now
        if is_open and tokens < 0:
            is_open = False
            seconds += (now - opened) / NS
            events.append((PAUSE, 0, now))
        elif not is_open and tokens >= wanted:
            is_open = True
            wanted = min(2 * wanted, MOST_TOKENS)
            opened = now
            events.append((RESUME, 0, now))
        sample.feed_events(events)
        events.clear()
        threshold = sample.threshold
    sample.feed_events(events)
    end = trace.times[-1]
    sample.count(lookups, misses, seconds + is_open * (end - opened) / NS)
    counted = real.result
    sample.count_all(counted.lookups, counted.lookups - counted.hits, (end - trace.times[0]) / NS)
    return SampledRun(sample, counted)


def replayed(trace: Trace, max_bytes: int | None, ttl_ns: int, policy: str) -> ReplayResult:
    """Return what the whole trace counts in another pool: the truth."""
    load = trace.workload
    pool = ExactReplay(
        max_bytes,
        ttl_ns,
        policy,
        trace.changed_between if load.change_rates[1] else None,
        trace.life if load.lives_s else None,
    )
    lookup, lengths = pool.lookup, trace.lengths
    for now, key in zip(trace.times, trace.keys, strict=True):
        lookup(now, key, *lengths(key))
    return pool.result
