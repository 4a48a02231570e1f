"""One small string, read again and again: the blocking clients, then the awaited ones."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, ExitStack
from typing import TYPE_CHECKING

import glidecache
from comparison import data
from comparison.peers import client_caches, in_process, open_all, own, servers, shared_files
from comparison.rows import OWN, Group, Target, beside_own, reason, row
from comparison.stand import put_many
from comparison.timing import interleave, interleave_awaited

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from comparison.scale import Scale
    from comparison.stand import Stand

BLOCKING = "GET hit, 100 bytes, blocking"
AWAITED = "GET hit, 100 bytes, awaited"
RATIO = "their time / ours"
VALKEY_ASYNCIO = "valkey-py asyncio, no cache"
BARE = "a bare coroutine behind a function"
GET_EACH = "[client.get(key) for key in keys]"
MANY = 100

PEERS = (
    own.PEER,
    *in_process.PEERS,
    *shared_files.PEERS,
    *client_caches.PEERS,
    *servers.PEERS,
)
BLOCKING_TARGETS = {
    in_process.DICT: Target(text="≥ 0.4 (ours ≤ 2.5 ×)", at_least=0.4),
    in_process.CACHEBOX_GET: Target(text="≥ 0.95 (ours ≤ 1.05 ×)", at_least=0.95),
    in_process.CACHETOOLS: Target(text="> 1", at_least=1),
    shared_files.LMDB: Target(text="> 1", at_least=1),
    client_caches.GLIDE_SYNC: Target(text="≥ 100", at_least=100),
}
AWAITED_TARGETS = {
    client_caches.GLIDE: Target(text="≥ 400", at_least=400),
    BARE: Target(text="≥ 0.91 (ours ≤ 1.1 ×)", at_least=0.91),
}
MANY_TARGET = Target(text="≤ 0.6", at_most=0.6)


def measure_blocking(stand: Stand, scale: Scale) -> Group:
    """Measure a hit of the blocking client, beside all peers."""
    with ExitStack() as stack:
        reads, left_out = open_all(PEERS, stand, stack)
        samples = interleave(reads, scale)
    reaches = {peer.name: peer.reach for peer in PEERS}
    return Group(
        title=BLOCKING,
        ratio_is=RATIO,
        rows=beside_own(samples, BLOCKING_TARGETS, reaches),
        left_out=left_out,
    )


def measure_many(stand: Stand, scale: Scale) -> Group:
    """Measure a `get_many` of keys that are all in the cache, beside a `get` of each."""
    put_many(stand.server, MANY)
    keys = [data.many_key(number) for number in range(MANY)]
    with ExitStack() as stack:
        client = own.open_client(stand, stack)
        assert client.get_many(keys) == [data.many_value(number) for number in range(MANY)]
        before = stand.server.calls("mget")
        samples = interleave(
            {
                OWN: lambda: client.get_many(keys),
                GET_EACH: lambda: [client.get(key) for key in keys],
            },
            scale,
        )
        assert stand.server.calls("mget") == before
    many_us, each_us = samples[OWN].median_us, samples[GET_EACH].median_us
    return Group(
        title=f"get_many of {MANY} keys, all hits",
        ratio_is="to one get of each",
        rows=[
            row(GET_EACH, 1000 * each_us / MANY, "ns a key"),
            row(OWN, 1000 * many_us / MANY, "ns a key", ratio=many_us / each_us, target=MANY_TARGET),
        ],
    )


def measure_awaited(stand: Stand, scale: Scale) -> Group:
    """Measure an awaited hit, beside GLIDE's and a read without a cache, on one event loop."""
    left_out: dict[str, str] = {}

    async def measure() -> Group:
        async with AsyncExitStack() as stack:
            reads = {OWN: await open_own(stand, stack), BARE: call_bare}
            for name, open_peer in ((client_caches.GLIDE, open_glide), (VALKEY_ASYNCIO, open_valkey)):
                try:
                    reads[name] = await open_peer(stand, stack)
                    assert await reads[name]() == data.STRING
                except Exception as error:  # noqa: BLE001 - whatever keeps a peer from running is its reason
                    left_out[name] = reason(error)
                    reads.pop(name, None)
            samples = await interleave_awaited(reads, scale)
        reaches = {
            OWN: own.PEER.reach,
            BARE: in_process.PEERS[0].reach,
            client_caches.GLIDE: client_caches.PEERS[0].reach,
            VALKEY_ASYNCIO: servers.PEERS[0].reach,
        }
        return Group(
            title=AWAITED,
            ratio_is=RATIO,
            rows=beside_own(samples, AWAITED_TARGETS, reaches),
            left_out=left_out,
        )

    return asyncio.run(measure())


async def bare() -> bytes:
    """Return the string: what awaiting costs by itself."""
    return data.STRING


def call_bare() -> Awaitable[object]:
    """Call it as ours is called, by a function in between."""
    return bare()


async def open_own(stand: Stand, stack: AsyncExitStack) -> Callable[[], Awaitable[object]]:
    """Open a hit of this project's asyncio client, checked to be one."""
    client = await glidecache.GlideClient.create(own.settings(stand.runtime_dir, own.new_cache()))
    stack.push_async_callback(client.close)
    assert await client.get(data.STRING_KEY) == data.STRING
    before = stand.server.calls("get")
    assert await client.get(data.STRING_KEY) == data.STRING
    assert stand.server.calls("get") == before
    return lambda: client.get(data.STRING_KEY)


async def open_glide(stand: Stand, stack: AsyncExitStack) -> Callable[[], Awaitable[object]]:
    """Open a hit of GLIDE's asyncio client."""
    import glide

    client = await glide.GlideClient.create(client_caches.glide_settings(glide, stand))
    stack.push_async_callback(client.close)
    return lambda: client.get(data.STRING_KEY)


async def open_valkey(stand: Stand, stack: AsyncExitStack) -> Callable[[], Awaitable[object]]:
    """Open a `GET` of valkey-py's asyncio client, over TCP."""
    import valkey.asyncio

    host, port = stand.address
    client = valkey.asyncio.Valkey(host=host, port=port)
    stack.push_async_callback(client.aclose)
    return lambda: client.get(data.STRING_KEY)
