"""Calls that are never cached: locks, pipelines, transactions, watched reads, reads of changed connections."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import pytest

from support.front_clients import FRONT_KINDS

if TYPE_CHECKING:
    from glidecache import ClientSideCache
    from support.front_clients import FrontCalls
    from support.valkey_server import ValkeyServer


@pytest.fixture
def stale(calls: FrontCalls, valkey: ValkeyServer, cache: ClientSideCache) -> Any:
    """A front in whose cache `k` has an older value than the server."""
    valkey.admin.set("k", "old")
    front = calls.front(cache)
    assert calls.call(front, "get", "k") == b"old"
    valkey.admin.set("k", "new")
    assert calls.call(front, "get", "k") == b"old"
    return front


@pytest.mark.parametrize("mode", ["standalone", "cluster"])
def test_a_lock_never_reads_the_cache(
    calls: FrontCalls, valkey: ValkeyServer, cache: ClientSideCache
) -> None:
    front = calls.front(cache)
    lock = front.lock("lock", timeout=20)
    assert calls.run(lock.acquire)
    # Were a lock's reads cached, these would stay as they are at first.
    assert calls.run(lock.owned)
    assert calls.run(lock.locked)
    assert calls.call(front, "get", "lock") is not None  # in the cache from here
    valkey.admin.set("lock", "another's")
    assert not calls.run(lock.owned)
    valkey.admin.delete("lock")
    assert not calls.run(lock.locked)
    again = front.lock("lock", timeout=20)
    assert calls.run(again.acquire)
    assert calls.run(again.owned)
    calls.run(again.release)
    assert valkey.admin.exists("lock") == 0
    # The twin is of the client's class, and its end closes nothing.
    del lock, again
    assert calls.call(front, "set", "k", "v")


@pytest.mark.parametrize("mode", ["standalone", "cluster"])
def test_pipelines_never_read_the_cache(calls: FrontCalls, stale: Any) -> None:
    pipeline = stale.pipeline()
    pipeline.get("k")
    assert calls.run(pipeline.execute) == [b"new"]
    assert calls.call(stale, "get", "k") == b"old"


def test_transactions_and_watched_reads_never_read_the_cache(
    calls: FrontCalls, valkey: ValkeyServer, stale: Any
) -> None:
    seen: list[Any] = []

    if calls.kind.is_async:

        async def take(pipeline: Any) -> None:
            seen.append(await pipeline.get("k"))
            pipeline.multi()
            pipeline.set("k", "newer")

    else:

        def take(pipeline: Any) -> None:  # type: ignore[misc]
            seen.append(pipeline.get("k"))
            pipeline.multi()
            pipeline.set("k", "newer")

    calls.call(stale, "transaction", take, "k")
    assert seen == [b"new"]
    assert valkey.admin.get("k") == b"newer"


@pytest.mark.parametrize(
    "command",
    [
        ("SELECT", 0),
        ("select", 0),
        ("AUTH", "default", "any"),
        ("HELLO", 2),
        ("RESET",),
        ("SWAPDB", 0, 0),
        ("CLIENT TRACKING", "OFF"),
        ("CLIENT", "TRACKING", "OFF"),
        ("CLIENT REPLY", "ON"),
        (b"CLIENT", b"REPLY", b"ON"),
        ("MULTI",),
        ("WATCH", "k"),
    ],
    ids=str,
)
def test_after_what_changes_a_connection_reads_are_the_librarys_own(
    calls: FrontCalls, stale: Any, cache: ClientSideCache, command: tuple[Any, ...]
) -> None:
    outcome = calls.outcome(stale, "execute_command", *command)
    assert stale._glidecache.kinds == {}
    assert calls.call(calls.front(cache), "get", "k") == b"old", "other clients are as before"
    if command[0] != "MULTI":
        assert calls.call(stale, "get", "k") == b"new", outcome


@pytest.mark.parametrize(
    "command",
    [("PING",), ("CLIENT GETNAME",), ("CLIENT", "SETNAME", "x"), ("SET", "other", "v"), ("CLIENT",)],
)
def test_other_commands_leave_the_reads_as_they_are(
    calls: FrontCalls, stale: Any, command: tuple[Any, ...]
) -> None:
    calls.outcome(stale, "execute_command", *command)
    assert calls.call(stale, "get", "k") == b"old"


def test_a_client_of_one_connection_reads_the_cache(
    calls: FrontCalls, valkey: ValkeyServer, cache: ClientSideCache
) -> None:
    valkey.admin.set("k", "v")
    front = calls.front(cache, single_connection_client=True)
    assert [calls.call(front, "get", "k") for _ in range(3)] == [b"v"] * 3
    assert valkey.calls("get") == 1
    lock = front.lock("lock", timeout=20)
    assert calls.run(lock.acquire)
    assert calls.run(lock.owned)
    del lock
    assert calls.call(front, "set", "k", "w")


def test_the_client_that_client_returns_is_uncached_and_its_writes_count(
    calls: FrontCalls, stale: Any
) -> None:
    other = calls.made(stale.client)
    assert type(other) is type(stale)
    assert calls.call(other, "get", "k") == b"new"
    before = stale._glidecache.own_writes.last
    calls.call(other, "set", "k", "newer")
    assert stale._glidecache.own_writes.last is not before
    assert calls.call(stale, "get", "k") == b"old"


@pytest.mark.parametrize("front_kind", [kind for kind in FRONT_KINDS if not kind.is_async], ids=str)
def test_copies_do_as_the_librarys_do(calls: FrontCalls, stale: Any) -> None:
    other = copy.copy(stale)
    assert calls.call(other, "get", "k") == b"old"
    plain = calls.plain()
    for attempt in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError) as expected:
            attempt(plain)
        with pytest.raises(TypeError) as found:
            attempt(stale)
        assert type(found.value) is type(expected.value)
