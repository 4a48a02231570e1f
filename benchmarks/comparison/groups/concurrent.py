"""One event loop that asks for many different keys at once, none of them cached."""

from __future__ import annotations

import asyncio
import itertools
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import glidecache
from comparison import data
from comparison.peers import client_caches, own
from comparison.rows import OWN, Group, Target, against_own, reason
from comparison.stand import put_many
from comparison.timing import Singles, rotated, undisturbed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from comparison.scale import Scale
    from comparison.stand import Stand

    Read = Callable[[bytes], Awaitable[object]]

AT_ONCE = 64
TURNS_PER_ROUND = 5
VALKEY_ASYNCIO = "valkey.asyncio"
TARGETS = {VALKEY_ASYNCIO: Target(text="≤ 0.25", at_most=0.25)}


def measure(stand: Stand, scale: Scale) -> Group:
    """Measure until the last of them has its value; each client reads every key once."""
    left_out: dict[str, str] = {}
    turns = scale.process_rounds * TURNS_PER_ROUND
    put_many(stand.server, AT_ONCE * turns)
    samples = asyncio.run(take_turns(stand, turns, left_out))
    return Group(
        title=f"{AT_ONCE} different misses at once in one event loop, until the last has its value",
        ratio_is="ours / theirs",
        rows=against_own(samples, TARGETS),
        left_out=left_out,
    )


async def take_turns(stand: Stand, turns: int, left_out: dict[str, str]) -> dict[str, Singles]:
    """Time each client in turns; those that cannot be opened are added to `left_out`."""
    async with AsyncExitStack() as stack:
        reads: dict[str, Read] = {OWN: await open_own(stand, stack, AT_ONCE * turns)}
        for name, open_peer in ((VALKEY_ASYNCIO, open_valkey), (client_caches.GLIDE, open_glide)):
            try:
                reads[name] = await open_peer(stand, stack)
            except Exception as error:  # noqa: BLE001 - whatever keeps a peer from running is its reason
                left_out[name] = reason(error)
        keys = {name: map(data.many_key, itertools.count()) for name in reads}
        times: dict[str, list[int]] = {name: [] for name in reads}
        with undisturbed():
            for turn in range(turns):
                for name in rotated(list(reads), turn):
                    read = reads[name]
                    chosen = list(itertools.islice(keys[name], AT_ONCE))
                    start_ns = time.perf_counter_ns()
                    values = await asyncio.gather(*(read(key) for key in chosen))
                    times[name].append(time.perf_counter_ns() - start_ns)
                    assert all(values)
    return {name: Singles(values) for name, values in times.items()}


async def open_own(stand: Stand, stack: AsyncExitStack, keys: int) -> Read:
    """Open this project's asyncio client, on a pool that stores all of the keys."""
    cache = own.new_cache(max_cache_kb=keys)
    client = await glidecache.GlideClient.create(own.settings(stand.runtime_dir, cache))
    stack.push_async_callback(client.close)
    return lambda key: client.get(key)  # noqa: PLW0108 - behind the same kind of lambda as the others


async def open_valkey(stand: Stand, stack: AsyncExitStack) -> Read:
    """Open valkey-py's asyncio client with its defaults: a connection for each call that is open."""
    import valkey.asyncio

    host, port = stand.address
    client = valkey.asyncio.Valkey(host=host, port=port)
    stack.push_async_callback(client.aclose)
    return lambda key: client.get(key)  # noqa: PLW0108 - as above


async def open_glide(stand: Stand, stack: AsyncExitStack) -> Read:
    """Open GLIDE's asyncio client with its cache."""
    import glide

    client = await glide.GlideClient.create(client_caches.glide_settings(glide, stand))
    stack.push_async_callback(client.close)
    return lambda key: client.get(key)  # noqa: PLW0108 - as above
