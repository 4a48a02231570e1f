"""Read-your-writes on the host: what one process has written, every process of the host reads at once (C25)."""

from __future__ import annotations

import asyncio
import os
import pickle
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from django.core.exceptions import ImproperlyConfigured

from support.django_caches import DjangoCaches, url_of
from support.process import child_environment
from support.refusals import refusal_of

if TYPE_CHECKING:
    from support.valkey_server import ValkeyServer


class Write(NamedTuple):
    """A call that changes the key `k`, whose value is 1, and what `get` returns afterwards."""

    method: str
    arguments: tuple[Any, ...]
    after: Any


WRITES = [
    Write("set", ("k", 2), 2),
    Write("set", ("k", 2, 0), None),
    Write("set_many", ({"j": 0, "k": 2},), 2),
    Write("set_many", ({"k": 2}, -1), None),
    Write("delete", ("k",), None),
    Write("delete_many", (["j", "k"],), None),
    Write("incr", ("k", 5), 6),
    Write("decr", ("k", 5), -4),
    Write("touch", ("k", 0), None),
    Write("clear", (), None),
    Write("incr_version", ("k",), None),
]


@pytest.mark.parametrize("write", WRITES, ids=lambda write: f"{write.method}{write.arguments}")
def test_c25_a_write_is_seen_at_once_in_another_process(caches: DjangoCaches, write: Write) -> None:
    cache, other = caches.made(), caches.other()
    caches.call(cache, "set", "k", 1)
    assert other.call("get", "k") == caches.call(cache, "get", "k") == 1
    caches.call(cache, write.method, *write.arguments)
    assert other.call("get", "k") == caches.call(cache, "get", "k") == write.after
    assert other.call("get_many", ["k"]) == ({} if write.after is None else {"k": write.after})


def test_c25_an_add_and_a_shorter_time_out_are_seen_at_once(
    caches: DjangoCaches, valkey: ValkeyServer
) -> None:
    cache, other = caches.made(), caches.other()
    caches.call(cache, "set", "k", 1)
    assert other.call("get", "k") == 1
    valkey.admin.set(":1:k", 2)  # past us: seen once the TTL has ended
    assert other.call("get", "k") == 1
    assert caches.call(cache, "add", "k", 3) is False
    assert other.call("get", "k") == 2, "what stopped the add is what is read"
    caches.call(cache, "touch", "k", 0.3)
    assert other.call("get", "k") == 2
    time.sleep(0.31)
    assert other.call("get", "k") is None


def test_blocking_and_awaited_calls_of_a_process_see_each_others_writes(caches: DjangoCaches) -> None:
    cache = caches.made()

    async def write_and_read() -> None:
        for number in range(3):
            await cache.aset("k", number)
            assert await cache.aget("k") == cache.get("k") == number
            cache.set("k", -number)
            assert await cache.aget("k") == cache.get("k") == -number
        await cache.aclose()

    asyncio.run(write_and_read())


def test_a_cache_made_before_a_fork_works_after_it(caches: DjangoCaches) -> None:
    cache = caches.made()
    caches.call(cache, "set", "k", 1)
    assert caches.call(cache, "get", "k") == 1
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            found = cache.get("k")
            cache.set("k", found + 1)
            os.write(writes, b"%d %d" % (found, cache.get("k")))
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reads, 100) == b"1 2"
    os.close(reads)
    os.close(writes)
    assert caches.call(cache, "get", "k") == 2


_LOOPS = """
import asyncio, gc, os, pickle, sys
from glidecache.django import SharedCache
cache = SharedCache(*pickle.load(sys.stdin.buffer))
async def work():
    await cache.aset("k", 1)
    assert await cache.aget("k") == 1
for _ in range(25):
    asyncio.run(work())
    gc.collect()
    print(len(os.listdir("/proc/self/fd")))
"""


@pytest.mark.parametrize("face", ["blocking"])
def test_event_loops_that_have_ended_leave_nothing(caches: DjangoCaches) -> None:
    """`async_to_sync` makes a loop for each call: the pool is attached once, connections go with their loop."""
    arguments = pickle.dumps((caches.location, {"OPTIONS": caches.options}))
    command = [sys.executable, "-c", _LOOPS]
    ended = subprocess.run(
        command, input=arguments, capture_output=True, env=child_environment(), timeout=60, check=False
    )
    counts = list(map(int, ended.stdout.split()))
    assert len(counts) == 25, ended.stderr.decode()
    assert counts[-1] <= counts[2] + 1


def test_two_databases_cannot_share_a_name(caches: DjangoCaches, valkey: ValkeyServer) -> None:
    cache = caches.made()
    caches.call(cache, "set", "k", 1)
    assert caches.call(cache, "get", "k") == 1
    caches.location = url_of(valkey.port, 1)
    refusal_of(caches.made, ImproperlyConfigured, "database")
