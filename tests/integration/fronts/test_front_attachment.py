"""What a front joins, when, and what happens where it cannot: no daemon, other settings, other databases."""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest

from glidecache import ConfigurationError
from support.caches import new_cache
from support.front_clients import FRONT_KINDS, FrontCalls, FrontKind
from support.valkey_server import HOST, free_port
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from glidecache import ClientSideCache
    from support.cluster import Cluster
    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer


@pytest.fixture
def alone(front_kind: FrontKind, valkey: ValkeyServer, tmp_path: Path) -> Iterator[FrontCalls]:
    """Clients for a runtime directory that has no daemon."""
    with FrontCalls(front_kind, valkey.port, tmp_path / "run") as made:
        yield made


def test_without_a_daemon_it_is_the_library_with_one_warning(
    alone: FrontCalls, valkey: ValkeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    plain, front = alone.plain(), alone.front("catalog")
    assert alone.call(front, "set", "k", "v")
    with caplog.at_level(logging.WARNING, "glidecache"):
        for _ in range(3):
            assert alone.call(front, "get", "k") == b"v"
            assert alone.call(front, "mget", "k", "x") == [b"v", None]
            assert alone.outcome(front, "hgetall", "k") == alone.outcome(plain, "hgetall", "k")
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == 1
    assert "uncached" in warnings[0]
    assert valkey.calls("get") == 3


def test_it_comes_back_by_itself(
    alone: FrontCalls, valkey: ValkeyServer, start_daemon: Callable[..., Daemon], cache: ClientSideCache
) -> None:
    valkey.admin.set("k", "v")
    daemon = start_daemon(launch_only=True)
    daemon.kill()
    front = alone.front(cache, runtime_dir=str(daemon.runtime_dir))
    assert alone.call(front, "get", "k") == b"v"
    daemon.start()

    def hits() -> bool:
        before = valkey.calls("get")
        assert {alone.call(front, "get", "k") for _ in range(3)} <= {b"v", b"w"}
        return valkey.calls("get") == before

    wait_until(hits, "reads are hits")
    daemon.kill()
    valkey.admin.set("k", "w")
    wait_until(lambda: alone.call(front, "get", "k") == b"w", "the library asks the server itself")
    daemon.start()
    wait_until(hits, "reads are hits again")


def test_an_upstream_that_the_daemon_cannot_reach_is_the_librarys_to_ask(
    front_kind: FrontKind,
    valkey: ValkeyServer,
    start_daemon: Callable[..., Daemon],
    cache: ClientSideCache,
    caplog: pytest.LogCaptureFixture,
) -> None:
    valkey.admin.set("k", "v")
    daemon = start_daemon(upstreams={"away": {"addresses": [f"{HOST}:{free_port()}"]}})
    with FrontCalls(front_kind, valkey.port, daemon.runtime_dir) as calls:
        front = calls.front(cache, upstream="away")
        with caplog.at_level(logging.WARNING, "glidecache"):
            assert [calls.call(front, "get", "k") for _ in range(3)] == [b"v"] * 3
        assert len({record.getMessage() for record in caplog.records}) == 1


def test_nothing_is_attached_before_the_first_cached_read(
    calls: FrontCalls, cache: ClientSideCache, daemon: Daemon
) -> None:
    front = calls.front(cache, cache_prefixes=["a:"])
    calls.call(front, "set", "k", "v")
    calls.call(front, "get", "k")
    assert cache.cache_id not in daemon.log_text()
    calls.call(front, "get", "a:k")
    assert cache.cache_id in daemon.log_text()


def test_a_name_alone_is_the_configured_cache_if_there_is_one(
    calls: FrontCalls, valkey: ValkeyServer, unique_name: str
) -> None:
    key = f"key of {unique_name}"  # the configured cache is the whole session's
    valkey.admin.set(key, "v")
    for name, bound_kb in (("configured", 64), (unique_name, 65_536)):
        front = calls.front(name)
        assert calls.call(front, "get", key) == b"v"
        (pool_client,) = front.connection_pool.__dict__["_glidecache_clients"].values()
        assert pool_client._session.reader is not None
        assert _settings(calls, name)["settings"]["max_cache_kb"] == bound_kb


def _settings(calls: FrontCalls, name: str) -> dict[str, Any]:
    from pathlib import Path

    from glidecache_shared import protocol
    from support.wire import WireClient

    with WireClient(Path(calls.runtime_dir)) as wire:
        wire.hello()
        (found,) = [each for each in wire.request(protocol.STATS)["caches"] if each["name"] == name]
    return found  # type: ignore[no-any-return]


def test_what_the_daemon_refuses_is_an_error_of_the_library_too(calls: FrontCalls, unique_name: str) -> None:
    calls.call(calls.front(new_cache(64, name=unique_name)), "get", "k")
    front = calls.front(new_cache(128, name=unique_name))
    base = calls.kind.module(front=False)
    base_error = getattr(base, "ValkeyError" if calls.kind.library == "valkey" else "RedisError")
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="max_cache_kb") as caught:
            calls.call(front, "get", "k")
        assert isinstance(caught.value, base_error)
    assert calls.call(front, "set", "k", "v"), "everything else works"


def test_c18_databases_never_see_each_others_values(
    calls: FrontCalls, valkey: ValkeyServer, cache: ClientSideCache
) -> None:
    first, second = calls.front(cache), calls.front(cache, db=1)
    calls.call(first, "set", "k", "zero")
    calls.call(second, "set", "k", "one")
    assert calls.call(first, "get", "k") == b"zero"
    with pytest.raises(ConfigurationError, match="database"):
        calls.call(second, "get", "k")
    valkey.admin.execute_command("SELECT", 0)


def test_c18_a_named_upstream_must_be_of_the_clients_database(
    calls: FrontCalls, cache: ClientSideCache
) -> None:
    right = calls.front(cache, db=1, upstream="database-one")
    calls.call(right, "set", "k", "one")
    assert [calls.call(right, "get", "k") for _ in range(2)] == [b"one"] * 2
    wrong = calls.front(new_cache(), db=2, upstream="database-one")
    with pytest.raises(ConfigurationError, match="database 1; this client is for database 2"):
        calls.call(wrong, "get", "k")


@pytest.mark.parametrize("mode", ["cluster"])
def test_the_mode_of_a_named_upstream_must_be_the_clients(
    calls: FrontCalls, valkey: Cluster, cache: ClientSideCache
) -> None:
    del valkey
    right = calls.front(cache, upstream="default")
    assert calls.call(right, "get", "k") is None
    kind = calls.kind.client_class(front=True)
    wrong = calls.made(
        lambda: kind(
            host=HOST, port=calls.port, shared_cache=cache, upstream="default", runtime_dir=calls.runtime_dir
        )
    )
    with pytest.raises(ConfigurationError, match="cluster"):
        calls.call(wrong, "get", "k")


def test_urls_and_pools_may_say_it_all(calls: FrontCalls, valkey: ValkeyServer, unique_name: str) -> None:
    valkey.admin.mset({"a:k": "v", "b/ k": "v", "c:k": "v"})
    module, kind = calls.kind.module(front=True), calls.kind.client_class(front=True)
    url = (
        f"{calls.kind.library}://{HOST}:{calls.port}/0?shared_cache={unique_name}&cache_prefixes=a:"
        f"&cache_prefixes=b%2F%20&decode_responses=True&runtime_dir={calls.runtime_dir}"
    )
    pool_arguments = {
        "host": HOST,
        "port": calls.port,
        "decode_responses": True,
        "shared_cache": unique_name,
        "cache_prefixes": ["a:", "b/ "],
        "runtime_dir": calls.runtime_dir,
    }
    pool = module.ConnectionPool(**pool_arguments)
    makers: list[Callable[[], Any]] = [
        lambda: kind.from_url(url),
        lambda: module.from_url(url),
        lambda: kind(connection_pool=pool),
        lambda: kind(connection_pool=pool, single_connection_client=True),
        lambda: kind.from_pool(module.ConnectionPool(**pool_arguments)),
    ]
    for make in makers:
        front = calls.made(make)
        assert type(front) is kind
        before = valkey.calls("get")
        reads = [calls.call(front, "get", key) for key in ("a:k", "b/ k", "c:k") * 3]
        assert reads == ["v"] * 9
        assert valkey.calls("get") - before in {
            3,
            5,
        }  # the first client's misses, then only what is not cached
    assert len(pool.__dict__["_glidecache_clients"]) == 1
    calls.run(pool.disconnect)


@pytest.mark.parametrize("front_kind", [FRONT_KINDS[0], FRONT_KINDS[2]], ids=str)
def test_forks_and_threads_use_the_clients_that_they_inherit(
    calls: FrontCalls, valkey: ValkeyServer, cache: ClientSideCache
) -> None:
    valkey.admin.set("k", "v")
    front = calls.front(cache)
    assert front.get("k") == b"v"
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        answers = [front.get("k") for _ in range(3)] + [front.get("other")]
        os.write(writing, repr(answers).encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read() == repr([b"v"] * 3 + [None]).encode()
    found: list[Any] = []
    threads = [
        threading.Thread(target=lambda: found.append((front.get("k"), front.get("x")))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [(b"v", None)] * 8
    assert valkey.calls("get") <= 1 + 1 + 8, "misses at the same time may share a request"


def test_a_closed_client_may_be_used_again_as_the_librarys(
    calls: FrontCalls, valkey: ValkeyServer, cache: ClientSideCache
) -> None:
    valkey.admin.set("k", "v")
    front = calls.front(cache)
    for _ in range(2):
        assert calls.call(front, "get", "k") == b"v"
        calls.close(front)


def test_sentinels_clients_are_uncached_or_name_their_upstream(
    calls: FrontCalls, valkey: ValkeyServer, cache: ClientSideCache
) -> None:
    module, kind = calls.kind.module(front=True), calls.kind.client_class(front=True)
    sentinel = module.Sentinel([(HOST, free_port())])
    plain = sentinel.master_for("primary", **{f"{calls.kind.library}_class": kind})
    assert plain._glidecache is None
    with pytest.raises(ConfigurationError, match=r"Sentinel.*upstream="):
        sentinel.master_for("primary", shared_cache=cache, **{f"{calls.kind.library}_class": kind})
    named = sentinel.master_for(
        "primary",
        shared_cache=cache,
        upstream="default",
        runtime_dir=calls.runtime_dir,
        **{f"{calls.kind.library}_class": kind},
    )
    valkey.admin.set("k", "v")
    assert [calls.call(named, "get", "k") for _ in range(2)] == [b"v"] * 2
