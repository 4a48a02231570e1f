"""The judge of the advice is itself held against the real pool: the same hits, evictions and expirations."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glidecache_shared.pool.store import PoolStore
from glidecache_shared.protocol import STRING
from support.exact_replay import ExactReplay

if TYPE_CHECKING:
    from collections.abc import Callable

NS_PER_MS = 1_000_000
START_NS = 10**15
_pool_numbers = itertools.count()

Step = tuple[int, int, int]
"""The time since the last lookup in ms, the key's number, and what its payload's length is chosen by."""


@pytest.mark.parametrize("policy", ["LRU", "LFU"])
@given(
    steps=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 14), st.integers(0, 5)), max_size=150),
    max_cache_kb=st.integers(1, 4),
    entry_ttl_ms=st.sampled_from([0, 20, 100]),
    limited=st.booleans(),
)
def test_c10_c11_replay_does_what_the_pool_does(
    policy: str,
    steps: list[Step],
    max_cache_kb: int,
    entry_ttl_ms: int,
    limited: bool,
    machine_directory: str,
) -> None:
    def life(key: int, at_ns: int) -> int:
        period = (key + 1) * 7 * NS_PER_MS
        return period - at_ns % period

    chosen: Callable[[int, int], int] | None = life if limited else None
    replay = ExactReplay(max_cache_kb * 1024, entry_ttl_ms * NS_PER_MS, policy, life=chosen)
    store = PoolStore.create(
        machine_directory,
        f"replay-{next(_pool_numbers)}",
        1,
        now_ns=START_NS,
        max_cache_kb=max_cache_kb,
        entry_ttl_ms=entry_ttl_ms,
        eviction_policy=policy,
        enable_metrics=True,
        instance_id=1,
        grace_ms=5_000,
    )
    now = START_NS
    try:
        for index, (passed_ms, number, length) in enumerate(steps):
            # A lookup is later than the one before: two accesses at the same time have no order.
            now += passed_ms * NS_PER_MS + 1
            key = b"key:%d" % number
            payload = bytes(number * 40 * length)
            expected = replay.lookup(now, number, len(key), len(payload))
            found = store.lookup(key, STRING, now_ns=now)
            assert (found is not None) == expected, f"lookup {index}"
            if found is None:
                ends = now + life(number, now) if limited else 0
                if ends and entry_ttl_ms:
                    ends = min(ends, now + entry_ttl_ms * NS_PER_MS)
                store.insert(key, STRING, payload, now_ns=now, expires_ns=ends)
        counted = store.metrics()
        assert (counted.evictions, counted.expirations) == (
            replay.result.evictions,
            replay.result.expirations,
        )
        assert store.charged_bytes == replay.charged_bytes
        store.check_integrity()
    finally:
        store.unlink()
        store.close()
