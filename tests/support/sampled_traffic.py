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
SURVEY_HITS = 1_024
SURVEY_INTERVAL_NS = 2 * NS
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
    opened = filled = surveyed = trace.times[0]
    to_survey: list[int] = []
    survey_left = SURVEY_HITS
    lookups = misses = counted = counted_misses = 0
    counted_ns = trace.times[0]
    seconds = 0.0
    for number, (now, key) in enumerate(zip(trace.times, trace.keys, strict=True)):
        hash = hashes.get(key)
        if hash is None:
            hash = hashes[key] = hash_of(key, hash_seed)
        lengths = trace.lengths(key)
        hit = real.lookup(now, key, *lengths)
        lookups += is_open
        misses += is_open and not hit
        if survey_left and hit:
            survey_left -= 1
            to_survey.append(hash)
            tokens -= hash & 0xFFFFFFFF >= threshold
        if hash & 0xFFFFFFFF < threshold or (not hit and sample.heeds_changes(hash)):
            if is_open and hash & 0xFFFFFFFF < threshold:
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
        sample.count(lookups, misses, 0.0)
        missed = real.result.lookups - real.result.hits
        sample.count_all(real.result.lookups - counted, missed - counted_misses, (now - counted_ns) / NS)
        lookups = misses = 0
        counted, counted_misses, counted_ns = real.result.lookups, missed, now
        sample.feed_events(events)
        events.clear()
        sample.survey_hits(to_survey)
        to_survey.clear()
        threshold = sample.threshold
        if not is_open:
            survey_left = 0
        elif now - surveyed >= SURVEY_INTERVAL_NS:
            surveyed, survey_left = now, SURVEY_HITS
    sample.feed_events(events)
    end = trace.times[-1]
    sample.count(lookups, misses, seconds + is_open * (end - opened) / NS)
    missed = real.result.lookups - real.result.hits
    sample.count_all(real.result.lookups - counted, missed - counted_misses, (end - counted_ns) / NS)
    return SampledRun(sample, real.result)


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
