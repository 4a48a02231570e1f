"""Writes past the daemon that hit a cached key: each is counted once, when it is sent, whatever its way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from glidecache_shared import protocol
from support.caches import new_cache
from support.wire import WireClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecache import ClientSideCache
    from support.daemon import Daemon
    from support.front_clients import FrontCalls

KEY = "cart:7"


@pytest.fixture(params=["standalone", "cluster"])
def mode(request: pytest.FixtureRequest) -> str:
    mode: str = request.param
    return mode


@pytest.fixture
def cache(unique_name: str) -> ClientSideCache:
    return new_cache(name=unique_name, enable_metrics=True)


def noted(daemon: Daemon, cache: ClientSideCache) -> tuple[int, list[str]]:
    """The writes that are counted, and their keys' prefixes."""
    with WireClient(daemon.runtime_dir) as wire:
        wire.hello()
        report = wire.request(protocol.ADVISE, cache.name, None, None)["caches"][cache.name]
    return report["cached_key_writes"], report["written_prefixes"]


def queue(front: Any, **options: Any) -> Any:
    """A pipeline with one write and one read of the key."""
    pipeline = front.pipeline(**options)
    pipeline.set(KEY, "w")
    pipeline.get(KEY)
    return pipeline


def _by_pipeline(calls: FrontCalls, front: Any) -> None:
    calls.run(queue(front).execute)


def _by_transaction(calls: FrontCalls, front: Any) -> None:
    calls.run(queue(front, transaction=True).execute)


WRITES: dict[str, Callable[[FrontCalls, Any], object]] = {
    "set": lambda calls, front: calls.call(front, "set", KEY, "w"),
    "bytes": lambda calls, front: calls.call(front, "set", KEY.encode(), "w"),
    "delete": lambda calls, front: calls.call(front, "delete", KEY),
    "lower case": lambda calls, front: calls.call(front, "execute_command", "getset", KEY, "w"),
    "keys by options": lambda calls, front: calls.outcome(
        front, "execute_command", "SORT", "another", "STORE", KEY
    ),
    "eval": lambda calls, front: calls.call(front, "eval", "return redis.call('SET', KEYS[1], 'w')", 1, KEY),
    "fails": lambda calls, front: calls.outcome(front, "execute_command", "SET", KEY),
    "pipeline": _by_pipeline,
    "transaction": _by_transaction,
}


@pytest.mark.parametrize("way", WRITES)
def test_a_write_to_a_cached_key_is_counted_once(
    calls: FrontCalls,
    daemon: Daemon,
    cache: ClientSideCache,
    way: str,
) -> None:
    front = calls.front(cache)
    write = WRITES[way]
    if way == "transaction" and calls.cluster:
        pytest.skip("the libraries' transactions in clusters differ, and go the same way as their pipelines")
    calls.call(front, "get", "another")  # attached
    write(calls, front)
    assert noted(daemon, cache) == (0, []), "it was not cached"
    calls.call(calls.plain(), "set", KEY, "v")
    assert calls.call(front, "get", KEY) == b"v"
    write(calls, front)
    assert noted(daemon, cache) == (1, ["cart:"])


def test_reads_and_what_is_never_sent_are_no_writes(
    calls: FrontCalls, daemon: Daemon, cache: ClientSideCache
) -> None:
    front = calls.front(cache)
    calls.call(calls.plain(), "set", KEY, "v")
    assert calls.call(front, "get", KEY) == b"v"
    calls.call(front, "strlen", KEY)
    calls.call(front, "exists", KEY)
    # These write, but the cached value stays right.
    calls.call(front, "expire", KEY, 1_000)
    calls.call(front, "getex", KEY, ex=1_000)
    calls.call(front, "execute_command", "persist", KEY.encode())
    pipeline = queue(front)
    assert noted(daemon, cache) == (0, [])
    if hasattr(pipeline, "reset"):
        calls.run(pipeline.reset)
        calls.run(pipeline.execute)
        assert noted(daemon, cache) == (0, [])


def test_a_pipeline_that_is_used_again_counts_again(
    calls: FrontCalls, daemon: Daemon, cache: ClientSideCache
) -> None:
    front = calls.front(cache)
    calls.call(calls.plain(), "set", KEY, "v")
    assert calls.call(front, "get", KEY) == b"v"
    pipeline = queue(front)
    calls.run(pipeline.execute)
    assert noted(daemon, cache)[0] == 1
    pipeline.set(KEY, "x")
    calls.run(pipeline.execute)
    assert noted(daemon, cache)[0] == 2
