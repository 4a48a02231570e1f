"""`forget_writes` of the fronts: what a client has written, every process of the host reads at once (contract C25)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from glidecache.fronts import first_attachment
from support.caches import new_cache
from support.front_clients import FrontCalls, FrontKind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from glidecache import ClientSideCache
    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer

INCREMENT = "return redis.call('INCR', KEYS[1])"


def _by_pipeline(calls: FrontCalls, pipeline: Any) -> None:
    pipeline.incr("a:k")
    calls.run(pipeline.execute)


def _awaited(calls: FrontCalls, front: Any) -> None:
    """`transaction`, whose function the asyncio clients call too."""
    calls.call(front, "transaction", lambda pipeline: pipeline.multi() or pipeline.incr("a:k"), "a:k")


WRITES: dict[str, Callable[[FrontCalls, Any], object]] = {
    "set": lambda calls, front: calls.call(front, "set", "a:k", "2"),
    "psetex": lambda calls, front: calls.call(front, "execute_command", "PSETEX", "a:k", 60_000, "2"),
    "mset": lambda calls, front: calls.call(front, "mset", {"{a:k}l": "2", "a:k": "2"}),
    "incr": lambda calls, front: calls.call(front, "incr", "a:k"),
    "append": lambda calls, front: calls.call(front, "append", b"a:k", "2"),
    "delete": lambda calls, front: calls.call(front, "delete", "{a:k}missing", "a:k"),
    "rename": lambda calls, front: calls.call(front, "rename", "a:k", "a:{k}"),
    "flushdb": lambda calls, front: calls.call(front, "flushdb"),
    "flushall": lambda calls, front: calls.call(front, "flushall"),
    "eval": lambda calls, front: calls.call(front, "eval", INCREMENT, 1, "a:k"),
    "small letters": lambda calls, front: calls.call(front, "execute_command", "incr", "a:k"),
    "pipeline": lambda calls, front: _by_pipeline(calls, front.pipeline()),
    "transaction": lambda calls, front: _by_pipeline(calls, front.pipeline(transaction=True)),
    "a function of a transaction": _awaited,
    "script": lambda calls, front: calls.run(front.register_script(INCREMENT), keys=["a:k"]),
    "one connection": lambda calls, front: calls.call(calls.made(front.client), "incr", "a:k"),
}
OF_ONE_SERVER = {"a function of a transaction", "one connection", "rename", "transaction"}


@pytest.mark.parametrize("mode", ["standalone", "cluster"])
def test_c25_what_a_client_wrote_is_not_read_from_before_by_anyone(
    calls: FrontCalls, mode: str, cache: ClientSideCache
) -> None:
    prefixes = ["a:"]
    writer = calls.front(cache, cache_prefixes=prefixes, forget_writes=True)
    reader = calls.front(cache, cache_prefixes=prefixes)
    for name, write in WRITES.items():
        if mode == "cluster" and name in OF_ONE_SERVER:
            continue
        # By the test's own hand: nothing is forgotten, and the next write sees what it left.
        calls.call(reader, "set", "a:k", "1")
        calls.call(reader, "forget", "a:k")
        assert calls.call(reader, "get", "a:k") == b"1" == calls.call(writer, "get", "a:k"), name
        write(calls, writer)
        expected = calls.call(calls.plain(), "get", "a:k")
        assert expected != b"1", name
        assert calls.call(reader, "get", "a:k") == expected == calls.call(writer, "get", "a:k"), name


def test_reads_and_writes_of_other_keys_forget_nothing(
    calls: FrontCalls, daemon: Daemon, unique_name: str
) -> None:
    front = calls.front(new_cache(name=unique_name), cache_prefixes=["a:"], forget_writes=True)
    calls.call(front, "set", "a:k", "1")
    calls.call(front, "get", "a:k")
    before = forgotten(daemon, unique_name)
    calls.call(front, "exists", "a:k")
    calls.call(front, "set", "b:k", "1")
    calls.call(front, "publish", "a:k", "1")
    pipeline = front.pipeline()
    pipeline.get("a:k")
    assert calls.run(pipeline.execute) == [b"1"]
    assert forgotten(daemon, unique_name) == before
    calls.call(front, "set", "a:k", "2")
    assert forgotten(daemon, unique_name) == before + 1


def forgotten(daemon: Daemon, name: str) -> int:
    """The number of the cache's entries that were forgotten."""
    (found,) = (row for row in daemon.stats()["caches"] if row["name"] == name)
    return int(found["metrics"]["forgotten"])


def test_without_the_argument_a_write_forgets_nothing(calls: FrontCalls, cache: ClientSideCache) -> None:
    front = calls.front(cache, cache_prefixes=["a:"])
    calls.call(front, "set", "a:k", "1")
    assert calls.call(front, "get", "a:k") == b"1"
    _by_pipeline(calls, front.pipeline())
    calls.call(front, "set", "a:k", "2")
    assert calls.call(front, "get", "a:k") == b"1"


def test_a_write_that_raises_may_have_run_so_its_key_is_forgotten(
    calls: FrontCalls, valkey: ValkeyServer, cache: ClientSideCache
) -> None:
    front = calls.front(cache, forget_writes=True)
    calls.call(front, "set", "k", "1")
    assert calls.call(front, "get", "k") == b"1"
    failing = "redis.call('SET', KEYS[1], '2') error('after the write')"
    assert calls.outcome(front, "eval", failing, 1, "k")[0] is calls.kind.module(front=False).ResponseError
    assert calls.call(front, "get", "k") == b"2"
    assert valkey.calls("get") == 2


def test_without_a_daemon_writes_are_the_librarys(
    front_kind: FrontKind, valkey: ValkeyServer, tmp_path: Path
) -> None:
    with FrontCalls(front_kind, valkey.port, tmp_path / "run") as calls:
        front = calls.front("catalog", forget_writes=True)
        assert calls.call(front, "set", "k", "1") is True
        _by_pipeline(calls, front.pipeline())
        assert calls.call(front, "get", "k") == b"1"
        library = front_kind.module(front=False)
        assert calls.outcome(front, "set", "k", object())[0] is library.DataError


def test_a_cache_of_other_settings_does_not_fail_a_write(
    calls: FrontCalls,
    cache: ClientSideCache,
    daemon: Daemon,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A front that could not attach when it was made learns of the refusal at its first forget."""
    assert calls.call(calls.front(cache), "get", "k") is None
    monkeypatch.setitem(first_attachment._paused_until_ns, str(daemon.runtime_dir), 2**62)
    other = calls.front(cache, db=1, forget_writes=True)
    assert calls.call(other, "set", "k", "1") is True
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "cannot be forgotten" in caplog.text
