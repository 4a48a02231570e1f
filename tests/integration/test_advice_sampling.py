"""The samples that real clients leave for real daemons: every lookup, and every write to a cached key."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from glidecache import Batch, RequestError
from glidecache_shared import protocol
from glidecache_shared.command_table import all_rows
from support.caches import new_cache
from support.clients import at
from support.waiting import wait_until
from support.wire import ReplyRefused, WireClient, attach_all

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.connector import Connector
    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer


def ask(daemon: Daemon, name: str) -> dict[str, Any]:
    """The daemon's report on one cache."""
    with WireClient(daemon.runtime_dir) as wire:
        wire.hello()
        told = wire.request(protocol.ADVISE, name, None, None)
    report: dict[str, Any] = told["caches"][name]
    return report


def test_every_lookup_of_several_workers_is_in_the_answer(
    connect: Connector, daemon: Daemon, valkey: ValkeyServer, unique_name: str
) -> None:
    cache = new_cache(name=unique_name, enable_metrics=True)
    keys = [f"{unique_name}:{number}" for number in range(50)]
    valkey.admin.mset(dict.fromkeys(keys, "v"))
    workers = [connect.worker(cache) for _ in range(3)]
    for worker in workers:
        for key in keys:
            assert worker.call("get", key) == b"v"
        worker.call("get_many", keys)
    report = ask(daemon, unique_name)
    assert report["lookups"] == 300
    assert report["sampled_keys"] == 50
    assert report["now"]["hit_rate"] == pytest.approx(250 / 300)
    assert report["cached_key_writes"] == 0


def batch(key: str, *, is_atomic: bool, more: int = 0) -> Batch:
    """A batch with one write and one read of the key, and more for another one."""
    made = Batch(is_atomic=is_atomic)
    for _ in range(more):
        made.set("another", "v")
    made.set(key, "w")
    made.get(key)
    return made


def refused(client: Any, command: list[str]) -> None:
    """Send a command that the server refuses."""
    with pytest.raises(RequestError):
        client.call("custom_command", command)


WRITES: dict[str, Callable[[Any, str], object]] = {
    "set": lambda client, key: client.call("set", key, "w"),
    "del": lambda client, key: client.call("delete", [key]),
    "custom": lambda client, key: client.call("custom_command", ["GETSET", key, "w"]),
    "unknown to the table": lambda client, key: refused(client, ["NOSUCH", key]),
    "script": lambda client, key: client.call(
        "custom_command", ["EVAL", "return redis.call('SET', KEYS[1], 'w')", "1", key]
    ),
    "store": lambda client, key: client.call("custom_command", ["BITOP", "NOT", key, "another"]),
    "batch": lambda client, key: client.call("exec", batch(key, is_atomic=False), raise_on_error=True),
    "transaction": lambda client, key: client.call("exec", batch(key, is_atomic=True), raise_on_error=True),
    "large batch": lambda client, key: client.call(
        "exec", batch(key, is_atomic=False, more=1_000), raise_on_error=True
    ),
    "large": lambda client, key: client.call("set", key, "w" * 300_000),
}
"""Writes to one key, each on its way."""


@pytest.mark.parametrize("way", WRITES)
def test_a_write_to_a_cached_key_is_counted_once_whatever_its_way(
    connect: Connector, daemon: Daemon, valkey: ValkeyServer, unique_name: str, way: str
) -> None:
    cache = new_cache(name=unique_name, enable_metrics=True)
    client = connect(cache)
    key = f"cart:{unique_name}"
    WRITES[way](client, key)
    assert ask(daemon, unique_name)["cached_key_writes"] == 0, "it was not cached"
    valkey.admin.set(key, "v")
    assert client.call("get", key) == b"v"
    before = client.metrics()
    WRITES[way](client, key)
    assert client.metrics() == before, "no lookup was counted"
    report = ask(daemon, unique_name)
    assert (report["cached_key_writes"], report["written_prefixes"]) == (1, ["cart:"])
    client.call("custom_command", ["EXISTS", key])
    assert ask(daemon, unique_name)["cached_key_writes"] == 1, "a read is no write"


LIVES: dict[str, tuple[str, ...]] = {
    "EXPIRE": ("{}", "1000"),
    "EXPIREAT": ("{}", "4000000000"),
    "GETEX": ("{}", "EX", "1000"),
    "HEXPIRE": ("h{}", "1000", "FIELDS", "1", "f"),
    "HEXPIREAT": ("h{}", "4000000000", "FIELDS", "1", "f"),
    "HGETEX": ("h{}", "EX", "1000", "FIELDS", "1", "f"),
    "HPERSIST": ("h{}", "FIELDS", "1", "f"),
    "HPEXPIRE": ("h{}", "1000000", "FIELDS", "1", "f"),
    "HPEXPIREAT": ("h{}", "4000000000000", "FIELDS", "1", "f"),
    "PERSIST": ("{}",),
    "PEXPIRE": ("{}", "1000000"),
    "PEXPIREAT": ("{}", "4000000000000"),
}
"""Commands that change when a key or a field ends, with arguments for a string's and a hash's key."""


def test_a_command_that_changes_only_when_a_key_ends_makes_no_cached_value_stale(
    connect: Connector, daemon: Daemon, valkey: ValkeyServer, unique_name: str
) -> None:
    assert {name for name, row in all_rows().items() if row.keeps_values} == set(LIVES)
    client = connect(new_cache(name=unique_name, enable_metrics=True))
    valkey.admin.set(unique_name, "v")
    valkey.admin.hset(f"h{unique_name}", "f", "v")
    values = client.call("get", unique_name), client.call("hgetall", f"h{unique_name}")
    for name, arguments in LIVES.items():
        command = [name, *(each.format(unique_name) for each in arguments)]
        client.call("custom_command", command)
        both = Batch(is_atomic=False)
        both.custom_command(command)
        client.call("exec", both, raise_on_error=True)
        read = valkey.admin.get(unique_name), valkey.admin.hgetall(f"h{unique_name}")
        assert read == values, f"{name} keeps values"
    assert ask(daemon, unique_name)["cached_key_writes"] == 0
    client.call("custom_command", ["HSET", f"h{unique_name}", "f", "w"])
    assert ask(daemon, unique_name)["cached_key_writes"] == 1


def test_advice_survives_neither_a_restart_nor_its_end_but_the_count_of_writes_does(
    connect: Connector, start_daemon: Callable[..., Daemon], own_valkey: ValkeyServer, unique_name: str
) -> None:
    daemon = start_daemon(upstreams={"default": {"addresses": [f"127.0.0.1:{own_valkey.port}"]}})
    cache = new_cache(name=unique_name, enable_metrics=True)
    client = connect(cache, **at(daemon, own_valkey))
    own_valkey.admin.set("a:1", "v")
    for _ in range(5):
        assert client.call("get", "a:1") == b"v"
    client.call("set", "a:1", "w")
    assert ask(daemon, unique_name)["lookups"] == 5
    daemon.stop()
    daemon.start()
    # The next daemon has the entries, and begins its sample with the next lookup.
    for _ in range(3):
        wait_until(lambda: client.call("get", "a:1") == b"v", "the pool is in use again")
    report = ask(daemon, unique_name)
    assert report["seconds"] < 60
    assert report["lookups"] == 3
    assert report["sampled_keys"] == 1
    assert report["cached_key_writes"] == 1


def test_advice_off_is_no_sample_and_a_reload_turns_it_on(
    connect: Connector, start_daemon: Callable[..., Daemon], own_valkey: ValkeyServer, unique_name: str
) -> None:
    daemon = start_daemon(
        upstreams={"default": {"addresses": [f"127.0.0.1:{own_valkey.port}"]}}, advice={"enabled": False}
    )
    client = connect(new_cache(name=unique_name, enable_metrics=True), **at(daemon, own_valkey))
    own_valkey.admin.set("k", "v")
    for _ in range(3):
        assert client.call("get", "k") == b"v"
    with pytest.raises(ReplyRefused, match=r"\[advice\] enabled"):
        ask(daemon, unique_name)
    daemon.configuration.write_text(
        daemon.configuration.read_text().replace("enabled = false", "enabled = true")
    )
    daemon.process.send_signal(signal.SIGHUP)
    wait_until(lambda: asked(daemon, unique_name) is not None, "advice is on")
    for _ in range(4):
        assert client.call("get", "k") == b"v"
    assert ask(daemon, unique_name)["lookups"] == 4


def asked(daemon: Daemon, name: str) -> dict[str, Any] | None:
    """The report; None while there is none."""
    try:
        return ask(daemon, name)
    except ReplyRefused:
        return None


def private_bytes(daemon: Daemon) -> int:
    """The daemon's own memory, without files and shared memory."""
    status = Path(f"/proc/{daemon.process.pid}/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) * 1024


def test_idle_caches_cost_next_to_no_memory(
    start_daemon: Callable[..., Daemon], own_valkey: ValkeyServer
) -> None:
    """A sample takes memory with its first key: 200 caches that no client reads cost what they cost without advice."""
    idle, used = 200, {}
    for enabled in (True, False):
        daemon = start_daemon(
            upstreams={"default": {"addresses": [f"127.0.0.1:{own_valkey.port}"]}},
            advice={"enabled": enabled},
            daemon={"max_total_cache_kb": 1_000_000},
        )
        with WireClient(daemon.runtime_dir) as wire:
            before = private_bytes(daemon)
            for _ in range(idle):
                attach_all([wire], new_cache(max_cache_kb=64))
            assert len(daemon.stats()["caches"]) == idle
            used[enabled] = private_bytes(daemon) - before
        daemon.stop()
    assert used[True] - used[False] < idle * 40_000, used
