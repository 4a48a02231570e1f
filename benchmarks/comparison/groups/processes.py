"""Two processes that hit one pool at the same time, and what that costs the daemon."""

from __future__ import annotations

import multiprocessing
import os
import statistics
import time
from contextlib import contextmanager
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

import glidecache.sync
from comparison import data
from comparison.machine import two_processors
from comparison.peers import own
from comparison.rows import Group, LeftOut, Target, row
from comparison.stand import put_many
from comparison.timing import rotated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.connection import Connection
    from typing import Any

    from comparison.scale import Scale
    from comparison.stand import Stand

SCALING = Target(text="≥ 0.9 × a dict's", at_least=0.9)
HOT_KEY_NS = Target(text="≤ 10 ns", at_most=10)
DAEMON_CPU = Target(text="< 2 %", at_most=2)

FIRST_KEY, SECOND_KEY, HOT_KEY = map(data.many_key, range(3))
CONTROL = None
"""In the place of a key: the worker reads a dict of its own, which it shares with no other process."""
TURNS: dict[str, dict[int, bytes | None]] = {
    "first alone": {0: FIRST_KEY},
    "second alone": {1: SECOND_KEY},
    "different keys": {0: FIRST_KEY, 1: SECOND_KEY},
    "one key": {0: HOT_KEY, 1: HOT_KEY},
    "first dict alone": {0: CONTROL},
    "second dict alone": {1: CONTROL},
    "two dicts": {0: CONTROL, 1: CONTROL},
}
"""The key that each worker reads. The dicts say what the host itself loses when both processors work."""

CHUNK = 500
"""The number of hits between two readings of the clock."""
LEAD_NS = 5_000_000
"""The time from the command to the start, in which both workers wake up and begin to wait."""
START_TIMEOUT_S = 30


def measure(stand: Stand, scale: Scale) -> Group:
    """Measure rates alone and together, on different keys and on one key for both, then the daemon's share."""
    processors = two_processors()
    if processors is None:
        message = "there is only one processor"
        raise LeftOut(message)
    put_many(stand.server, len({FIRST_KEY, SECOND_KEY, HOT_KEY}))
    per_hit_ns: dict[str, list[float]] = {name: [] for name in TURNS}
    with workers(stand, processors.numbers) as pair:
        for round_number in range(scale.process_rounds):
            for name in rotated(list(TURNS), round_number):
                per_hit_ns[name].append(statistics.mean(take_turn(pair, TURNS[name], scale.process_ms)))
        cpu_percent = watch_daemon(stand, pair, scale.watch_s)
    alone = statistics.median(per_hit_ns["first alone"] + per_hit_ns["second alone"])
    apart = statistics.median(per_hit_ns["different keys"])
    hot = statistics.median(per_hit_ns["one key"])
    dict_alone = statistics.median(per_hit_ns["first dict alone"] + per_hit_ns["second dict alone"])
    dicts = statistics.median(per_hit_ns["two dicts"])
    return Group(
        title=f"Two processes ({processors.topology}), GET hit, 100 bytes",
        ratio_is="both together / one alone",
        rows=[
            row("one process", 1000 / alone, "million hits/s"),
            row("two processes, different keys", 2000 / apart, "million hits/s", ratio=2 * alone / apart),
            row(
                "two processes, a dict in each", 2000 / dicts, "million hits/s", ratio=2 * dict_alone / dicts
            ),
            row(
                "... different keys scale, to the dicts",
                (alone / apart) / (dict_alone / dicts),
                "×",
                target=SCALING,
                judged=processors.separate,
            ),
            row("two processes, one same key", 2000 / hot, "million hits/s", ratio=2 * alone / hot),
            row("... a hit takes longer than of different keys by", hot - apart, "ns", target=HOT_KEY_NS),
            row("daemon, while both hit at full speed", cpu_percent, "% of a core", target=DAEMON_CPU),
        ],
    )


def take_turn(pair: Sequence[Connection], turn: dict[int, bytes | None], milliseconds: float) -> list[float]:
    """Let the workers of this turn read at the same time; nanoseconds per hit of each."""
    start_ns = time.monotonic_ns() + LEAD_NS
    for worker, key in turn.items():
        pair[worker].send((key, start_ns, start_ns + round(milliseconds * 1e6)))
    return [pair[worker].recv() for worker in turn]


def watch_daemon(stand: Stand, pair: Sequence[Connection], seconds: float) -> float:
    """Return the percentage of a core that the daemon takes while both workers hit."""
    before_ns = processor_time_ns(stand.daemon.pid)
    start_ns = time.monotonic_ns()
    take_turn(pair, TURNS["different keys"], seconds * 1000)
    elapsed_ns = time.monotonic_ns() - start_ns
    return 100 * (processor_time_ns(stand.daemon.pid) - before_ns) / elapsed_ns


def processor_time_ns(pid: int) -> int:
    """Return the time that all threads of a process have run, from the scheduler.

    `cpu_times` counts only in hundredths of a second.
    """
    threads = list(Path(f"/proc/{pid}/task").glob("*/schedstat"))
    if threads:
        return sum(int(thread.read_text().split()[0]) for thread in threads)
    times = psutil.Process(pid).cpu_times()  # a kernel without the scheduler's figures
    return round((times.user + times.system) * 1e9)


@contextmanager
def workers(stand: Stand, processors: tuple[int, int]) -> Iterator[list[Connection]]:
    """Yield two fresh interpreters on one pool, each kept on a processor of its own.

    They end with the block.
    """
    context = multiprocessing.get_context("spawn")
    cache = own.new_cache()
    pipes, processes = [], []
    try:
        for processor in processors:
            here, there = context.Pipe()
            process = context.Process(
                target=work, args=(stand.runtime_dir, cache, processor, there), daemon=True
            )
            process.start()
            there.close()
            processes.append(process)
            pipes.append(here)
        for pipe in pipes:
            assert pipe.poll(START_TIMEOUT_S), "a worker did not start in time"
            try:
                pipe.recv()
            except EOFError:
                message = "a worker ended before it was ready: its own error stands above"
                raise RuntimeError(message) from None
        yield pipes
    finally:
        for pipe in pipes:
            pipe.close()
        for process in processes:
            process.join(START_TIMEOUT_S)
            if process.is_alive():
                process.kill()


def work(runtime_dir: str, cache: Any, processor: int, pipe: Connection) -> None:
    """Run one worker: read the keys that it is told, until the pipe closes."""
    os.sched_setaffinity(0, {processor})
    client = glidecache.sync.GlideClient.create(own.settings(runtime_dir, cache))
    for key in (FIRST_KEY, SECOND_KEY, HOT_KEY):
        assert client.get(key)
    own_dict = {CONTROL: data.many_value(0)}
    pipe.send(None)
    while True:
        try:
            key, start_ns, end_ns = pipe.recv()
        except EOFError:
            break
        pipe.send(per_hit(own_dict.__getitem__ if key is CONTROL else client.get, key, start_ns, end_ns))
    client.close()


def per_hit(get: Callable[[Any], object], key: bytes | None, start_ns: int, end_ns: int) -> float:
    """Return the nanoseconds per hit, reading from `start_ns` to `end_ns` of the monotonic clock."""
    hits = 0
    while time.monotonic_ns() < start_ns:
        pass
    began_ns = now_ns = time.monotonic_ns()
    while now_ns < end_ns:
        for _ in repeat(None, CHUNK):
            get(key)
        hits += CHUNK
        now_ns = time.monotonic_ns()
    return (now_ns - began_ns) / max(hits, 1)
