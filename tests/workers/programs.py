"""Programs of one process that the tests run in a fresh interpreter: `python -m workers.programs NAME`.

Each ends with `done` as its output, and says nothing else.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import glidecache
import glidecache.sync
from support.waiting import wait_until
from workers.application import UNNAMED_CACHE, configuration
from workers.holding import Footprint

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

THREADS = 12
KEYS = 60
LOOPS = 4


def blocking_client() -> glidecache.sync.GlideClient:
    return glidecache.sync.GlideClient.create(configuration(UNNAMED_CACHE))


def threads_share_a_blocking_client() -> None:
    """Each sees what it writes, all see what any has read, and their sockets go with them."""
    client = blocking_client()
    client.set("shared", "v")
    before = Footprint.of(os.getpid())
    start = threading.Barrier(THREADS)

    def work(thread: int) -> None:
        start.wait()
        for number in range(KEYS):
            key = f"{thread}:{number}"
            client.set(key, key)
            assert client.get(key) == client.get(key) == key.encode()
            assert client.get("shared") == b"v"

    with ThreadPoolExecutor(THREADS) as pool:
        for done in [pool.submit(work, thread) for thread in range(THREADS)]:
            done.result()
    assert client.get_cache_total_lookups() == THREADS * KEYS * 3
    assert client.get_cache_entry_count() == THREADS * KEYS + 1
    # The kernel may keep a joined thread for a moment more.
    wait_until(lambda: Footprint.of(os.getpid()) == before, "the threads and their sockets are gone")


def hits_cost_nothing() -> None:
    """No descriptor, no thread."""
    client = blocking_client()
    client.set("k", "v")
    client.get("k")
    before = Footprint.of(os.getpid())
    for _ in range(10_000):
        assert client.get("k") == b"v"
    assert Footprint.of(os.getpid()) == before
    assert before.threads == 1


def a_client_that_is_closed_leaves_the_others() -> None:
    """Of the same cache object in this process, and of the same client on the other side of a fork."""
    client, other = blocking_client(), blocking_client()
    client.set("k", "v")
    client.get("k")
    other.close()
    lookups = client.get_cache_total_lookups()
    pid = os.fork()
    if pid == 0:
        client.close()
        sys.exit()
    assert os.waitpid(pid, 0)[1] == 0
    assert client.get("k") == b"v"
    assert client.get_cache_total_lookups() == lookups + 1
    assert client.get("missing") is None
    assert client.get_cache_total_lookups() == lookups + 2


def loops_share_an_asyncio_client(run: Callable[[Coroutine[None, None, None]], None]) -> None:
    """Several at once, each in a thread of its own; their sockets go with them."""

    async def create() -> None:
        clients.append(await glidecache.GlideClient.create(configuration(UNNAMED_CACHE)))
        await clients[0].mset({f"k{number}": str(number) for number in range(KEYS)})

    async def work() -> None:
        start.wait()  # all loops run at once
        for _ in range(3):
            values = await asyncio.gather(*(clients[0].get(f"k{number}") for number in range(KEYS)))
            assert values == [b"%d" % number for number in range(KEYS)]

    clients: list[glidecache.GlideClient] = []
    start = threading.Barrier(LOOPS)
    run(create())
    with ThreadPoolExecutor(LOOPS) as pool:
        for done in [pool.submit(run, work()) for _ in range(LOOPS)]:
            done.result()
    assert clients[0].get_cache_total_lookups() == LOOPS * 3 * KEYS
    assert clients[0].get_cache_entry_count() == KEYS
    run(clients[0].close())


def loops_of_asyncio() -> None:
    loops_share_an_asyncio_client(asyncio.run)


def loops_of_uvloop() -> None:
    import uvloop

    loops_share_an_asyncio_client(uvloop.run)


def ends_without_closing() -> None:
    """Clients of both kinds, with a thread that waits for a reply when the interpreter ends."""
    client = blocking_client()
    client.get("k")

    async def use() -> None:
        await (await glidecache.GlideClient.create(configuration(UNNAMED_CACHE))).get("k")

    asyncio.run(use())
    threading.Thread(target=client.custom_command, args=(["BLPOP", "nothing", "0"],), daemon=True).start()


PROGRAMS = {
    program.__name__: program
    for program in (
        threads_share_a_blocking_client,
        hits_cost_nothing,
        a_client_that_is_closed_leaves_the_others,
        loops_of_asyncio,
        loops_of_uvloop,
        ends_without_closing,
    )
}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]]()
    print("done")  # noqa: T201 - the answer to the test
