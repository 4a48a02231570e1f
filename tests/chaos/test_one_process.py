"""How a process ends that never closed its clients, and how one begins to go without a daemon."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from glidecache import NodeAddress
from support.clients import KINDS, close_all, open_client
from support.daemon import Daemon
from support.process import child_environment
from support.valkey_server import HOST, ValkeyServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

END_TIMEOUT_S = 30
"""Far more than it takes, and half of the time-out of the calls that are going on."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ValkeyServer]:
    server = ValkeyServer(tmp_path / "valkey")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def daemon(tmp_path: Path, server: ValkeyServer) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path / "daemon", {"upstreams": {"default": {"addresses": [f"{HOST}:{server.port}"]}}})
    daemon.start()
    yield daemon
    daemon.discard()


@pytest.mark.parametrize("kind", KINDS)
def test_a_command_that_may_block_for_ever_goes_directly_too(
    server: ValkeyServer, tmp_path: Path, kind: str
) -> None:
    server.admin.rpush("list", "x")
    client = open_client(
        kind,
        addresses=[NodeAddress(HOST, server.port)],
        request_timeout=300,
        runtime_dir=str(tmp_path / "run"),
        lazy_connect=True,
    )
    try:
        assert client.call("custom_command", ["BLPOP", "list", "0"]) == [b"list", b"x"]
    finally:
        close_all([client])


@pytest.mark.parametrize("hanging", [False, True], ids=["daemon-runs", "daemon-hangs"])
def test_an_interpreter_ends_in_silence_and_waits_for_nobody(
    daemon: Daemon, server: ValkeyServer, *, hanging: bool
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-W", "default", "-m", "chaos.leaving", str(daemon.runtime_dir), str(server.port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=child_environment(),
        text=True,
    )
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        if hanging:
            daemon.pause()
        rest, errors = process.communicate(timeout=END_TIMEOUT_S)
        assert (said + rest, errors, process.returncode) == ("ready\n", "", 0)
    finally:
        process.kill()
        process.communicate()


def test_several_threads_may_be_the_first_to_go_without_a_daemon(
    server: ValkeyServer, tmp_path: Path
) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "chaos.first_outage", str(tmp_path / "run"), str(server.port)],
        env=child_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ended.stdout, ended.stderr.count("Traceback")) == ("[b'first', b'second']\n", 0), ended.stderr
