"""One process that greenlets, threads or event loops share. All warnings are on, and none may come."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from support.process import child_environment
from workers.programs import PROGRAMS

if TYPE_CHECKING:
    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer


def run(daemon: Daemon, *arguments: str) -> None:
    """Run a program to its end with all warnings on; it must have nothing to say but that it is done."""
    ended = subprocess.run(
        [sys.executable, "-W", "default", "-m", *arguments],
        env=child_environment(GLIDECACHED_RUNTIME_DIR=str(daemon.runtime_dir)),
        capture_output=True,
        text=True,
        check=False,
        timeout=40,
    )
    assert (ended.stdout, ended.stderr, ended.returncode) == ("done\n", "", 0)


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.usefixtures("valkey")
def test_threads_loops_and_the_interpreters_end(daemon: Daemon, program: str) -> None:
    run(daemon, "workers.programs", program)


@pytest.mark.parametrize("patched", ["first", "imported", "created"])
def test_gevents_hub_goes_on_whenever_it_was_patched(
    daemon: Daemon, valkey: ValkeyServer, patched: str
) -> None:
    run(daemon, "workers.greens", patched)
    assert valkey.calls("get") == 43, "one for each key, of those that are missing too"
