"""The share of stale reads: what is known of values that change, and of the keys that most reads are of."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from glidecached.advice.key_sample import FORGET, LOOKUP_HIT, LOOKUP_MISS, STORE, WRITE, KeySample
from support.sampled_traffic import NS, hash_of, replayed, run_sampled
from support.traffic_workloads import bound_of, make_trace, named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TTL_S = 10.0
ALL_KEYS = 1 << 32


class OneKey:
    """A key that is read twenty times a second, in a pool of a TTL of ten seconds, as events for a sample.

    `changed(now)` counts the changes of its value until then. Before each lookup `before(now, stored)` may say that
    the application writes to the key or forgets it. `stale[ttl]` is the true share of stale reads with other TTLs.
    """

    def __init__(
        self,
        changed: Callable[[float], int],
        before: Callable[[float, float], int | None] = lambda _now, _stored: None,
        seconds: float = 100.0,
        hash: int = 1,
    ) -> None:
        self.changed, self.before, self.seconds, self.hash = changed, before, seconds, hash

    def events(self) -> Iterator[tuple[int, ...]]:
        stored = -1e9
        for number in range(int(self.seconds * 20)):
            now = 1 + number / 20
            what = self.before(now, stored)
            if what is not None:
                yield what, self.hash, int(now * NS)
                if what == FORGET:
                    stored = -1e9
            hit = now < stored + TTL_S
            yield LOOKUP_HIT if hit else LOOKUP_MISS, self.hash, int(now * NS)
            if not hit:
                stored = now
                yield STORE, self.hash, int(now * NS), self.changed(now) + 1, 1, 10, 100, 0

    def stale_share(self, ttl_s: float) -> float:
        stale, stored, version = 0, -1e9, 0
        for number in range(int(self.seconds * 20)):
            now = 1 + number / 20
            if self.before(now, stored) == FORGET:
                stored = -1e9
            if now < stored + ttl_s:
                stale += version != self.changed(now)
            else:
                stored, version = now, self.changed(now)
        return stale / (self.seconds * 20)


def report_of(key: OneKey, ttls_s: tuple[float, ...] = (TTL_S,)) -> dict[str, Any]:
    sample = KeySample(10_000_000, int(TTL_S * NS), "LRU")
    sample.survey_hits([key.hash] * 1_100)
    sample.feed_events(key.events())
    return sample.report(ttls_ms=[int(ttl * 1000) for ttl in ttls_s])


def test_a_change_that_a_client_wrote_is_dated_exactly() -> None:
    """Each value changes six seconds after it was stored: refreshes alone would say "some time within ten"."""

    def writes(now: float, stored: float) -> int | None:
        return WRITE if abs(now - stored - 6) < 0.01 else None

    written = OneKey(lambda now: int((now + 4 - 1) / TTL_S), writes)
    only_refreshed = OneKey(written.changed)
    known = report_of(written, ttls_s=(2.0,))["by_ttl"][0]["stale_reads"]
    guessed = report_of(only_refreshed, ttls_s=(2.0,))["by_ttl"][0]["stale_reads"]
    # One change in ten seconds, at any time of an entry's two.
    assert known == pytest.approx(0.1, abs=0.03)
    assert guessed > known + 0.05


def test_a_refresh_after_a_forget_is_no_sign_of_stale_reads() -> None:
    """The application forgets what it has written: nothing that is read is stale, at any TTL."""

    def forgets(now: float, stored: float) -> int | None:
        del stored
        return FORGET if now % 4 < 0.049 else None

    report = report_of(OneKey(lambda now: int(now // 4), forgets), ttls_s=(1.0, TTL_S, 60.0, 0))
    assert report["changed_refreshes"] > 0.9
    assert [point["stale_reads"] for point in report["by_ttl"]] == pytest.approx([0] * 4, abs=0.01)


@pytest.mark.parametrize("change_s", [25.0, 40.0, 90.0, 1_000.0])
@pytest.mark.parametrize("ttl_s", [5.0, TTL_S, 20.0, 100.0, 0.0])
def test_of_a_hot_key_each_ttl_has_what_its_refreshes_have_found(change_s: float, ttl_s: float) -> None:
    """Not what its rate of change makes likely: it did not change at a time when it might have."""
    key = OneKey(lambda now: int(now / change_s))
    (point,) = report_of(key, ttls_s=(ttl_s,))["by_ttl"]
    truth = key.stale_share(ttl_s or 1e9)
    unknown = TTL_S / 2 / change_s  # when within the time between two refreshes each change was
    assert point["stale_reads"] == pytest.approx(truth, abs=unknown + 0.03)


def test_a_hot_key_that_is_not_sampled_is_found_by_surveys() -> None:
    """Half of all reads are of one key whose value always changes; the values of all others never do."""
    chosen = random.Random(3)
    sample = KeySample(50_000_000, int(TTL_S * NS), "LRU")
    sample.feed_events((LOOKUP_MISS, hash_of(number, 0), NS + number) for number in range(20_000))
    assert sample.threshold < ALL_KEYS
    hot = next(
        hash
        for hash in (hash_of(number, 1) for number in range(10_000))
        if hash % ALL_KEYS >= sample.threshold
    )
    stored: dict[int, float] = {}
    cold = [
        hash
        for hash in (hash_of(number, 0) for number in range(20_000))
        if hash % ALL_KEYS < sample.threshold
    ]
    hits = misses = 0
    for number in range(60_000):
        now = 2 + number / 1_000
        hash = hot if number % 2 else chosen.choice(cold[:1_000])
        hit = now < stored.get(hash, -1e9) + TTL_S
        hits, misses = hits + hit, misses + (not hit)
        if hit:
            sample.survey_hits([hash])
        if hash != hot:
            sample.feed_events([(LOOKUP_HIT if hit else LOOKUP_MISS, hash, int(now * NS))])
        if not hit:
            stored[hash] = now
            digest = int(now * 10) if hash == hot else 1
            assert hash != hot or now < 3 or sample.heeds_changes(hot)
            sample.feed_events([(STORE, hash, int(now * NS), digest, 1, 10, 100, 0)])
    # The other keys that are not sampled have as many reads as those that are: none of them is hot.
    sample.count(hits + misses, misses, 60)
    (point,) = sample.report(ttls_ms=[10_000])["by_ttl"]
    assert 0.35 < point["stale_reads"] < 0.5


@pytest.mark.parametrize(("name", "seed"), [("few", 11), ("few", 12), ("cluster26", 3)])
def test_shares_of_stale_reads_are_within_the_bar(name: str, seed: int) -> None:
    trace = make_trace(named(name, lookups=60_000), seed)
    bound = bound_of(trace)
    report = run_sampled(trace, bound, "LRU", hash_seed=seed).sample.report()
    errors = [
        point["stale_reads"] - replayed(trace, bound, point["entry_ttl_ms"] * 1_000_000, "LRU").stale_reads
        for point in report["by_ttl"]
    ]
    assert max(map(abs, errors)) <= 0.02, errors


def test_the_keys_that_most_hits_are_on_are_never_missed_by_a_survey() -> None:
    """The guarantee of the summary: more than a 256th of all hits, however many other keys there are."""
    for seed in range(20):
        chosen = random.Random(seed)
        sample = KeySample(1_000_000, 0, "LRU")
        sample.feed_events((LOOKUP_MISS, hash_of(number, 0), number) for number in range(30_000))
        others = (hash_of(number, 9) for number in range(90_000))
        unsampled = [hash for hash in others if hash % ALL_KEYS >= sample.threshold]
        hot = unsampled[:5]
        hits = [*hot * 200, *chosen.sample(unsampled[5:], 20_000)]
        chosen.shuffle(hits)
        sample.survey_hits(hits)
        assert all(map(sample.heeds_changes, hot)), seed


def test_memory_is_taken_for_the_keys_that_are_found() -> None:
    sample = KeySample(1_000_000, 0, "LRU")
    before = sample.memory_bytes
    sample.survey_hits([hash_of(number, 0) for number in range(10_000)])
    once = sample.memory_bytes
    assert once - before < 8_000, "none of them was found"
    for number in range(256):
        sample.survey_hits([hash_of(number, 1)] * 60)
    assert once < sample.memory_bytes < once + 80_000
