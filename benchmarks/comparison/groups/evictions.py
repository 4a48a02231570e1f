"""The cost of making room, in the store itself: at a thousand entries and at a million, for both policies."""

from __future__ import annotations

import random
import statistics
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from comparison import data
from comparison.rows import Group, LeftOut, Row, Target, row
from comparison.timing import rotated, undisturbed
from glidecache_shared.pool.generation import PoolFull
from glidecache_shared.pool.reader import PoolReader
from glidecache_shared.pool.store import PoolStore, charge_bytes, payload_bytes
from glidecache_shared.protocol import STRING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from comparison.scale import Scale
    from comparison.stand import Stand

POLICIES = ("LRU", "LFU")
SMALL_ENTRIES = 1000
STALLS = 7
GRACE_MS = 3_600_000
"""Nothing renews these pools' heartbeats; readers trust them for as long as a run can last."""

VALUE = data.many_value(0)
CHARGE = charge_bytes(data.KEY_BYTES, payload_bytes(STRING, VALUE))

GROWTH = Target(text="≤ 1.5", at_most=1.5)
ALL_TOUCHED_MS = Target(text="< 5 ms", at_most=5)
CHOICE_US = Target(text="< 1 µs", at_most=1)


Pool = tuple[str, int]
"""A policy, and the number of entries."""


class CrowdedPool:
    """A full pool whose entries were stored in no order, so that the next victims lie anywhere in its memory.

    Keys are numbered in the order of their first storing.
    """

    def __init__(self, directory: str, policy: str, entries: int) -> None:
        self.store = PoolStore.create(
            directory,
            f"{policy}-{entries}",
            1,
            max_cache_kb=-(-CHARGE * entries // 1024),
            entry_ttl_ms=0,
            eviction_policy=policy,
            enable_metrics=True,
            instance_id=1,
            grace_ms=GRACE_MS,
        )
        self.reader = PoolReader(self.store.pool_path, self.store.board_path)
        self.entries = self.store.max_bytes // CHARGE
        self.numbers = random.Random(entries)
        self.next_number = 0
        self.insert(self.new_keys(self.entries))
        self.insert(self.numbers.sample(self.keys(), self.entries))
        assert self.store.metrics().evictions == 0

    def insert(self, keys: list[bytes]) -> None:
        """Store a value under each key. Raises `PoolFull` where the file system has no room."""
        for key in keys:
            if not self.store.insert(key, STRING, VALUE):
                message = "no room for this pool in shared memory"
                raise PoolFull(message)

    def new_keys(self, count: int) -> list[bytes]:
        """Return keys that the pool has not seen yet."""
        first, self.next_number = self.next_number, self.next_number + count
        return list(map(data.many_key, range(first, self.next_number)))

    def keys(self) -> list[bytes]:
        """Return the keys of all entries."""
        return [key for key, _ in self.store.entries()]

    def replace_us(self, count: int) -> float:
        """Return the microseconds per insert that replaces an entry: all of an evicting one, except the choice."""
        drawn = self.numbers.choices(self.keys(), k=count)
        keys = [data.many_key(int(key)) for key in drawn]  # one after another in memory, as new ones are
        start = time.perf_counter_ns()
        self.insert(keys)
        return (time.perf_counter_ns() - start) / count / 1000

    def miss_us(self, count: int) -> tuple[float, float]:
        """Return the microseconds per lookup that misses, and per insert that evicts."""
        keys = self.new_keys(count)
        evictions = self.store.metrics().evictions
        start = time.perf_counter_ns()
        for key in keys:
            self.store.lookup(key, STRING)
        middle = time.perf_counter_ns()
        self.insert(keys)
        end = time.perf_counter_ns()
        assert self.store.metrics().evictions == evictions + count
        return (middle - start) / count / 1000, (end - middle) / count / 1000

    def stalls_ms(self) -> list[float]:
        """Return the milliseconds of single evicting inserts.

        Each comes after every entry was hit, so no earlier choice is of use. What is stored here is hit as often as the
        others were, so that it is not the one entry with a low count.
        """
        stalls = []
        keys = self.keys()
        get = self.reader.get
        for _ in range(STALLS):
            for key in keys:  # those that have left meanwhile are not found, and do no harm
                get(key)
            (new_key,) = self.new_keys(1)
            start = time.perf_counter_ns()
            self.store.insert(new_key, STRING, VALUE)
            stalls.append((time.perf_counter_ns() - start) / 1e6)
            for _ in range(STALLS):
                get(new_key)
            keys.append(new_key)
        return stalls


def measure(stand: Stand, scale: Scale) -> Group:
    """Measure pools of both sizes and both policies, taking turns."""
    with crowded_pools(str(stand.memory_directory), scale.entries) as pools, undisturbed():
        costs: dict[Pool, list[float]] = {pool: [] for pool in pools}
        choices: dict[Pool, list[float]] = {pool: [] for pool in pools}
        for round_number in range(scale.eviction_rounds):
            for pool in rotated(list(pools), round_number):
                replace_us = pools[pool].replace_us(scale.evictions)
                miss_us, evict_us = pools[pool].miss_us(scale.evictions)
                costs[pool].append(miss_us + evict_us)
                choices[pool].append(evict_us - replace_us)
        stalls = {policy: pools[policy, scale.entries].stalls_ms() for policy in POLICIES}
    rows: list[Row] = []
    for policy in POLICIES:
        small = statistics.median(costs[policy, SMALL_ENTRIES])
        large = statistics.median(costs[policy, scale.entries])
        rows += [
            row(f"{policy}: miss + eviction at {SMALL_ENTRIES:,}", small, "µs"),
            row(
                f"{policy}: miss + eviction at {scale.entries:,}",
                large,
                "µs",
                ratio=large / small,
                target=GROWTH,
                judged=scale.million,
            ),
            row(
                f"{policy}: choosing a victim at {scale.entries:,}, amortised",
                statistics.median(choices[policy, scale.entries]),
                "µs",
                target=CHOICE_US,
                judged=scale.million,
                note="an evicting insert less one that replaces an entry",
            ),
            row(
                f"{policy}: next insert after all {scale.entries:,} were hit",
                statistics.median(stalls[policy]),
                "ms",
                target=ALL_TOUCHED_MS,
                judged=scale.million,
                note=f"longest of {len(stalls[policy])}: {max(stalls[policy]):.2f} ms",
            ),
        ]
    return Group(
        title=f"Making room in the store, {SMALL_ENTRIES:,} and {scale.entries:,} entries",
        ratio_is="large pool / small pool",
        rows=rows,
    )


@contextmanager
def crowded_pools(directory: str, entries: int) -> Iterator[dict[Pool, CrowdedPool]]:
    """Yield a pool of each policy and size; their files are removed at the end of the block.

    Raises `LeftOut` where there is no room.
    """
    pools: dict[Pool, CrowdedPool] = {}
    with ExitStack() as stack:
        try:
            for policy in POLICIES:
                for size in (SMALL_ENTRIES, entries):
                    pool = pools[policy, size] = CrowdedPool(directory, policy, size)
                    stack.callback(pool.store.close)
                    stack.callback(pool.store.unlink)
        except PoolFull as error:
            raise LeftOut(str(error)) from error
        yield pools
