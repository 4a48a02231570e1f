"""The attachment of fronts: to which cache, by URLs and pools of connections, without a daemon, after a fork."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from glidecache import ConfigurationError
from support.front_clients import CLASSES, FRONT_KINDS, FrontCalls, FrontKind
from support.process import child_environment
from support.valkey_server import HOST, free_port
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from glidecache import ClientSideCache
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
    from glidecache_shared import protocol
    from support.wire import WireClient

    with WireClient(Path(calls.runtime_dir)) as wire:
        wire.hello()
        (found,) = [each for each in wire.request(protocol.STATS)["caches"] if each["name"] == name]
    return found  # type: ignore[no-any-return]


def test_c18_databases_never_see_each_others_values(
    calls: FrontCalls, valkey: ValkeyServer, cache: ClientSideCache, alone: FrontCalls, daemon: Daemon
) -> None:
    second = alone.front(cache, db=1)  # refused later than at construction, for it finds no daemon then
    Path(alone.runtime_dir).symlink_to(daemon.runtime_dir)
    first = calls.front(cache)
    calls.call(first, "set", "k", "zero")
    alone.call(second, "set", "k", "one")
    assert calls.call(first, "get", "k") == b"zero"
    with pytest.raises(ConfigurationError, match="database"):
        alone.call(second, "get", "k")
    valkey.admin.execute_command("SELECT", 0)


def test_c18_a_named_upstream_is_of_the_clients_database(calls: FrontCalls, cache: ClientSideCache) -> None:
    front = calls.front(cache, db=1, upstream="database-one")
    calls.call(front, "set", "k", "one")
    assert [calls.call(front, "get", "k") for _ in range(2)] == [b"one"] * 2


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


@pytest.mark.parametrize("library", CLASSES)
def test_clients_that_live_to_the_interpreters_end_say_nothing(
    valkey: ValkeyServer, daemon: Daemon, library: str
) -> None:
    """The error's traceback holds the function's client, until modules have been taken down."""
    name = CLASSES[library][0]
    read = f"client = {name}(port={valkey.port}, shared_cache='ending'); client.get('k')"
    program = f"from glidecache.{library} import {name}\n{read}\ndef use():\n    {read}\n    1 / 0\nuse()\n"
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env=child_environment(GLIDECACHED_RUNTIME_DIR=str(daemon.runtime_dir)),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "ignored" not in ended.stderr
    assert ended.stderr.count("Traceback") == 1
