"""The writer of the stress tests: overwrites, evicts, lets entries expire and changes kinds, at full speed."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, NamedTuple

from glidecache_shared.protocol import STRING
from stress.stamped import Stamp, stamped
from stress.workers import KINDS, churned_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecache_shared.pool.store import PoolStore

BURST = 400
TRIMMING_GRACE_MS = 120


class Churned(NamedTuple):
    """How many values were stored, and how many lookups of the writer's own were hits."""

    stored: int
    hits: int


def swell_and_shrink(store: PoolStore, *, keys: int, seed: int, going_on: Callable[[], bool]) -> int:
    """Fill the pool with tiny entries, then with few large ones, or empty it, in turn; returns how often it turned.

    Heartbeats come all the time, so that the pool trims itself under its readers.
    """
    chance = random.Random(seed)
    names = [churned_key(number) for number in range(keys)]
    version = turns = 0
    while going_on():
        turns += 1
        size, count = (8, keys) if turns % 2 else (store.max_bytes // 12, 40)
        for number in range(count):
            version += 1
            key = names[number]
            kind = KINDS[version % 3] if turns % 2 == 0 else STRING
            now = time.monotonic_ns()
            store.insert(key, kind, stamped(kind, key, Stamp(version, now), size), version, now)
            if number % 200 == 0:
                store.beat()
        if chance.random() < 0.3:
            store.flush()
        resting = time.monotonic() + 2 * TRIMMING_GRACE_MS / 1000
        while time.monotonic() < resting and going_on():
            store.beat()
            time.sleep(0.01)
    return turns


def churn(store: PoolStore, *, keys: int, ttl_ms: int, seed: int, going_on: Callable[[], bool]) -> Churned:
    """Store stamped values until `going_on()` says no.

    One key in eight gets most of the writes, so that readers meet it half-written if that can happen at all; sizes go
    from nothing to a quarter of the pool. With a TTL the writer rests now and then until entries have expired.
    """
    chance = random.Random(seed)
    hot = [churned_key(number) for number in range(0, keys, 8)]
    names = [churned_key(number) for number in range(keys)]
    largest = store.max_bytes // 4
    version = hits = 0
    while going_on():
        for _ in range(BURST):
            version += 1
            key = chance.choice(hot) if version % 4 else chance.choice(names)
            kind = chance.choice(KINDS)
            size = int(largest ** chance.random() ** 2)
            now = time.monotonic_ns()
            store.insert(key, kind, stamped(kind, key, Stamp(version, now), size), version, now)
            if version % 16 == 0:
                hits += store.lookup(chance.choice(names), chance.choice(KINDS)) is not None
        store.beat()
        if ttl_ms and chance.random() < 0.1:
            time.sleep(1.5 * ttl_ms / 1000)
    return Churned(version, hits)
