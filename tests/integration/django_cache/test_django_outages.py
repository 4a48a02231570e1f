"""Without a daemon Django's cache goes on; what could not be forgotten is kept, and forgotten later."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest
import valkey as library

from support.django_caches import DjangoCaches, url_of
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer


@pytest.fixture
def outage(
    face: str, own_valkey: ValkeyServer, start_daemon: Callable[..., Daemon]
) -> Iterator[tuple[DjangoCaches, Daemon]]:
    """Caches, and the daemon that this test may end."""
    daemon = start_daemon()
    with DjangoCaches(face, url_of(own_valkey.port), daemon, "site") as made:
        yield made, daemon


def test_everything_goes_on_without_a_daemon_with_one_warning(
    outage: tuple[DjangoCaches, Daemon], own_valkey: ValkeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    caches, daemon = outage
    daemon.kill()
    cache = caches.made()
    with caplog.at_level(logging.WARNING, "glidecache"):
        for number in range(3):
            caches.call(cache, "set", "k", number)
            assert caches.call(cache, "get", "k") == number
            assert caches.call(cache, "get_many", ["k", "l"]) == {"k": number}
            assert caches.call(cache, "incr", "k", 10) == number + 10
            caches.call(cache, "clear")
            assert caches.call(cache, "get", "k", "gone") == "gone"
    assert len(caplog.records) == 1, caplog.messages
    assert "uncached" in caplog.messages[0]
    caches.call(cache, "set", "k", 1)
    daemon.start()

    def hits() -> bool:
        before = own_valkey.reads()
        assert [caches.call(cache, "get", "k") for _ in range(3)] == [1] * 3
        return own_valkey.reads() == before

    wait_until(hits, "reads are hits again")
    caches.call(cache, "set", "k", 2)
    assert caches.call(cache, "get", "k") == 2


@pytest.mark.parametrize("write", ["set", "set_many", "clear"])
def test_what_could_not_be_forgotten_is_forgotten_later(
    outage: tuple[DjangoCaches, Daemon], write: str
) -> None:
    """The daemon hangs for a moment: its pool, with the old values, stays in use."""
    caches, daemon = outage
    cache, other = caches.made(), caches.other()
    keys = [f"k{number}" for number in range(5)]
    caches.call(cache, "set_many", dict.fromkeys([*keys, "kept"], "old"))
    assert other.call("get_many", keys) == caches.call(cache, "get_many", keys) == dict.fromkeys(keys, "old")
    daemon.pause()
    try:
        arguments: dict[str, list[Any]] = {"set": ["k0", "new"], "set_many": [dict.fromkeys(keys, "new")]}
        caches.call(cache, write, *arguments.get(write, []))
        after = dict.fromkeys(keys, "new")
        if write == "set":
            after = {**dict.fromkeys(keys, "old"), "k0": "new"}
        expected = {} if write == "clear" else after
        assert caches.call(cache, "get_many", keys) == expected, "this process reads it past the cache"
        assert caches.call(cache, "get", "k0") == expected.get("k0")
    finally:
        daemon.resume()

    def delivered() -> bool:
        assert caches.call(cache, "get_many", keys) == expected
        return other.call("get_many", keys) == expected and cache._undelivered.is_empty

    wait_until(delivered, "the other process reads the new values")
    assert caches.call(cache, "get", "kept") == (None if write == "clear" else "old")


def test_it_is_forgotten_in_the_pool_that_the_next_daemon_takes_over(
    outage: tuple[DjangoCaches, Daemon],
) -> None:
    caches, daemon = outage
    cache, other = caches.made(), caches.other()
    caches.call(cache, "set", "k", "old")
    assert other.call("get", "k") == caches.call(cache, "get", "k") == "old"
    daemon.kill()
    caches.call(cache, "set", "k", "new")
    assert caches.call(cache, "get", "k") == "new"
    daemon.start()

    def delivered() -> bool:
        assert caches.call(cache, "get", "k") == "new"
        return cache._undelivered.is_empty

    wait_until(delivered, "the forget is delivered")
    assert other.call("get", "k") == "new"


def test_a_write_that_failed_may_have_run_so_its_key_is_forgotten(
    face: str, own_valkey: ValkeyServer, start_daemon: Callable[..., Daemon]
) -> None:
    daemon = start_daemon()
    location = url_of(own_valkey.port) + "?socket_timeout=0.2"
    with DjangoCaches(face, location, daemon, "site") as caches:
        cache, other = caches.made(), caches.other()
        caches.call(cache, "set", "k", "old")
        assert other.call("get", "k") == caches.call(cache, "get", "k") == "old"
        own_valkey.pause()
        try:
            with pytest.raises(library.TimeoutError):
                caches.call(cache, "set", "k", "new")
        finally:
            own_valkey.resume()
        wait_until(lambda: own_valkey.admin.get(":1:k") != cache._serializer.dumps("old"), "it ran")
        assert caches.call(cache, "get", "k") == other.call("get", "k") == "new"


@pytest.mark.parametrize("face", ["asyncio"])
def test_a_cancelled_write_may_have_run_so_its_key_is_forgotten(
    outage: tuple[DjangoCaches, Daemon], own_valkey: ValkeyServer
) -> None:
    caches, _ = outage
    cache, other = caches.made(), caches.other()

    async def cancel_a_write() -> None:
        await cache.aset("k", "old")
        assert await cache.aget("k") == other.call("get", "k") == "old"
        own_valkey.pause()
        task = asyncio.create_task(cache.aset("k", "new"))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        own_valkey.resume()
        wait_until(lambda: own_valkey.admin.get(":1:k") == cache._serializer.dumps("new"), "it ran")
        assert await cache.aget("k") == other.call("get", "k") == "new"
        await cache.aclose()

    asyncio.run(cancel_a_write())
