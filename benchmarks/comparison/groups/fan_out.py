"""Sixteen that miss one key at the same time: the server is asked once, and how long the last one waits."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import glidecache
import glidecache.sync
from comparison import data
from comparison.crew import crew
from comparison.peers import own
from comparison.relay import RelayClient, relay
from comparison.rows import Group, Target, row
from comparison.stand import put_many
from comparison.timing import rotated

if TYPE_CHECKING:
    from collections.abc import Callable

    from comparison.scale import Scale
    from comparison.stand import Stand

WAITERS = 16
KEYS = 20_000
ROUNDS_PER_TURN = 5


def measure(stand: Stand, scale: Scale) -> Group:
    """Measure sixteen tasks of one process beside a single miss.

    Also measure sixteen processes beside the bare relay's fan-out.
    """
    put_many(stand.server, KEYS)
    turns = scale.crew_rounds * ROUNDS_PER_TURN
    single_us, last_us, asked = asyncio.run(tasks(stand, turns))
    with ExitStack() as stack:
        endpoint = stack.enter_context(relay(stand.memory_directory, stand.address))
        crews = {
            "ours": stack.enter_context(crew(WAITERS, open_own, stand.runtime_dir, own.new_cache())),
            "bare": stack.enter_context(crew(WAITERS, open_bare, endpoint)),
        }
        times: dict[str, list[float]] = {name: [] for name in crews}
        for turn in range(turns):
            for name in rotated(list(crews), turn):
                times[name].append(crews[name].last_us())
    ours_us, bare_us = (statistics.median(times[name]) for name in ("ours", "bare"))
    return Group(
        title=f"{WAITERS} waiters on one missing key, until the last has it",
        ratio_is="ours / theirs",
        rows=[
            row("one awaited miss alone", single_us, "µs"),
            row(
                f"{WAITERS} tasks of one process",
                last_us,
                "µs",
                ratio=last_us / single_us,
                target=Target(text="≤ 1.6 × alone", at_most=1.6),
            ),
            row("... requests upstream", asked, "each", target=Target(text="1", at_least=1, at_most=1)),
            row(f"{WAITERS} processes, a bare ZeroMQ fan-out", bare_us, "µs"),
            row(
                f"{WAITERS} processes, glidecached",
                ours_us,
                "µs",
                ratio=ours_us / bare_us,
                target=Target(text="≤ 1.5 × bare", at_most=1.5),
            ),
        ],
    )


async def tasks(stand: Stand, turns: int) -> tuple[float, float, float]:
    """Return the microseconds of a single miss, and until the last of sixteen tasks has its value.

    The third number is the requests upstream that those tasks made.
    """
    client = await glidecache.GlideClient.create(own.settings(stand.runtime_dir, own.new_cache()))
    keys = map(data.many_key, itertools.count())
    singles, lasts = [], []
    asked = 0
    for _ in range(turns):
        start = time.perf_counter_ns()
        await client.get(next(keys))
        singles.append(time.perf_counter_ns() - start)
        key = next(keys)
        before = gets(stand)
        start = time.perf_counter_ns()
        values = await asyncio.gather(*(client.get(key) for _ in range(WAITERS)))
        lasts.append(time.perf_counter_ns() - start)
        assert all(values)
        asked += gets(stand) - before
    await client.close()
    return statistics.median(singles) / 1000, statistics.median(lasts) / 1000, asked / turns


def gets(stand: Stand) -> int:
    """Return how many GETs the server has run."""
    return int(stand.server.admin.info("commandstats").get("cmdstat_get", {}).get("calls", 0))


def open_own(_number: int, runtime_dir: str, cache: Any) -> Callable[[int], object]:
    """Return a read of the next key, by a blocking client on the crew's one pool."""
    client = glidecache.sync.GlideClient.create(own.settings(runtime_dir, cache))
    return lambda number: client.get(data.many_key(number))


def open_bare(_number: int, endpoint: str) -> Callable[[int], object]:
    """Return the same read through the relay."""
    client = RelayClient(endpoint)
    return lambda number: client.ask((b"GET", data.many_key(number)))
