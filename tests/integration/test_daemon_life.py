"""The daemon's start, stop and neighbours: what it says, what it refuses, what it leaves behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from support.cacheable import GET
from support.caches import new_cache
from support.clients import at, close_all, open_client
from support.daemon import to_toml
from support.process import child_environment
from support.waiting import wait_until
from support.wire import answers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.connector import Connector
    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer

PROGRAM = (sys.executable, "-m", "glidecached")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_stop_leaves_nothing_behind_but_what_the_next_daemon_needs(
    connect: Connector, start_daemon: Callable[..., Daemon], valkey: ValkeyServer, number: int
) -> None:
    daemon = start_daemon()
    GET.write(valkey, "k", 1)
    client = connect(new_cache(), **at(daemon, valkey))
    client.get("k")
    assert daemon.pool_files()
    daemon.stop(number)
    assert "Traceback" not in daemon.log_text()


def test_a_start_says_where_it_listens_and_what_is_upstream(
    own_daemon: Daemon, own_valkey: ValkeyServer
) -> None:
    text = own_daemon.log_text()
    assert str(own_daemon.runtime_dir) in text
    assert str(own_valkey.port) in text


def test_with_json_every_line_of_a_life_is_an_object(start_daemon: Callable[..., Daemon]) -> None:
    """Also what is a sentence for people otherwise: a platform reads both streams."""
    daemon = start_daemon(daemon={"log_format": "json"})
    place = ("--config", str(daemon.configuration), "--runtime-dir", str(daemon.runtime_dir))
    second = subprocess.run(
        [*PROGRAM, *place], capture_output=True, text=True, env=child_environment(), timeout=30, check=False
    )
    assert (second.returncode, second.stdout) == (1, "")
    (refusal,) = [json.loads(line) for line in second.stderr.splitlines()]
    assert (refusal["level"], refusal["message"]) == ("error", "cannot start")
    assert str(daemon.runtime_dir) in refusal["reason"]
    daemon.configuration.write_text("[daemon]\nlog_format = 1\n")
    daemon.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "reload refused" in daemon.log_text(), "the log has the refusal")
    daemon.stop()
    lines = [json.loads(line) for line in daemon.log_text().splitlines()]
    (started,) = [line for line in lines if line["message"] == "started"]
    assert started["embedded"] is False
    assert started["endpoint"].endswith("glidecached.sock")
    (refused,) = [line for line in lines if line["message"].startswith("reload refused")]
    assert refused["faults"] == 1


def test_pools_are_served_with_no_upstream_reachable(start_daemon: Callable[..., Daemon]) -> None:
    daemon = start_daemon(upstreams={"default": {"addresses": ["127.0.0.1:1"]}})
    assert answers(daemon.runtime_dir)
    daemon.stop()


def test_a_second_daemon_on_one_runtime_directory_is_refused(own_daemon: Daemon) -> None:
    second = subprocess.run(
        [*PROGRAM, "--runtime-dir", own_daemon.runtime_dir],
        env=child_environment(),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert second.returncode != 0
    assert str(own_daemon.runtime_dir) in second.stderr
    assert "Traceback" not in second.stderr
    assert answers(own_daemon.runtime_dir)


def test_a_killed_daemons_unheld_leftovers_are_cleared_at_the_next_start(
    connect: Connector, own_daemon: Daemon, own_valkey: ValkeyServer
) -> None:
    GET.write(own_valkey, "k", 1)
    client = connect(new_cache(), **at(own_daemon, own_valkey))
    client.get("k")
    own_daemon.kill()
    client.close()
    assert own_daemon.pool_files()
    own_daemon.start()
    wait_until(lambda: not own_daemon.pool_files(), "the leftovers are gone")
    assert connect(new_cache(), **at(own_daemon, own_valkey)).get("k") == b"v1"
    own_daemon.stop()


def test_version_is_told() -> None:
    version = subprocess.run(
        [*PROGRAM, "--version"],
        env=child_environment(),
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert re.search(r"\d+\.\d+\.\d+", version.stdout)


def embedded(tmp_path: Path) -> subprocess.Popen[bytes]:
    """An embedded daemon at the head of a process group, as a terminal's foreground is."""
    configuration = tmp_path / "glidecached.toml"
    # A killed daemon leaves its pools to the next one of its directory: here there is none.
    configuration.write_text(to_toml({"daemon": {"pool_dir": str(tmp_path / "pools")}}))
    with (tmp_path / "log").open("ab") as log:
        return subprocess.Popen(
            [*PROGRAM, "--embedded", "--config", configuration, "--runtime-dir", tmp_path / "run"],
            env=child_environment(),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
def test_embedded_brings_a_server_that_ends_with_it(kind: str, tmp_path: Path, number: int) -> None:
    process = embedded(tmp_path)
    try:
        wait_until(lambda: answers(tmp_path / "run"), "the daemon answers", 20)
        children = psutil.Process(process.pid).children(recursive=True)
        assert any("valkey" in child.name() for child in children)
        client = open_client(kind, runtime_dir=str(tmp_path / "run"), client_side_cache=new_cache())
        client.call("set", "k", "v")
        assert [client.get("k"), client.get("k")] == [b"v", b"v"]
        assert client.metrics().hit_rate == 0.5
        close_all([client])
        process.send_signal(number)
        status = process.wait(15)
        assert status == (0 if number == signal.SIGINT else -number), (tmp_path / "log").read_text()
        wait_until(lambda: not any(child.is_running() for child in children), "the embedded server has ended")
    finally:
        process.kill()
        process.wait()


def test_embedded_stops_when_the_whole_terminal_is_interrupted(tmp_path: Path) -> None:
    """Ctrl-C reaches every process of the foreground: the daemon still ends in order."""
    process = embedded(tmp_path)
    try:
        wait_until(lambda: answers(tmp_path / "run"), "the daemon answers", 20)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(15) == 0, (tmp_path / "log").read_text()
        assert "Traceback" not in (tmp_path / "log").read_text()
    finally:
        process.kill()
        process.wait()
