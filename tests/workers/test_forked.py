"""The program on fork of docs/which-cache.md: the child reads from the cache, whatever has become of the server."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from support.daemon import Daemon
from support.process import ROOT, child_environment
from support.valkey_server import ValkeyServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE = (ROOT / "docs" / "which-cache.md").read_text()
PATIENCE_S = 40
LONGEST_MS = 1_000
"""Far more than a fork takes on a loaded machine, and less than one that waits for a server."""


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[ValkeyServer]:
    server = ValkeyServer(tmp_path / "valkey")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_daemon(tmp_path: Path) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path / "daemon")
    daemon.start()
    yield daemon
    daemon.stop()
    daemon.discard()


@pytest.mark.parametrize("server", ["answers", "stopped", "gone"])
def test_c19_a_client_made_before_the_fork_hits_in_the_child(
    own_daemon: Daemon, own_valkey: ValkeyServer, tmp_path: Path, server: str
) -> None:
    (text,) = re.findall(r"```python\n# forked\.py\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "forked.py").write_text(text)
    program = subprocess.Popen(
        [sys.executable, "-W", "default", "forked.py", "glidecache", str(own_valkey.port)],
        cwd=tmp_path,
        env=child_environment(GLIDECACHED_RUNTIME_DIR=str(own_daemon.runtime_dir)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    prompt = "Enter forks "
    assert program.stdout.read(len(prompt)) == prompt
    assert own_valkey.calls("get") == 1
    if server == "stopped":
        own_valkey.pause()
    elif server == "gone":
        own_valkey.kill()
    try:
        shown, errors = program.communicate("\n", PATIENCE_S)
    finally:
        program.kill()
        if server == "stopped":
            own_valkey.resume()
    assert errors == ""
    told = re.fullmatch(r"the fork took (\d+) ms\nb'spade'\nexit status of the child: 0\n", shown)
    assert told, shown
    assert int(told[1]) < LONGEST_MS
    if server != "gone":
        assert own_valkey.calls("get") == 1, "the child has asked the server"
