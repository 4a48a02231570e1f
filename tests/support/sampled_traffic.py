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
    """The result of a run: the sample, and the counts of the real pool."""

    sample: KeySample
    real: ReplayResult


class SampledPool:
    """A pool of a workload's TTL whose traffic is sampled. `hash_seed` chooses which keys are."""

    def __init__(self, trace: Trace, max_bytes: int, policy: str, hash_seed: int) -> None:
        ttl_ns = int(trace.workload.ttl_s * NS)
        self.trace, self.hash_seed = trace, hash_seed
        self.life = trace.life if trace.workload.lives_s else None
        self.real = ExactReplay(max_bytes, ttl_ns, policy, None, self.life)
        self.sample = KeySample(max_bytes, ttl_ns, policy, server_ttl=self.life is not None)
        self.threshold = self.sample.threshold
        self._events: list[tuple[Any, ...]] = []
        self._hashes: dict[int, int] = {}
        # Windows
        self._tokens, self._wanted, self._is_open = float(MOST_TOKENS), SECOND_WINDOW, True
        self._opened = self._turned = self._surveyed = trace.times[0]
        # Surveys
        self._to_survey: list[int] = []
        self._survey_left = SURVEY_HITS
        # Lookups and misses in windows, and all of them that were counted
        self._in_window = [0, 0]
        self._counted = (0, 0)

    def lookup(self, now: int, key: int) -> None:
        """Look a key up, and leave what sampling has of it."""
        hash = self._hashes.get(key)
        if hash is None:
            hash = self._hashes[key] = hash_of(key, self.hash_seed)
        lengths = self.trace.lengths(key)
        hit = self.real.lookup(now, key, *lengths)
        is_sampled = hash & 0xFFFFFFFF < self.threshold
        if self._is_open:
            self._in_window[0] += 1
            self._in_window[1] += not hit
            if is_sampled:
                self._events.append((LOOKUP_HIT if hit else LOOKUP_MISS, hash, now))
                self._tokens -= 1
            if self._survey_left and hit:
                self._survey_left -= 1
                self._to_survey.append(hash)
                self._tokens -= not is_sampled
        if not hit and (is_sampled or self.sample.heeds_changes(hash)):
            digest = self.trace.changes_until(key, now) + 1
            life = 0 if self.life is None else self.life(key, now)
            self._events.append((STORE, hash, now, digest, STRING, *lengths, life))

    def turn(self, now: int) -> None:
        """Feed what was left, and begin or end windows and surveys."""
        self._tokens = min(MOST_TOKENS, self._tokens + (now - self._turned) / NS * LOOKUPS_A_SECOND)
        seconds = 0.0
        if self._is_open and self._tokens < 0:
            self._is_open = False
            seconds = (now - self._opened) / NS
            self._events.append((PAUSE, 0, now))
        elif not self._is_open and self._tokens >= self._wanted:
            self._wanted = min(2 * self._wanted, MOST_TOKENS)
            self._is_open = True
            self._opened = now
            self._events.append((RESUME, 0, now))
        self.feed(now, seconds)
        self.threshold = self.sample.threshold
        if now - self._surveyed >= SURVEY_INTERVAL_NS:
            self._surveyed, self._survey_left = now, SURVEY_HITS

    def feed(self, now: int, seconds: float) -> None:
        """Count what happened, of which `seconds` were in a window, and feed it."""
        counts = self.real.result.lookups, self.real.result.lookups - self.real.result.hits
        lookups, misses = self._in_window
        self.sample.count(lookups, misses, seconds)
        self.sample.count_all(
            counts[0] - self._counted[0], counts[1] - self._counted[1], (now - self._turned) / NS
        )
        self._in_window, self._counted, self._turned = [0, 0], counts, now
        self.sample.feed_events(self._events)
        self.sample.survey_hits(self._to_survey)
        self._events.clear()
        self._to_survey.clear()

    def end(self, now: int) -> None:
        """Feed the rest."""
        self.feed(now, (now - self._opened) / NS if self._is_open else 0.0)


def run_sampled(trace: Trace, max_bytes: int, policy: str, hash_seed: int = 0) -> SampledRun:
    """Send a trace through a pool of the workload's TTL. `hash_seed` chooses which keys are sampled."""
    pool = SampledPool(trace, max_bytes, policy, hash_seed)
    for number, (now, key) in enumerate(zip(trace.times, trace.keys, strict=True)):
        pool.lookup(now, key)
        if number % TURN_LOOKUPS == 0:
            pool.turn(now)
    pool.end(trace.times[-1])
    return SampledRun(pool.sample, pool.real.result)


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
