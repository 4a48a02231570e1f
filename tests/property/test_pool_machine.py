"""A Hypothesis state machine drives the compiled store and two readers against the model of C2–C12, C22 and C25.

The clock is an argument and never shows the same time twice, so that every priority is unique and there is exactly
one right victim. After each step everything that can be asked without leaving a trace must agree; values, which cannot
be read without touching, are compared by every lookup, and all of them at the end.
"""

from __future__ import annotations

import itertools
import os

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from glidecache_shared.pool.reader import PoolReader
from glidecache_shared.pool.resize import PoolResize
from glidecache_shared.pool.store import PoolStore
from glidecache_shared.protocol import HASH, SET, STRING
from support.pool_model import NS_PER_MS, PoolModel, as_model_value, longest_payload, numbered_value

BOOT_NS = 1_000_000_000_000
TICK_NS = 2_000
GRACE_MS = 20_000  # beyond the longest time between two heartbeats that does not mean to exceed it

KEYS = [b"", b"\x00", b"\xff\x00\xfe", *(b"key:%d" % number for number in range(12)), b"l" * 300, b"L" * 2000]

keys = st.sampled_from(KEYS)
kinds = st.sampled_from([STRING, STRING, HASH, SET])
content_bytes = st.sampled_from([0, 1, 15, 16, 43, 44, 45, 72, 100, 250, 700])
bound_shares = st.sampled_from(["0.1", "0.3", "0.5", "0.9", "all", "one too many", "3"])
sizes = st.one_of(content_bytes, content_bytes, bound_shares)
"""Bytes of content, or a share of what the pool's bound leaves for a payload."""

_pool_numbers = itertools.count(1)


class PoolMachine(RuleBasedStateMachine):
    """One pool and its model; every rule does the same to both."""

    def __init__(self, directory: str, policy: str) -> None:
        super().__init__()
        self.directory = directory
        self.policy = policy
        self.now = BOOT_NS
        self.times_used: set[int] = set()
        self.number = 0
        self.flight = 0

    @initialize(
        max_cache_kb=st.sampled_from([1, 1, 2, 3, 5, 8, 16, 64, 256]),
        entry_ttl_ms=st.sampled_from([0, 0, 1, 3, 1000]),
    )
    def create(self, max_cache_kb: int, entry_ttl_ms: int) -> None:
        self.store = PoolStore.create(
            self.directory,
            f"machine-{next(_pool_numbers)}",
            1,
            max_cache_kb=max_cache_kb,
            entry_ttl_ms=entry_ttl_ms,
            eviction_policy=self.policy,
            enable_metrics=True,
            instance_id=1,
            grace_ms=GRACE_MS,
            now_ns=self.now,
        )
        self.model = PoolModel(
            max_bytes=max_cache_kb * 1024, entry_ttl_ms=entry_ttl_ms, eviction_policy=self.policy
        )
        self.ttl_ns = entry_ttl_ms * NS_PER_MS
        self.readers = [self.open_reader(), self.open_reader()]
        assert self.store.max_bytes == self.model.max_bytes

    def teardown(self) -> None:
        if not hasattr(self, "readers"):
            return
        try:
            for key, entry in sorted(self.model.live.items()):
                kind = entry.kind
                self.check_worker_lookup(self.readers[0], key, kind, self.tick())
            self.agree()
        finally:
            self.store.unlink()
            self.store.close()

    @rule(key=keys, kind=kinds, size=sizes)
    def insert(self, key: bytes, kind: int, size: int | str) -> None:
        self.check_insert(key, kind, size, self.next_flight())

    @rule(key=keys, kind=kinds, size=content_bytes, later=st.sampled_from([-7, -1, 0, 1]))
    def insert_from_another_flight(self, key: bytes, kind: int, size: int, later: int) -> None:
        self.check_insert(key, kind, size, max(self.flight_of(key) + later, 1))

    @rule(
        key=keys,
        kind=kinds,
        size=sizes,
        left_ns=st.sampled_from([-1, 0, 1, 2 * TICK_NS, 40 * TICK_NS, 10**9]),
    )
    def insert_with_an_end_of_its_own(self, key: bytes, kind: int, size: int | str, left_ns: int) -> None:
        self.check_insert(key, kind, size, self.next_flight(), left_ns)

    @rule(count=st.integers(2, 60), kind=kinds, size=sizes, spread=st.sampled_from([1, 40, 1000]))
    def insert_many(self, count: int, kind: int, size: int | str, spread: int) -> None:
        for index in range(count):
            self.check_insert(
                b"many:%d" % ((self.number * 7 + index) % spread), kind, size, self.next_flight()
            )

    @rule(key=keys, kind=kinds, which=st.integers(0, 1), ticks_late=st.integers(0, 30))
    def worker_lookup(self, key: bytes, kind: int, which: int, ticks_late: int) -> None:
        self.check_worker_lookup(self.readers[which], key, kind, self.earlier_time(ticks_late))

    @rule(key=keys, times=st.integers(1, 9), which=st.integers(0, 1))
    def worker_hits(self, key: bytes, times: int, which: int) -> None:
        kind = self.model.live[key].kind if key in self.model.live else STRING
        for _ in range(times):
            self.check_worker_lookup(self.readers[which], key, kind, self.tick())

    @rule(
        which=st.integers(0, 1),
        every=st.integers(1, 5),
        ticks_late=st.sampled_from([0, 0, 0, 2000]),
        oldest_first=st.booleans(),
    )
    def worker_hits_on_many(self, which: int, every: int, ticks_late: int, oldest_first: bool) -> None:
        order = self.model.victim_order()
        for key in (order if oldest_first else order[::-1])[::every][:60]:
            time_ns = self.earlier_time(ticks_late)
            self.check_worker_lookup(self.readers[which], key, self.model.live[key].kind, time_ns)

    @rule(key=keys, kind=kinds)
    def daemon_lookup(self, key: bytes, kind: int) -> None:
        self.check_daemon_lookup(key, kind, 0, self.tick())

    @rule(key=keys, of_its_kind=st.booleans(), later=st.sampled_from([-7, -1, 0, 1]))
    def daemon_lookup_after_a_write(self, key: bytes, of_its_kind: bool, later: int) -> None:
        kind = self.model.live[key].kind if of_its_kind and key in self.model.live else HASH
        self.check_daemon_lookup(key, kind, max(self.flight_of(key) + later, 1), self.tick())

    @rule(key=keys, kind=kinds, distance_ns=st.integers(-1, 1), by_worker=st.booleans())
    def lookup_at_the_instant_of_expiry(
        self, key: bytes, kind: int, distance_ns: int, by_worker: bool
    ) -> None:
        entry = self.model.live.get(key)
        if entry is None or entry.expires_ns is None or entry.expires_ns + distance_ns <= self.now:
            return
        self.now = entry.expires_ns + distance_ns
        self.times_used.add(self.now)
        self.store.beat(self.now)
        if by_worker:
            self.check_worker_lookup(self.readers[0], key, kind, self.now)
        else:
            self.check_daemon_lookup(key, kind, 0, self.now)

    @rule(share=st.sampled_from([0.2, 0.5, 0.9, 1.0]))
    def let_time_pass(self, share: float) -> None:
        self.now += int(self.ttl_ns * share)
        self.store.beat(self.now)

    @rule(key=keys, kind=kinds)
    def daemon_is_silent_beyond_its_grace(self, key: bytes, kind: int) -> None:
        self.now += GRACE_MS * NS_PER_MS + TICK_NS
        assert self.readers[0].lookup(key, kind, self.tick()) is None
        self.store.beat(self.now)
        self.check_worker_lookup(self.readers[0], key, kind, self.tick())

    @rule(times=st.sampled_from([1, 1, 9]))
    def beat(self, times: int) -> None:
        """Several in a row are as long as a grace and more: memory is vacated, and given back."""
        for _ in range(times):
            self.now += (GRACE_MS // 4) * NS_PER_MS
            self.store.beat(self.tick())

    @rule()
    def flush(self) -> None:
        assert self.store.flush() == self.model.flush()

    @rule(key=keys)
    def forget(self, key: bytes) -> None:
        self.check_forget(key)

    @rule(which=st.integers(0, 30), distance_ns=st.integers(-1, 1))
    def forget_at_the_instant_of_expiry(self, which: int, distance_ns: int) -> None:
        mortal = sorted(key for key, entry in self.model.live.items() if entry.expires_ns is not None)
        if not mortal:
            return
        key = mortal[which % len(mortal)]
        now = (self.model.live[key].expires_ns or 0) + distance_ns
        if now > self.now:
            self.now = now
            self.times_used.add(now)
            self.store.beat(now)
            assert self.store.forget(key, now) is self.model.forget(key, now)

    @rule(
        prefix=st.sampled_from(
            [b"key:", b"key:1", b"many:", b"many:2", b"\xff", b"l" * 300, b"L" * 1999, b"x"]
        ),
        step=st.sampled_from([1, 7, 512]),
    )
    def forget_prefix(self, prefix: bytes, step: int) -> None:
        now = self.tick()
        below, removed = 0xFFFF_FFFF, 0
        while below:
            below, more = self.store.forget_below(prefix, below, step, now)
            removed += more
        assert removed == self.model.forget_prefix(prefix, now)

    @rule(
        max_cache_kb=st.sampled_from([1, 2, 3, 5, 8, 16, 64, 256]),
        entry_ttl_ms=st.sampled_from([None, 0, 1, 1000]),
        step=st.sampled_from([1, 7, 256]),
        forgotten=st.lists(keys, max_size=4),
    )
    def change_bound_and_ttl(
        self, max_cache_kb: int, entry_ttl_ms: int | None, step: int, forgotten: list[bytes]
    ) -> None:
        """As a reload does: the next generation has what fits of this one, in the order in which it would leave.

        What is forgotten between its steps is not in the next generation either.
        """
        if entry_ttl_ms is not None:
            self.store.set_ttl(entry_ttl_ms)
            self.model.set_ttl(entry_ttl_ms)
            self.ttl_ns = entry_ttl_ms * NS_PER_MS
        now = self.tick()
        self.model.set_bound(max_cache_kb * 1024, now)
        resize = PoolResize(
            self.store,
            self.directory,
            os.path.basename(self.store.pool_path).split(".")[0],  # noqa: PTH119 - a name, not a place
            self.store.generation + 1,
            max_cache_kb=max_cache_kb,
            entry_ttl_ms=self.ttl_ns // NS_PER_MS,
            eviction_policy=self.policy,
            enable_metrics=True,
            instance_id=1,
            grace_ms=GRACE_MS,
            pool_mode=0o640,
            board_mode=0o660,
            now_ns=now,
        )
        while not resize.step(step, now):
            assert not self.readers[0].retired
            # Before, the old generation may still have entries over the new bound: they would not have to leave.
            if forgotten and self.store.charged_bytes == self.model.charged_bytes:
                self.check_forget(forgotten.pop(), now)
        for key in forgotten:
            self.check_forget(key, now)
        old, self.store = self.store, resize.finish(now)
        assert all(reader.retired for reader in self.readers)
        old.unlink()
        old.close()
        self.readers = [self.open_reader(), self.open_reader()]
        assert self.store.max_bytes == self.model.max_bytes

    @rule(which=st.integers(0, 1))
    def reopen_a_reader(self, which: int) -> None:
        self.readers[which] = self.open_reader()

    @invariant()
    def agree(self) -> None:
        if not hasattr(self, "readers"):
            return
        self.store.check_integrity()
        entries = self.store.entries()
        assert len(entries) == len(set(entries))
        assert set(entries) == self.model.entries()
        assert self.store.charged_bytes == self.model.charged_bytes <= self.store.max_bytes
        assert self.store.metrics() == self.model.metrics()
        assert self.readers[1].metrics() == self.model.metrics()
        assert self.store.forgotten == self.model.forgotten

    def check_insert(
        self, key: bytes, kind: int, size: int | str, flight: int, left_ns: int | None = None
    ) -> None:
        self.number += 1
        value = numbered_value(kind, self.number, self.content_size(key, size))
        now = self.tick()
        expires_ns = None if left_ns is None else now + left_ns
        stored = self.store.insert(key, kind, value, flight, now, expires_ns or 0)
        assert stored is self.model.insert(key, kind, value, flight, now, expires_ns)

    def check_worker_lookup(self, reader: PoolReader, key: bytes, kind: int, now: int) -> None:
        assert as_model_value(reader.lookup(key, kind, now)) == self.model.read(key, kind, now)

    def check_daemon_lookup(self, key: bytes, kind: int, after_flight: int, now: int) -> None:
        found = as_model_value(self.store.lookup(key, kind, after_flight, now))
        assert found == self.model.lookup(key, kind, after_flight, now)

    def check_forget(self, key: bytes, now: int | None = None) -> None:
        now = self.tick() if now is None else now
        assert self.store.forget(key, now) is self.model.forget(key, now)
        assert all(
            reader.lookup(key, kind, now) is None for reader in self.readers for kind in (STRING, HASH, SET)
        )

    def content_size(self, key: bytes, size: int | str) -> int:
        if isinstance(size, int):
            return size
        longest = max(longest_payload(len(key), self.store.max_bytes), 0)
        if size == "all":
            return longest
        return longest + 1 if size == "one too many" else int(longest * float(size))

    def flight_of(self, key: bytes) -> int:
        """The flight whose reply stands under the key; the last one where none does."""
        return self.model.live[key].flight if key in self.model.live else self.flight

    def next_flight(self) -> int:
        self.flight += 1
        return self.flight

    def tick(self) -> int:
        self.now += TICK_NS
        self.times_used.add(self.now)
        return self.now

    def earlier_time(self, ticks_late: int) -> int:
        """The time of a lookup whose access is reported only now; late by no more than the pool is old."""
        if not ticks_late:
            return self.tick()
        time_ns = max(self.now - ticks_late * TICK_NS, BOOT_NS) + 1
        while time_ns in self.times_used:
            time_ns += 1
        self.times_used.add(time_ns)
        return time_ns

    def open_reader(self) -> PoolReader:
        return PoolReader(self.store.pool_path, self.store.board_path)


@pytest.mark.timeout(0 if os.environ.get("HYPOTHESIS_PROFILE") else 600)
@pytest.mark.parametrize("policy", ["LRU", "LFU"])
def test_c2_to_c12_and_c22_hold_whatever_the_order_of_operations(machine_directory: str, policy: str) -> None:
    """Under either policy the compiled pool does exactly what the model does."""
    run_state_machine_as_test(lambda: PoolMachine(machine_directory, policy), settings=settings())
