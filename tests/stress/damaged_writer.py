"""A store that goes on writing while its file is spoilt: `python -m stress.damaged_writer TASK JSON-ARGUMENTS`.

In a process of its own, because the process may crash. Each trial fills a store, spoils bytes or words of one of its
regions, and goes on with all that a daemon does. The trial's number is on standard error before it starts.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import random
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from glidecache_shared.pool.generation import PoolDamagedError, PoolFull
from glidecache_shared.pool.resize import PoolResize
from glidecache_shared.pool.store import PoolStore
from glidecache_shared.protocol import STRING
from support.pool_file import (
    ARENA_OFFSET_AT,
    BUCKET_BYTES,
    BUCKET_LINK_AT,
    BUCKETS_AT,
    COUNTERS_AT,
    COUNTERS_END,
    GRANULE_BYTES,
    HEADER_BYTES,
    OVERFLOW_OFFSET_AT,
)

if TYPE_CHECKING:
    from collections.abc import Callable

TRIAL_SECONDS = 60
REGIONS = ("header", "counts", "buckets", "overflow", "arena", "links", "zeros")
SIZES = (0, 10, 44, 45, 200, 700, 3_000)
KEYS = 400
STEPS = 250

_WORD, _OFFSET = struct.Struct("<I"), struct.Struct("<Q")
_SPOILT_WORDS = (0, 1, 2, 3, 7, 100, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF)


def write_damaged(*, directory: str, region: str, trials: int, first: int) -> dict[str, int]:
    """So many trials of damage to one region; how many ended with `PoolDamagedError`, and how many were not noticed."""
    outcome = {"damaged": 0, "unnoticed": 0}
    for trial in range(first, first + trials):
        print(f"trial {trial} of {region}", file=sys.stderr, flush=True)  # noqa: T201  # for whoever finds the crash
        faulthandler.dump_traceback_later(TRIAL_SECONDS, exit=True)
        outcome["damaged" if _try_one(directory, region, trial) else "unnoticed"] += 1
    faulthandler.cancel_dump_traceback_later()
    return outcome


def _try_one(directory: str, region: str, trial: int) -> bool:
    chance = random.Random(trial)
    store = _make(directory, trial, kb=chance.choice((64, 256)))
    for step in range(chance.choice((30, 2 * KEYS))):
        _insert(store, chance, step + 1)
    if chance.random() < 0.5:
        for _ in range(KEYS // 2):  # some go, so that free runs are many
            store.lookup(b"key %d" % chance.randrange(KEYS), STRING, now_ns=1 << 62)
    store.beat()
    _spoil(Path(store.pool_path), region, chance)
    try:
        for step in range(STEPS):
            chance.choice(_ACTIONS)(store, chance, KEYS * 2 + step)
        _succeed(store, directory, trial)
        store.flush()
    except PoolDamagedError:
        damaged = True
        for action in _ACTIONS:  # from now on all of them refuse, and nothing goes down with it
            try:
                action(store, chance, KEYS * 3)
            except PoolDamagedError:
                continue
            message = f"{action.__name__} went on with a pool that is known to be damaged"
            raise AssertionError(message) from None
    else:
        damaged = False
    store.retire()
    store.unlink()
    store.close()
    return damaged


def _make(directory: str, number: int, *, kb: int) -> PoolStore:
    return PoolStore.create(
        directory,
        "spoilt",
        2 * number,
        max_cache_kb=kb,
        entry_ttl_ms=3_600_000,
        eviction_policy="LFU",
        enable_metrics=True,
        instance_id=1,
        grace_ms=1,
    )


def _insert(store: PoolStore, chance: random.Random, flight: int) -> None:
    store.insert(b"key %d" % chance.randrange(KEYS), STRING, b"v" * chance.choice(SIZES), flight)


def _lookup(store: PoolStore, chance: random.Random, _flight: int) -> None:
    store.lookup_many([b"key %d" % chance.randrange(KEYS) for _ in range(5)], STRING)


def _flush_some(store: PoolStore, chance: random.Random, _flight: int) -> None:
    store.flush_below(chance.randrange(KEYS), 5)


def _trim(store: PoolStore, _chance: random.Random, _flight: int) -> None:
    store.beat()


def _look(store: PoolStore, _chance: random.Random, _flight: int) -> None:
    store.hottest(5)


_ACTIONS: tuple[Callable[[PoolStore, random.Random, int], None], ...] = (
    *(_insert,) * 12,
    *(_lookup,) * 3,
    _flush_some,
    _trim,
    _look,
)


def _succeed(store: PoolStore, directory: str, number: int) -> None:
    """Copy all to another generation, as a reload would."""
    resize = PoolResize(
        store,
        directory,
        "spoilt",
        2 * number + 1,
        pool_mode=0o600,
        board_mode=0o600,
        max_cache_kb=48,
        entry_ttl_ms=3_600_000,
        eviction_policy="LRU",
        enable_metrics=True,
        instance_id=1,
        grace_ms=1,
    )
    try:
        with contextlib.suppress(PoolFull):  # lengths that could be true may not fit
            while not resize.step(16):
                pass
    finally:
        resize.abandon()


def _spoil(path: Path, region: str, chance: random.Random) -> None:
    with path.open("r+b") as file:
        head = file.read(HEADER_BYTES)
        buckets, overflow, granules = struct.unpack_from("<III", head, BUCKETS_AT)
        overflow_at, arena_at = (
            _OFFSET.unpack_from(head, at)[0] for at in (OVERFLOW_OFFSET_AT, ARENA_OFFSET_AT)
        )
        arena_end = arena_at + granules * GRANULE_BYTES
        for _ in range(chance.choice((1, 4, 40))):
            word = _WORD.pack(
                chance.choice((*_SPOILT_WORDS, granules, chance.getrandbits(32), chance.randrange(granules)))
            )
            if region == "header":
                at = chance.randrange(0, 320, 4)
            elif region == "counts":
                counts, counters = (
                    range(BUCKETS_AT, BUCKETS_AT + 16, 4),
                    range(COUNTERS_AT, COUNTERS_END, 4),
                )
                at = chance.choice((*counts, *counters))
            elif region == "buckets":
                at = HEADER_BYTES + chance.randrange(0, buckets * BUCKET_BYTES, 4)
            elif region == "overflow":  # links to the buckets there, mostly
                at = HEADER_BYTES + chance.randrange(buckets) * BUCKET_BYTES + BUCKET_LINK_AT
                if overflow and chance.random() < 0.5:
                    at = overflow_at + chance.randrange(overflow) * BUCKET_BYTES + chance.choice((8, 16))
                word = _WORD.pack(chance.randrange(overflow + 2))
            elif region == "links":  # what stands at the start of an extent or a free run
                at = arena_at + chance.randrange(granules) * GRANULE_BYTES + chance.choice((0, 4, 8, 72))
            else:
                at = chance.randrange(arena_at, arena_end - 800)
                word = bytes(800) if region == "zeros" else chance.randbytes(chance.choice((1, 4, 600)))
            file.seek(at)
            file.write(word)


if __name__ == "__main__":
    faulthandler.enable()
    print(json.dumps(globals()[sys.argv[1]](**json.loads(sys.argv[2]))))  # noqa: T201  # the reply
