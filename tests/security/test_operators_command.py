"""What `glidecache` says to users who may not, or may no more, speak to the daemon: at once, and why."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

from glidecached.cli.options import ExitStatus
from support.process import child_environment
from support.users import User, command_as

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = "import sys; from glidecached.cli.operator import main; sys.exit(main())"
SOMEBODY = User(61_020, 61_020)
TIMEOUT_TAKEN = "did not answer"


def ping(runtime_dir: Path, user: User | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command_as(user, [sys.executable, "-c", PROGRAM, "ping", "--runtime-dir", runtime_dir]),
        env=child_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_who_may_not_enter_is_told_so(open_place: Path, reachable_checkout: None) -> None:
    del reachable_checkout
    closed = open_place / "closed"
    closed.mkdir(mode=0o700)
    done = ping(closed, SOMEBODY)
    assert done.returncode == ExitStatus.UNREACHABLE
    assert "Permission denied" in done.stderr
    assert str(closed) in done.stderr


def test_who_may_not_connect_is_told_whose_the_socket_is(open_place: Path, reachable_checkout: None) -> None:
    del reachable_checkout
    place = open_place / "open"
    place.mkdir(mode=0o755)
    path = place / "glidecached.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        path.chmod(0o770)
        os.chown(path, -1, 61_021)
        done = ping(place, SOMEBODY)
    assert done.returncode == ExitStatus.UNREACHABLE
    who = f"uid {SOMEBODY.uid}, group {SOMEBODY.gid}"
    assert f"this process ({who}) may not connect to {path} (uid 0, gid 61021, mode 0770)" in done.stderr
    assert "usermod -aG 61021 USER" in done.stderr
    assert "supplementalGroups: [61021]" in done.stderr
    assert TIMEOUT_TAKEN not in done.stderr


def test_a_socket_that_a_daemon_left_behind_is_told_from_a_slow_one(tmp_path: Path) -> None:
    path = tmp_path / "glidecached.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
    done = ping(tmp_path)
    assert done.returncode == ExitStatus.UNREACHABLE
    assert f"no daemon in {tmp_path}: no process listens on {path}" in done.stderr
    assert TIMEOUT_TAKEN not in done.stderr
