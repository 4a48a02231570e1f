"""The `glidecache` command: ping, stats, flush, drop; and HOTTEST, which `top` asks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from glidecache_shared import protocol
from glidecached.cli.options import ExitStatus
from support.cacheable import GET
from support.caches import is_cached, new_cache
from support.process import child_environment
from support.stats_keys import keys, promised
from support.terminal import Terminal
from support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from support.connector import Connector
    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer
    from support.wire import WireClient

PROGRAM = "import sys; from glidecached.cli.operator import main; sys.exit(main())"


def glidecache(runtime_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a shell would."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments, "--runtime-dir", str(runtime_dir)],
        env=child_environment(),
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=20,
        check=False,
    )


def test_ping_succeeds_when_the_daemon_answers(daemon: Daemon) -> None:
    answered = glidecache(daemon.runtime_dir, "ping")
    assert answered.returncode == 0, answered.stderr


def test_every_command_fails_clearly_without_a_daemon(tmp_path: Path) -> None:
    for command in (
        ["ping"],
        ["stats"],
        ["advise"],
        ["forget", "name", "k"],
        ["flush", "name"],
        ["drop", "name"],
    ):
        failed = glidecache(tmp_path, *command)
        assert failed.returncode != 0
        assert str(tmp_path) in failed.stderr
        assert "Traceback" not in failed.stderr


def test_stats_tell_about_every_cache(
    connect: Connector, daemon: Daemon, valkey: ValkeyServer, unique_name: str
) -> None:
    GET.write(valkey, "k", 1)
    client = connect(new_cache(name=unique_name))
    for _ in range(4):
        client.get("k")
    shown = glidecache(daemon.runtime_dir, "stats")
    assert shown.returncode == 0, shown.stderr
    assert unique_name in shown.stdout
    answer = json.loads(glidecache(daemon.runtime_dir, "stats", "--json").stdout)
    (cache,) = [one for one in answer["caches"] if one["name"] == unique_name]
    assert cache["metrics"]["hits"] == 3
    assert cache["metrics"]["entry_count"] == 1
    assert answer["daemon"]["pid"] == daemon.pid
    assert answer["upstreams"]


def test_the_page_has_every_key_of_stats(connect: Connector, daemon: Daemon, unique_name: str) -> None:
    connect(new_cache(name=unique_name))
    answer = json.loads(glidecache(daemon.runtime_dir, "stats", "--json").stdout)
    # What an upstream has for each of its replicas, another test's may have.
    found = {key for key in keys(answer) if not key.startswith("upstreams[].replicas")}
    missing = found - promised()
    assert not missing
    here = {key for key in promised(only_of_a_cluster=False) if not key.startswith("upstreams[].replicas")}
    assert here <= found


def test_flush_empties_a_named_cache(
    connect: Connector, daemon: Daemon, valkey: ValkeyServer, unique_name: str
) -> None:
    GET.write(valkey, "k", 1)
    client = connect(new_cache(name=unique_name))
    client.get("k")
    flushed = glidecache(daemon.runtime_dir, "flush", unique_name, "--yes")
    assert flushed.returncode == 0, flushed.stderr
    assert client.metrics().entry_count == 0
    assert not is_cached(client, valkey, "k")
    assert is_cached(client, valkey, "k")


def test_c25_forget_removes_keys_and_prefixes_for_all_processes(
    connect: Connector, daemon: Daemon, valkey: ValkeyServer, unique_name: str
) -> None:
    client = connect(new_cache(name=unique_name))
    odd = b"odd\xff\x01"
    for key in ("a", "b", "p:1", "p:2", odd):
        valkey.admin.set(key, "old")
        client.get(key)
        valkey.admin.set(key, "new")
    forgotten = glidecache(daemon.runtime_dir, "forget", unique_name, "a", "nothing", os.fsdecode(odd))
    assert (forgotten.returncode, forgotten.stdout) == (0, "2 entries forgotten\n"), forgotten.stderr
    assert [client.get(key) for key in ("a", odd, "b", "p:1")] == [b"new", b"new", b"old", b"old"]
    forgotten = glidecache(daemon.runtime_dir, "forget", unique_name, "--prefix", "p:")
    assert (forgotten.returncode, forgotten.stdout) == (0, "2 entries forgotten\n"), forgotten.stderr
    assert [client.get(key) for key in ("p:1", "p:2", "b")] == [b"new", b"new", b"old"]
    many = glidecache(daemon.runtime_dir, "forget", unique_name, *(f"key-{n}" for n in range(9_000)), "b")
    assert (many.returncode, many.stdout) == (0, "1 entry forgotten\n"), many.stderr
    row = next(
        line for line in glidecache(daemon.runtime_dir, "stats").stdout.splitlines() if unique_name in line
    )
    assert "5" in row.split()


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ([], "keys or --prefix"),
        (["k", "--prefix", "p"], "not both"),
        (["--prefix", ""], "flush"),
    ],
)
def test_forget_says_what_it_needs(daemon: Daemon, arguments: list[str], fault: str) -> None:
    failed = glidecache(daemon.runtime_dir, "forget", "configured", *arguments)
    assert failed.returncode == ExitStatus.USAGE
    assert fault in failed.stderr


def test_drop_ends_a_named_cache(
    connect: Connector, daemon: Daemon, valkey: ValkeyServer, unique_name: str
) -> None:
    GET.write(valkey, "k", 1)
    client = connect(new_cache(name=unique_name))
    client.get("k")
    dropped = glidecache(daemon.runtime_dir, "drop", unique_name, "--yes")
    assert dropped.returncode == 0, dropped.stderr
    assert unique_name not in glidecache(daemon.runtime_dir, "stats").stdout
    assert client.get("k") == b"v1"


@pytest.mark.parametrize("command", ["flush", "drop"])
def test_names_that_are_not_there_are_named(daemon: Daemon, command: str) -> None:
    failed = glidecache(daemon.runtime_dir, command, "no-such-cache", "--yes")
    assert failed.returncode != 0
    assert "no-such-cache" in failed.stderr
    assert "Traceback" not in failed.stderr


@pytest.mark.parametrize("command", ["flush", "drop"])
def test_without_anybody_to_ask_nothing_is_done(
    connect: Connector, daemon: Daemon, valkey: ValkeyServer, unique_name: str, command: str
) -> None:
    GET.write(valkey, "k", 1)
    client = connect(new_cache(name=unique_name))
    client.get("k")
    asked = glidecache(daemon.runtime_dir, command, unique_name)
    assert asked.returncode == ExitStatus.NOT_CONFIRMED
    assert "--yes" in asked.stderr
    assert client.metrics().entry_count == 1


@pytest.mark.parametrize(
    ("answer", "status", "left"),
    [
        (b"y\n", ExitStatus.DONE, 0),
        (b"n\n", ExitStatus.NOT_CONFIRMED, 1),
        (b"\x03", ExitStatus.NOT_CONFIRMED, 1),
    ],
    ids=["yes", "no", "ctrl-c"],
)
def test_flush_does_what_is_answered(
    connect: Connector,
    daemon: Daemon,
    valkey: ValkeyServer,
    unique_name: str,
    answer: bytes,
    status: int,
    left: int,
) -> None:
    GET.write(valkey, "k", 1)
    client = connect(new_cache(name=unique_name))
    client.get("k")
    terminal = Terminal(PROGRAM, "flush", unique_name, "--runtime-dir", str(daemon.runtime_dir))
    try:
        wait_until(lambda: "[y/N]" in terminal.text(), "the question", 60)
        assert unique_name in terminal.text()
        terminal.type(answer)
        assert terminal.exit_status(60) == status
    finally:
        terminal.discard()
    assert client.metrics().entry_count == left


def test_the_hottest_entries_are_told_over_the_socket(
    connect: Connector, valkey: ValkeyServer, unique_name: str, wire: WireClient
) -> None:
    for key in ("cold", "warm"):
        GET.write(valkey, key, 1)
    client = connect(new_cache(name=unique_name))
    for key in ("warm", "cold", "warm"):
        client.get(key)
    wire.hello()
    answer = wire.request(protocol.HOTTEST, unique_name, 10)
    assert answer["eviction_policy"] == "LRU"
    assert [entry["key"] for entry in answer["entries"]] == [b"warm", b"cold"]
