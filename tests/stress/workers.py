"""The worker processes of the stress tests: `python -m stress.workers TASK JSON-ARGUMENTS`.

Each task ends by itself, within its `seconds` where it has them, and prints one JSON object.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import mmap
import os
import random
import signal
import sys
import threading
import time
import traceback
from functools import partial
from typing import TYPE_CHECKING, Any

from glidecache_shared.pool.reader import PoolReader
from glidecache_shared.protocol import HASH, SET, STRING
from stress.stamped import NotWholeError, read_stamp

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = (STRING, HASH, SET)
BATCH = 256
SHARDS = 64


def churned_key(number: int) -> bytes:
    """The key of a number in the churn test: of very uneven lengths."""
    return b"key:%d:" % number + b"k" * (number % 11) ** 2


def read_stamped(
    *, pool_path: str, board_path: str, seconds: float, keys: int, ttl_ns: int, seed: int
) -> dict[str, Any]:
    """Look up stamped values and judge each: whole, of this key, not expired, never older than one seen before."""
    reader = PoolReader(pool_path, board_path)
    chance = random.Random(seed)
    names = [churned_key(number) for number in range(keys)]
    newest = dict.fromkeys(names, 0)
    found = dict.fromkeys(KINDS, 0)
    lookups = 0
    failures: list[str] = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and len(failures) < 5:
        for key in chance.choices(names, k=BATCH):
            kind = KINDS[lookups % 3]
            lookups += 1
            before_ns = time.monotonic_ns()
            value = reader.lookup(key, kind)
            if value is None:
                continue
            found[kind] += 1
            try:
                stamp = read_stamp(kind, key, value)
            except NotWholeError as error:
                failures.append(str(error))
                continue
            if ttl_ns and before_ns >= stamp.stored_ns + ttl_ns:
                failures.append(f"{key!r}: expired for {before_ns - stamp.stored_ns - ttl_ns} ns")
            if stamp.version < newest[key]:
                failures.append(f"{key!r}: version {stamp.version} after {newest[key]}")
            newest[key] = stamp.version
    return {"lookups": lookups, "found": [found[kind] for kind in KINDS], "failures": failures}


def read_growing(*, pool_path: str, board_path: str, seconds: float, until: int, seed: int) -> dict[str, Any]:
    """Look up the numbered keys that are there so far, while more are stored and the index grows under them."""
    reader = PoolReader(pool_path, board_path)
    chance = random.Random(seed)
    found = missing = 0
    failures: list[str] = []
    deadline = time.monotonic() + seconds
    while (
        (there := reader.metrics().entry_count) < until and time.monotonic() < deadline and len(failures) < 5
    ):
        if there == 0:
            continue
        for _ in range(BATCH):
            number = chance.randrange(there)
            value = reader.get(number)
            if value == b"value of %d" % number:
                found += 1
            elif value is None:
                missing += 1
            else:
                failures.append(f"{number}: {value[:80]!r}")
    return {"found": found, "missing": missing, "there": there, "failures": failures}


def count_hits(*, pool_path: str, board_path: str, hits: int, threads: int, key: str) -> dict[str, Any]:
    """Exactly `hits` hits in each of so many threads."""
    reader = PoolReader(pool_path, board_path)
    return {"hits": sum(_hit_in_threads(reader, key, hits, threads))}


def hit_together(
    *, pool_path: str, board_path: str, hits: int, processes: int, one_shard: bool, key: str
) -> dict[str, Any]:
    """Exactly `hits` hits in each of so many processes, all at the same time.

    With `one_shard` their ids are the same modulo the number of shards, so that they count on one cache line.
    """
    reader = PoolReader(pool_path, board_path)
    started = mmap.mmap(-1, 1)  # shared with the children
    pids: list[int] = []
    for _ in range(100 * SHARDS):
        pid = os.fork()
        wanted = not one_shard or not pids or (pid or os.getpid()) % SHARDS == pids[0] % SHARDS
        if pid == 0:
            _leave(partial(_hit_once_started, reader, key, hits, started) if wanted else int)
        if wanted:
            pids.append(pid)
        else:
            os.waitpid(pid, 0)
        if len(pids) == processes:
            break
    started[0] = 1
    return {"statuses": [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]}


def _hit_once_started(reader: PoolReader, key: str, hits: int, started: mmap.mmap) -> None:
    while not started[0]:
        pass  # a sleeper would wake up late, and the others would have done without it
    _hit_in_threads(reader, key, hits, 1)


def fork_and_count(
    *, pool_path: str, board_path: str, hits: int, generations: int, key: str
) -> dict[str, Any]:
    """A reader that was made and used before the fork is used by parent, children and their children."""
    reader = PoolReader(pool_path, board_path)
    done = _hit_in_threads(reader, key, hits, 1)[0]
    children = []
    for _ in range(2):
        pid = os.fork()
        if pid == 0:
            _leave(lambda: _descend(reader, key, hits, generations - 1))
        children.append(pid)
    done += _hit_in_threads(reader, key, hits, 1)[0]
    statuses = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
    return {"hits_of_parent": done, "statuses": statuses}


def die_reading(
    *, pool_path: str, board_path: str, seconds: float, at_least: int, keys: int, children: int, seed: int
) -> dict[str, Any]:
    """Children look up as fast as they can, and are killed at any instant; each has written down the hits it had.

    For so many seconds, and on a busy machine until so many have been killed.
    """
    reader = PoolReader(pool_path, board_path)
    chance = random.Random(seed)
    # Stored by one instruction, so that a kill finds a number before or after it, never in the middle.
    ledger = (ctypes.c_uint64 * children).from_buffer(mmap.mmap(-1, mmap.PAGESIZE))
    pids: dict[int, int] = {}
    kills, strange = 0, []
    deadline = time.monotonic() + seconds
    try:
        while time.monotonic() < deadline or kills < at_least:
            for slot in set(range(children)) - set(pids.values()):
                child_seed = chance.getrandbits(32)
                pid = os.fork()
                if pid == 0:
                    _leave(partial(_keep_ledger, reader, ledger, slot, keys, child_seed))
                pids[pid] = slot
            time.sleep(chance.uniform(0.001, 0.02))
            victim = chance.choice(sorted(pids))
            kills += 1
            strange += _kill(victim)
            del pids[victim]
    finally:
        for pid in pids:
            kills += 1
            strange += _kill(pid)
    return {"kills": kills, "recorded": sum(ledger), "strange": strange}


def _keep_ledger(
    reader: PoolReader, ledger: ctypes.Array[ctypes.c_uint64], slot: int, keys: int, seed: int
) -> None:
    names = [churned_key(number) for number in range(keys)]
    random.Random(seed).shuffle(names)
    while True:
        for key in names:
            for kind in KINDS:
                value = reader.lookup(key, kind)
                if value is not None:
                    ledger[slot] += 1
                    read_stamp(kind, key, value)


def _kill(pid: int) -> list[str]:
    os.kill(pid, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return [] if status == -signal.SIGKILL else [f"a child ended with {status} before it was killed"]


def _descend(reader: PoolReader, key: str, hits: int, generations: int) -> None:
    """Half of the hits, then a child of its own, then the other half in threads."""
    _hit_in_threads(reader, key, hits, 1)
    if generations > 0:
        pid = os.fork()
        if pid == 0:
            _leave(lambda: _descend(reader, key, hits, generations - 1))
        if os.waitpid(pid, 0)[1] != 0:
            message = "a grandchild failed"
            raise RuntimeError(message)
    _hit_in_threads(reader, key, hits, 2)


def _hit_in_threads(reader: PoolReader, key: str, hits: int, threads: int) -> list[int]:
    done = [0] * threads

    def work(index: int) -> None:
        for _ in range(hits):
            done[index] += reader.get(key) is not None

    started = [threading.Thread(target=work, args=(index,)) for index in range(threads)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    if done != [hits] * threads:
        message = f"{done} hits instead of {hits}"
        raise RuntimeError(message)
    return done


def _leave(work: Callable[[], None]) -> None:
    """Do a forked child's work and end it there, with status 0 only if all went well."""
    status = 1
    with contextlib.suppress(BaseException):
        try:
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
            raise
    os._exit(status)


_TASKS = (read_stamped, read_growing, count_hits, hit_together, fork_and_count, die_reading)
TASKS = {task.__name__: task for task in _TASKS}

if __name__ == "__main__":
    print(json.dumps(TASKS[sys.argv[1]](**json.loads(sys.argv[2]))))  # noqa: T201  # the answer to the test
