"""A store whose board is attacked while it works: `python -m stress.hostile_board TASK JSON-ARGUMENTS`.

The attacker is a forked child that may write the board file, as workers may; the store's process may crash.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glidecache_shared.pool.store import PoolStore
from glidecache_shared.protocol import STRING

if TYPE_CHECKING:
    from collections.abc import Callable

KEYS = 3_000


def withstand(*, directory: str, policy: str, attack: str, seconds: float) -> dict[str, Any]:
    """Insert and look up for `seconds` while the board is attacked; returns what the store still did right."""
    store = PoolStore.create(
        directory,
        "hostile",
        1,
        max_cache_kb=256,
        entry_ttl_ms=0,
        eviction_policy=policy,
        enable_metrics=True,
        instance_id=1,
        grace_ms=5_000,
    )
    for number in range(500):
        store.insert(b"%d" % number, STRING, b"value of %d" % number, number + 1)
    attacker = os.fork()
    if attacker == 0:
        try:
            _attack_for_ever(store.board_path, ATTACKS[attack])
        finally:
            os._exit(1)
    try:
        outcome = _work(store, seconds)
    finally:
        os.kill(attacker, signal.SIGKILL)
        _, status = os.waitpid(attacker, 0)
    if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
        outcome["wrong"].append("the attacker gave up")
    outcome["attacks"] = int(attack != "truncate" or Path(store.board_path).stat().st_size == 0)
    store.metrics()
    return outcome


def _work(store: PoolStore, seconds: float) -> dict[str, Any]:
    chance = random.Random(1)
    wrong: list[str] = []
    stored, slowest = 0, 0.0
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for _ in range(200):
            number = chance.randrange(KEYS)
            value = b"value of %d" % number
            started = time.monotonic()
            stored += store.insert(
                b"%d" % number, STRING, value + b"." * chance.randrange(3_000), stored + 1_000
            )
            slowest = max(slowest, time.monotonic() - started)
            number = chance.randrange(KEYS)
            found = store.lookup(b"%d" % number, STRING)
            if isinstance(found, bytes) and found.rstrip(b".") != b"value of %d" % number:
                wrong.append(f"{number}: {found!r:.80}")
    return {
        "wrong": wrong,
        "stored": stored,
        "slowest_insert_ms": slowest * 1000,
        "charged": store.charged_bytes,
        "max_bytes": store.max_bytes,
    }


def _attack_for_ever(path: str, attack: Callable[[int, int, random.Random], None]) -> None:
    chance = random.Random(2)
    descriptor = os.open(path, os.O_RDWR)
    size = os.fstat(descriptor).st_size
    while True:
        attack(descriptor, size, chance)


def _noise(descriptor: int, size: int, chance: random.Random) -> None:
    os.pwrite(descriptor, chance.randbytes(64), chance.randrange(size - 64))


def _ones(descriptor: int, size: int, _chance: random.Random) -> None:
    os.pwrite(descriptor, b"\xff" * size, 0)


def _zeros(descriptor: int, size: int, _chance: random.Random) -> None:
    os.pwrite(descriptor, bytes(size), 0)


def _hammer(descriptor: int, size: int, _chance: random.Random) -> None:
    """Every record at a time that is always new."""
    record = time.monotonic_ns().to_bytes(8, "little") + (1).to_bytes(8, "little")
    os.pwrite(descriptor, record * ((size - 4096) // 16), 4096)


def _truncate(descriptor: int, _size: int, _chance: random.Random) -> None:
    os.ftruncate(descriptor, 0)


def _truncate_and_grow(descriptor: int, size: int, chance: random.Random) -> None:
    os.ftruncate(descriptor, chance.randrange(size))
    os.ftruncate(descriptor, size)


ATTACKS = {
    "noise": _noise,
    "ones": _ones,
    "zeros": _zeros,
    "hammer": _hammer,
    "truncate": _truncate,
    "truncate and grow": _truncate_and_grow,
}

if __name__ == "__main__":
    print(json.dumps({"withstand": withstand}[sys.argv[1]](**json.loads(sys.argv[2]))))  # noqa: T201  # the answer
