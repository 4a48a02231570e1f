"""A front that the daemon refuses is an error of its constructor, for each kind of front and way to make it.

A daemon that is absent or slow is no error. Construction leaves no connection to the daemon behind.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from glidecache import ClientSideCache, ConfigurationError
from glidecache_shared.pool.reader import LAYOUT_VERSION
from support.caches import new_cache
from support.front_clients import FrontCalls, FrontKind
from support.other_daemon import OtherDaemon
from support.process import child_environment
from support.refusals import refusal_of
from support.valkey_server import HOST
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer


class Refusal(NamedTuple):
    """Arguments that the daemon refuses, after `before` were accepted, and a part of the text."""

    arguments: Callable[[str], dict[str, Any]]
    text: str
    before: Callable[[str], dict[str, Any]] | None = None
    is_for_clusters: bool = True


REFUSALS = {
    "unknown cache": Refusal(
        lambda name: {"shared_cache": ClientSideCache.named(name)},
        "the daemon's configuration has no cache",
    ),
    "other settings": Refusal(
        lambda name: {"shared_cache": new_cache(128, name=name)},
        "in use with other settings: max_cache_kb",
        before=lambda name: {"shared_cache": new_cache(64, name=name)},
    ),
    "settings for a configured cache": Refusal(
        lambda _: {"shared_cache": new_cache(64, name="configured")},
        "is defined by the daemon's configuration",
    ),
    "unknown upstream": Refusal(
        lambda name: {"shared_cache": name, "upstream": "nowhere"},
        "the daemon's configuration has no upstream",
    ),
    "too large": Refusal(
        lambda name: {"shared_cache": new_cache(2_000_000_000, name=name)},
        "max_cache_kb is 2000000000; it must be at most",
    ),
    "another database": Refusal(
        lambda name: {"shared_cache": name, "db": 1},
        "database",
        before=lambda name: {"shared_cache": name},
        is_for_clusters=False,
    ),
    "the upstream's database": Refusal(
        lambda name: {"shared_cache": name, "db": 2, "upstream": "database-one"},
        "is of database 1; this client is for database 2",
        is_for_clusters=False,
    ),
}


def by_keywords(calls: FrontCalls, arguments: dict[str, Any]) -> Any:
    kind = calls.kind.client_class(front=True, cluster=calls.cluster)
    return calls.made(lambda: kind(host=HOST, port=calls.port, runtime_dir=calls.runtime_dir, **arguments))


def by_subclass(calls: FrontCalls, arguments: dict[str, Any]) -> Any:
    base = calls.kind.client_class(front=True, cluster=calls.cluster)

    class Sub(base):  # type: ignore[misc]
        def __init__(self, **given: Any) -> None:
            super().__init__(host=HOST, port=calls.port, **given)

    return calls.made(lambda: Sub(runtime_dir=calls.runtime_dir, **arguments))


def by_url(calls: FrontCalls, arguments: dict[str, Any]) -> Any:
    """In a URL there is no cache object; all else is in its query."""
    kind = calls.kind.client_class(front=True, cluster=calls.cluster)
    given, query = dict(arguments), f"runtime_dir={calls.runtime_dir}"
    database = given.pop("db", None)
    if isinstance(given["shared_cache"], str):
        query += "".join(f"&{name}={value}" for name, value in given.items())
        given = {}
    path = "" if calls.cluster else f"/{database or 0}"
    url = f"{calls.kind.library}://{HOST}:{calls.port}{path}?{query}"
    return calls.made(lambda: kind.from_url(url, **given))


def by_pool(calls: FrontCalls, arguments: dict[str, Any], *, options_of_pool: bool) -> Any:
    given = {**arguments, "runtime_dir": calls.runtime_dir}
    of_pool = {"host": HOST, "port": calls.port, "db": given.pop("db", 0)}
    if options_of_pool:
        of_pool, given = {**of_pool, **given}, {}
    kind = calls.kind.client_class(front=True)
    pool = calls.kind.module(front=True).ConnectionPool(**of_pool)
    return calls.made(lambda: kind(connection_pool=pool, **given))


WAYS: dict[str, Callable[[FrontCalls, dict[str, Any]], Any]] = {
    "keywords": by_keywords,
    "subclass": by_subclass,
    "url": by_url,
    "pool": partial(by_pool, options_of_pool=False),
    "pool with options": partial(by_pool, options_of_pool=True),
}


CASES = [
    (kind, name)
    for kind in ("standalone", "cluster")
    for name, refusal in REFUSALS.items()
    if kind == "standalone" or refusal.is_for_clusters
]


@pytest.mark.parametrize(("upstream_kind", "refusal"), CASES)
def test_what_the_daemon_refuses_is_an_error_of_the_constructor(
    calls: FrontCalls, refusal: str, unique_name: str
) -> None:
    case = REFUSALS[refusal]
    error_name = "ValkeyError" if calls.kind.library == "valkey" else "RedisError"
    if case.before is not None:
        by_keywords(calls, case.before(unique_name))  # it reads nothing, and holds the cache all the same
    for way, make in WAYS.items():
        if calls.cluster and way.startswith("pool"):
            continue
        error = refusal_of(partial(make, calls, case.arguments(unique_name)), ConfigurationError, case.text)
        assert isinstance(error, getattr(calls.kind.module(front=False), error_name)), way


@pytest.mark.parametrize("upstream_kind", ["standalone", "cluster"])
def test_a_cluster_and_a_single_server_share_no_cache(
    calls: FrontCalls, request: pytest.FixtureRequest, unique_name: str
) -> None:
    by_keywords(calls, {"shared_cache": unique_name})
    other = "valkey_of_session" if calls.cluster else "cluster_of_session"
    port = request.getfixturevalue(other).port
    with FrontCalls(calls.kind, port, calls.runtime_dir, cluster=not calls.cluster) as others:
        for more, text in (
            ({}, "another server, database or user"),
            ({"upstream": "default"}, "the upstream 'default' is a"),
        ):
            make = partial(by_keywords, others, {"shared_cache": unique_name, **more})
            refusal_of(make, ConfigurationError, text)


@pytest.fixture(scope="module")
def old_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OtherDaemon]:
    """A daemon of the protocol's first version, which has no `FORGET`."""
    daemon = OtherDaemon(tmp_path_factory.mktemp("old"), (1, LAYOUT_VERSION))
    daemon.start()
    yield daemon
    daemon.discard()


def test_a_daemon_without_forget_is_an_error_of_the_constructor(
    front_kind: FrontKind, valkey: ValkeyServer, old_daemon: OtherDaemon
) -> None:
    with FrontCalls(front_kind, valkey.port, old_daemon.runtime_dir) as calls:
        for make in WAYS.values():
            made = partial(make, calls, {"shared_cache": "catalog"})
            refusal_of(made, ConfigurationError, r"speaks protocol 1, .*upgrade the daemon")


def test_without_a_daemon_construction_does_not_wait_and_the_first_read_says_it(
    front_kind: FrontKind, valkey: ValkeyServer, start_daemon: Callable[..., Daemon]
) -> None:
    daemon = start_daemon(launch_only=True)
    daemon.kill()
    with FrontCalls(front_kind, valkey.port, daemon.runtime_dir) as calls:
        began = time.monotonic()
        front = calls.front(ClientSideCache.named("nowhere"))
        assert time.monotonic() - began < 0.2
        daemon.start()

        def refused() -> bool:
            try:
                calls.call(front, "get", "k")
            except ConfigurationError as error:
                return "the daemon's configuration has no cache 'nowhere'" in str(error)
            return False

        wait_until(refused, "the read is refused")
        assert calls.call(front, "set", "k", "v"), "everything else works"


def test_a_daemon_that_hangs_delays_one_construction_and_half_a_second(
    front_kind: FrontKind, valkey: ValkeyServer, start_daemon: Callable[..., Daemon], cache: ClientSideCache
) -> None:
    valkey.admin.set("k", "v")
    daemon = start_daemon()
    with FrontCalls(front_kind, valkey.port, daemon.runtime_dir) as calls:
        daemon.pause()
        try:
            began = time.monotonic()
            first = calls.front(cache)
            middle = time.monotonic()
            second = calls.front(cache)
            assert time.monotonic() - middle < 0.2, "later clients do not ask"
            assert middle - began < 1
        finally:
            daemon.resume()
        assert [calls.call(front, "get", "k") for front in (first, second)] == [b"v"] * 2


def sockets() -> int:
    """Return how many sockets this process has."""
    found = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the one that lists them
            found += str(descriptor.readlink()).startswith("socket:")
    return found


def test_construction_leaves_no_socket_and_a_dropped_front_no_pool(
    calls: FrontCalls, daemon: Daemon, cache: ClientSideCache
) -> None:
    def pools() -> list[str]:
        return [each["id"] for each in daemon.stats()["caches"] if each["id"] == cache.cache_id]

    calls.plain()  # asyncio's loop has sockets of its own
    before = sockets()
    front = calls.front(cache)
    assert sockets() == before
    assert pools(), "the cache is held from now on"
    calls.close(front)
    wait_until(lambda: not pools(), "the unnamed cache has ended")


def test_clients_of_one_pool_of_connections_attach_once(
    calls: FrontCalls, daemon: Daemon, cache: ClientSideCache
) -> None:
    kind, module = calls.kind.client_class(front=True), calls.kind.module(front=True)
    pool = module.ConnectionPool(
        host=HOST, port=calls.port, shared_cache=cache, runtime_dir=calls.runtime_dir
    )
    before = daemon.stats()["daemon"]["sessions"]
    for _ in range(20):
        calls.made(lambda: kind(connection_pool=pool))
    assert daemon.stats()["daemon"]["sessions"] == before + 1
    calls.run(pool.disconnect)


def test_a_front_made_before_a_fork_reads_in_the_child_without_its_parents_socket(
    calls: FrontCalls, valkey: ValkeyServer, cache: ClientSideCache
) -> None:
    """As with Gunicorn's `preload_app`: made at import, first used after the fork."""
    valkey.admin.set("k", "v")
    arguments = {"host": HOST, "port": calls.port, "runtime_dir": calls.runtime_dir}
    front = calls.kind.client_class(front=True)(shared_cache=cache, **arguments)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, repr(_reads(front)).encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read() == repr([b"v"] * 3).encode()
    assert valkey.calls("get") == 1
    assert calls.call(front, "get", "k") == b"v"
    assert valkey.calls("get") == 1, "the parent hits what the child has read"
    calls.close(front)


_END = """
import logging
from glidecache.{library}{face} import {name}
fronts = [{name}(host={host!r}, port={port}, shared_cache={cache!r}, runtime_dir={place!r}) for _ in range(2)]
assert fronts[0]._glidecache._client()._session.reader is not None
logging.fronts = fronts  # it lives longer than the program
"""


def test_a_front_that_is_never_closed_says_nothing_at_the_interpreters_end(
    calls: FrontCalls, unique_name: str
) -> None:
    kind = calls.kind
    program = _END.format(
        library=kind.library,
        face=".asyncio" if kind.is_async else "",
        name=kind.client_class(front=True).__name__,
        host=HOST,
        port=calls.port,
        cache=unique_name,
        place=calls.runtime_dir,
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env=child_environment(),
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def _reads(front: Any) -> list[Any]:
    async def awaited() -> list[Any]:
        return [await front.get("k") for _ in range(3)]

    if asyncio.iscoroutinefunction(front.execute_command):
        return asyncio.run(awaited())
    return [front.get("k") for _ in range(3)]
