"""Random reads over a large pool, where most of the time is the memory's: beside LMDB and a dict of the same data."""

from __future__ import annotations

import random
import statistics
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import glidecache.sync
from comparison import data
from comparison.crew import crew
from comparison.peers import in_process, own, shared_files
from comparison.rows import OWN, Group, Target, beside_own, reason, row
from comparison.stand import BATCH, put_many
from comparison.timing import Sample, rotated, undisturbed
from glidecache_shared.pool.store import charge_bytes, payload_bytes
from glidecache_shared.protocol import STRING

if TYPE_CHECKING:
    from collections.abc import Callable

    from comparison.scale import Scale
    from comparison.stand import Stand

FIRST_HITS = 100_000
TARGETS = {
    shared_files.LMDB: Target(text="≥ 1.67 (ours ≤ 0.6 ×)", at_least=1 / 0.6),
    in_process.DICT: Target(text="≥ 0.67 (ours ≤ 1.5 ×)", at_least=1 / 1.5),
}


def measure(stand: Stand, scale: Scale) -> Group:
    """Measure one hit, where nearly every read needs memory that is in no cache of the processor."""
    charge = charge_bytes(data.KEY_BYTES, payload_bytes(STRING, data.many_value(0)))
    cache = own.new_cache(-(-charge * scale.entries // 1024))
    with ExitStack() as stack:
        reads = {
            OWN: open_own(stand, stack, cache, scale.entries),
            in_process.DICT: open_dict(scale.entries),
        }
        left_out = {}
        try:
            reads[shared_files.LMDB] = open_lmdb(stand, stack, scale.entries)
        except Exception as error:  # noqa: BLE001 - whatever keeps a peer from running is its reason
            left_out[shared_files.LMDB] = reason(error)
        samples = read_at_random(reads, scale)
        cold_us, warm_us = fresh_worker(stand, cache, scale)
    return Group(
        title=f"GET hit, 100 bytes, random over {scale.entries:,} entries",
        ratio_is="their time / ours",
        rows=[
            *beside_own(samples, TARGETS, judged=scale.million),
            row(
                f"a fresh worker's first {FIRST_HITS:,} hits",
                cold_us,
                "µs a hit",
                note="page faults included",
            ),
            row(f"... its next {FIRST_HITS:,}", warm_us, "µs a hit", ratio=cold_us / warm_us),
        ],
        left_out=left_out,
    )


def open_own(stand: Stand, stack: ExitStack, cache: Any, entries: int) -> Callable[[bytes], object]:
    """Open a blocking client whose pool was filled through the daemon."""
    put_many(stand.server, entries)
    client = own.open_client(stand, stack, cache)
    for first in range(0, entries, BATCH):
        client.get_many([data.many_key(number) for number in range(first, min(first + BATCH, entries))])
    found = client.get_cache_entry_count()
    assert found == entries, f"{found} of {entries} entries are in the pool"
    return lambda key: client.get(key)  # noqa: PLW0108 - behind the same kind of lambda as the others


def fresh_worker(stand: Stand, cache: Any, scale: Scale) -> tuple[float, float]:
    """Return the microseconds of a hit of a process that has just attached: its first ones, and the next ones."""
    firsts, nexts = [], []
    for number in range(scale.crew_rounds):
        with crew(1, open_fresh, stand.runtime_dir, cache, scale.entries, number) as worker:
            firsts.append(worker.last_us() / FIRST_HITS)
            nexts.append(worker.last_us() / FIRST_HITS)
    return statistics.median(firsts), statistics.median(nexts)


def open_fresh(
    _number: int, runtime_dir: str, cache: Any, entries: int, seed: int
) -> Callable[[int], object]:
    """Return a call that reads many keys at random; other keys each time."""
    client = glidecache.sync.GlideClient.create(own.settings(runtime_dir, cache))
    chosen = random.Random(seed)
    turns = [
        [data.many_key(number) for number in chosen.choices(range(entries), k=FIRST_HITS)] for _ in range(2)
    ]

    def read(turn: int) -> None:
        for key in turns[turn]:
            client.get(key)

    return read


def open_dict(entries: int) -> Callable[[bytes], object]:
    """Open the same entries in one process's memory; their keys are bytes, as LMDB's must be."""
    plain = {data.many_key(number): data.many_value(number) for number in range(entries)}
    return lambda key: plain[key]


def open_lmdb(stand: Stand, stack: ExitStack, entries: int) -> Callable[[bytes], object]:
    """Open the same entries in a file on tmpfs; a new read transaction per read."""
    environment = shared_files.open_environment(stand.memory_directory / "lmdb-many", stack)
    with environment.begin(write=True) as transaction:
        for number in range(entries):
            transaction.put(data.many_key(number), data.many_value(number), append=True)
    begin = environment.begin
    return lambda key: begin().get(key)


def read_at_random(reads: dict[str, Callable[[bytes], object]], scale: Scale) -> dict[str, Sample]:
    """Read in rounds. Each has a new sequence of keys, the same for all; its keys were never hashed before."""
    numbers = random.Random(1)
    times: dict[str, list[float]] = {name: [] for name in reads}
    with undisturbed():
        for round_number in range(scale.rounds):
            drawn = numbers.choices(range(scale.entries), k=scale.sequence)
            keys = [data.many_key(number) for number in drawn]
            for name in rotated(list(reads), round_number):
                read = reads[name]
                assert read(keys[0]) == data.many_value(drawn[0])
                start = time.perf_counter_ns()
                for key in keys:
                    read(key)
                times[name].append((time.perf_counter_ns() - start) / len(keys) / 1000)
    return {name: Sample(tuple(values)) for name, values in times.items()}
