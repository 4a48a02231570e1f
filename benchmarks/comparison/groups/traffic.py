"""Eight client processes: reads that no cache answers, and skewed reads, with a cache and without."""

from __future__ import annotations

import bisect
import itertools
import random
import statistics
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import valkey

import glidecache.sync
from comparison import data
from comparison.crew import Crew, crew
from comparison.peers import own
from comparison.rows import OWN, Group, Target, row
from comparison.stand import put_many
from comparison.timing import rotated
from glidecache_shared.pool.store import charge_bytes, payload_bytes
from glidecache_shared.protocol import STRING

if TYPE_CHECKING:
    from collections.abc import Callable

    from comparison.scale import Scale
    from comparison.stand import Stand

PROCESSES = 8
DIRECT = "valkey-py, direct"
KEYS = 100_000
ZIPF = 0.99
CACHED_PART = 0.37
"""The part of the keys that the cache has room for: with this law some 90 % of the reads are of them."""
DRAWS = 1 << 16
FILL_S = 3


def measure(stand: Stand, scale: Scale) -> Group:
    """Measure both loads; the candidates take turns."""
    put_many(stand.server, KEYS)
    runtime_dir, address = stand.runtime_dir, stand.address
    with ExitStack() as stack:
        crews = {
            OWN: stack.enter_context(crew(PROCESSES, uncached_own, runtime_dir)),
            DIRECT: stack.enter_context(crew(PROCESSES, uncached_direct, address)),
        }
        uncached = take_turns(crews, scale)
    with ExitStack() as stack:
        cache = own.new_cache(max_cache_kb=round(KEYS * CACHED_PART * bytes_per_entry() / 1024))
        watcher = own.open_client(stand, stack, cache)
        crews = {
            "with the cache": stack.enter_context(crew(PROCESSES, zipf_own, runtime_dir, cache)),
            "without a cache": stack.enter_context(crew(PROCESSES, zipf_own, runtime_dir, None)),
            DIRECT: stack.enter_context(crew(PROCESSES, zipf_direct, address)),
        }
        crews["with the cache"].calls_per_second(FILL_S * 1000)
        before = counted(watcher)
        reads = take_turns(crews, scale)
        hits, lookups = (after - earlier for after, earlier in zip(counted(watcher), before, strict=True))
    return Group(
        title=f"{PROCESSES} blocking clients in processes of their own",
        ratio_is="ours / theirs",
        rows=[
            row("uncached GETs, glidecached", uncached[OWN], "requests/s"),
            row(
                "uncached GETs, valkey-py, direct",
                uncached[DIRECT],
                "requests/s",
                ratio=uncached[OWN] / uncached[DIRECT],
                target=Target(text="≥ 1.2", at_least=1.2),
            ),
            row(
                f"Zipf({ZIPF}) GETs, with the cache",
                reads["with the cache"],
                "requests/s",
                note=f"{100 * hits / lookups:.1f} % hits",
            ),
            row(
                f"Zipf({ZIPF}) GETs, the same client without a cache",
                reads["without a cache"],
                "requests/s",
                ratio=reads["with the cache"] / reads["without a cache"],
                target=Target(text="≥ 4", at_least=4),
            ),
            row(
                f"Zipf({ZIPF}) GETs, valkey-py, direct",
                reads[DIRECT],
                "requests/s",
                ratio=reads["with the cache"] / reads[DIRECT],
            ),
        ],
    )


def take_turns(crews: dict[str, Crew], scale: Scale) -> dict[str, float]:
    """Return the median rate of each crew; only one works at a time."""
    rates: dict[str, list[float]] = {name: [] for name in crews}
    for round_number in range(scale.crew_rounds):
        for name in rotated(list(crews), round_number):
            rates[name].append(crews[name].calls_per_second(scale.crew_ms))
    return {name: statistics.median(values) for name, values in rates.items()}


def counted(client: Any) -> tuple[float, int]:
    """Return hits and lookups of the client's cache so far."""
    lookups = client.get_cache_total_lookups()
    return client.get_cache_hit_rate() * lookups, lookups


def bytes_per_entry() -> int:
    """Return the bytes that one of the strings is charged."""
    return charge_bytes(data.KEY_BYTES, payload_bytes(STRING, data.many_value(0)))


def uncached_own(_number: int, runtime_dir: str) -> Callable[[int], object]:
    """Return reads of a client without a cache, through the daemon."""
    client = glidecache.sync.GlideClient.create(own.settings(runtime_dir, None))
    return lambda number: client.get(data.many_key(number % KEYS))


def uncached_direct(_number: int, address: tuple[str, int]) -> Callable[[int], object]:
    """Return the same reads, from the server."""
    client = valkey.Valkey(*address)
    return lambda number: client.get(data.many_key(number % KEYS))


def zipf_own(number: int, runtime_dir: str, cache: Any) -> Callable[[int], object]:
    """Return reads by the law, through the pool if there is a cache."""
    client = glidecache.sync.GlideClient.create(own.settings(runtime_dir, cache))
    keys = zipf_keys(number)
    return lambda call: client.get(keys[call % DRAWS])


def zipf_direct(number: int, address: tuple[str, int]) -> Callable[[int], object]:
    """Return the same reads, from the server."""
    client = valkey.Valkey(*address)
    keys = zipf_keys(number)
    return lambda call: client.get(keys[call % DRAWS])


def zipf_keys(seed: int) -> list[bytes]:
    """Return keys drawn so that the n-th most popular comes with a frequency of 1 / n ** ZIPF."""
    weights = list(itertools.accumulate(1 / rank**ZIPF for rank in range(1, KEYS + 1)))
    chance = random.Random(seed)
    return [data.many_key(bisect.bisect_left(weights, chance.random() * weights[-1])) for _ in range(DRAWS)]
