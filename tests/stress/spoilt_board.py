"""A store whose board is cut short or hammered: `python -m stress.spoilt_board TASK JSON-ARGUMENTS`.

Beside `stress.hostile_board`, which attacks without end: here is what readers get meanwhile, and what is whole again
afterwards.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from typing import TYPE_CHECKING, Any

from glidecache_shared.pool.reader import PoolReader
from glidecache_shared.pool.store import PoolStore
from glidecache_shared.protocol import STRING
from stress.hostile_board import ATTACKS

if TYPE_CHECKING:
    from collections.abc import Callable

ENTRIES = 300
SETTLED_ROUNDS = 3
OLD_ENTRIES = 300
FILLER = b"v" * 400


def hammer(*, board_path: str, attacks: list[str], seconds: float, seed: int) -> dict[str, Any]:
    """Attack a board at full speed with everything named, in bursts."""
    chance = random.Random(seed)
    descriptor = os.open(board_path, os.O_RDWR)
    size = os.fstat(descriptor).st_size
    done = 0
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        attack = ATTACKS[chance.choice(attacks)]
        for _ in range(50):
            attack(descriptor, size, chance)
            done += 1
    return {"attacks": done}


def recover(*, directory: str, policy: str, cuts: int, seed: int) -> dict[str, Any]:
    """Cut the board to some length again and again, at full work; a heartbeat after each cut has to make it whole."""
    chance = random.Random(seed)
    store = PoolStore.create(
        directory,
        "cut",
        1,
        max_cache_kb=128,
        entry_ttl_ms=0,
        eviction_policy=policy,
        enable_metrics=True,
        instance_id=1,
        grace_ms=3_600_000,
    )
    size = os.stat(store.board_path).st_size  # noqa: PTH116  # a path as the store gives it
    wrong: list[str] = []
    for cut in range(cuts):
        faults = store.board_faults
        os.truncate(store.board_path, chance.choice([0, 1, 4_096, chance.randrange(size)]))
        _work(store, chance, wrong)
        store.beat()
        store.check_integrity()
        length = os.stat(store.board_path).st_size  # noqa: PTH116
        if store.board_faults > faults and length != size:
            wrong.append(f"cut {cut}: the board has {length} of {size} bytes after a heartbeat")
    os.truncate(store.board_path, 0)
    _work(store, chance, wrong)
    store.beat()
    faults = store.board_faults
    wrong += _policy_errors(store, policy)
    wrong += _counter_errors(store)
    store.check_integrity()
    return {"wrong": wrong, "faults": faults, "faults_when_whole": store.board_faults - faults}


def _work(store: PoolStore, chance: random.Random, wrong: list[str]) -> None:
    for _ in range(200):
        number = chance.randrange(ENTRIES)
        key, value = b"%d" % number, b"value of %d" % number
        store.insert(key, STRING, value + b"." * chance.randrange(2_000), 1)
        for other in (number, chance.randrange(ENTRIES)):
            found = store.lookup(b"%d" % other, STRING)
            if other == number and found is None:
                wrong.append(f"{number} is not there after its insert")
            if isinstance(found, bytes) and found.rstrip(b".") != b"value of %d" % other:
                wrong.append(f"{other}: {found!r:.80}")
    store.metrics()


def _policy_errors(store: PoolStore, policy: str) -> list[str]:
    """What the policy does wrong after the mending: half of the entries are read, exactly the others have to leave."""
    reader = PoolReader(store.pool_path, store.board_path)
    errors, flight = [], 1
    for round_number in range(SETTLED_ROUNDS):
        store.flush()
        for number in range(OLD_ENTRIES):
            flight += 1
            store.insert(b"%d-%03d" % (round_number, number), STRING, FILLER, flight)
        standing = sorted(key for key, _ in store.entries())
        read = {key for key in standing[::2] if reader.get(key) == FILLER}
        new = {b"n-%03d" % number for number in range(len(standing) - len(read))}
        for key in sorted(new):
            flight += 1
            store.insert(key, STRING, FILLER, flight)
            store.lookup(key, STRING)
        if not (len(read) == (len(standing) + 1) // 2 and len(standing) < OLD_ENTRIES):
            errors.append(f"{policy}: {len(read)} of {len(standing)} entries were read")
        strangers = {key for key, _ in store.entries()} ^ (read | new)
        if strangers:
            errors.append(
                f"{policy}: of {len(standing)} entries the wrong ones left: {sorted(strangers)[:9]}"
            )
    return errors


def _counter_errors(store: PoolStore) -> list[str]:
    reader = PoolReader(store.pool_path, store.board_path)
    store.insert(b"counted", STRING, b"v", 1_000_000)
    before = store.metrics().hits
    for _ in range(1_000):
        reader.get(b"counted")
    counted = store.metrics().hits - before
    return [] if counted == 1_000 else [f"{counted} hits of 1,000 were counted"]


TASKS: dict[str, Callable[..., dict[str, Any]]] = {"hammer": hammer, "recover": recover}

if __name__ == "__main__":
    print(json.dumps(TASKS[sys.argv[1]](**json.loads(sys.argv[2]))))  # noqa: T201  # the answer to the test
