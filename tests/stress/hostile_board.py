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
from glidecached.advice.pool_sampling import PoolSampling
from support.sample_ring import HEAD_BYTES, SAMPLE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

KEYS = 3_000
SAMPLES = 1_024
MOST_SAMPLING_BYTES = 4_000_000


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
    sampling = PoolSampling(store, 256 * 1024, 0, policy, server_ttl=False)
    attacker = os.fork()
    if attacker == 0:
        try:
            _attack_for_ever(store.board_path, ATTACKS[attack])
        finally:
            os._exit(1)
    try:
        outcome = _work(store, sampling, seconds)
    finally:
        os.kill(attacker, signal.SIGKILL)
        _, status = os.waitpid(attacker, 0)
    if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
        outcome["wrong"].append("the attacker gave up")
    outcome["attacks"] = int(attack != "truncate" or Path(store.board_path).stat().st_size == 0)
    store.metrics()
    return outcome


def _work(store: PoolStore, sampling: PoolSampling, seconds: float) -> dict[str, Any]:
    chance = random.Random(1)
    wrong: list[str] = []
    stored, slowest, slowest_report = 0, 0.0, 0.0
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
        started = time.monotonic()
        sampling.turn(time.monotonic_ns() + 1_000_000)
        report = sampling.report(names=True)
        slowest_report = max(slowest_report, time.monotonic() - started)
        if sampling.memory_bytes > MOST_SAMPLING_BYTES or sampling.sample.key_count > 7_168:
            wrong.append(f"{sampling.memory_bytes} bytes, {report}")
    return {
        "wrong": wrong,
        "slowest_report_ms": slowest_report * 1000,
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


def _ring(descriptor: int, size: int, chance: random.Random) -> None:
    """Complete samples of any keys, times and sorts, at positions that are taken; sometimes the head goes anywhere."""
    at = size - SAMPLES * SAMPLE_BYTES
    head = at - HEAD_BYTES
    position = int.from_bytes(os.pread(descriptor, 8, head), "little")
    if chance.random() < 0.1:
        position = chance.choice(
            [0, position // 2, position + SAMPLES, 1 << 63, (1 << 64) - 1, chance.getrandbits(64)]
        )
    samples = b""
    for place in range(SAMPLES):
        taken = position + (place - position) % SAMPLES
        event = (time.monotonic_ns() - chance.randrange(10**9)) << 4 | chance.randrange(16)
        for word in (taken + 1, chance.getrandbits(64), event):
            samples += (word % (1 << 64)).to_bytes(8, "little")
    os.pwrite(descriptor, samples, at)
    os.pwrite(descriptor, ((position + SAMPLES) % (1 << 64)).to_bytes(8, "little"), head)


ATTACKS = {
    "ring": _ring,
    "noise": _noise,
    "ones": _ones,
    "zeros": _zeros,
    "hammer": _hammer,
    "truncate": _truncate,
    "truncate and grow": _truncate_and_grow,
}

if __name__ == "__main__":
    print(json.dumps({"withstand": withstand}[sys.argv[1]](**json.loads(sys.argv[2]))))  # noqa: T201  # the answer
