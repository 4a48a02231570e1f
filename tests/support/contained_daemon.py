"""A daemon in a container, and the directories that it shares with others, as volumes of the host."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.daemon import SHARED_MEMORY, to_toml
from support.process import ChildProcess, child_environment
from support.waiting import wait_until
from support.wire import answers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from support.container import Box

RUNTIME_DIR = "/run/glidecached"
POOL_DIR = "/dev/shm/glidecached-main"  # noqa: S108 - in the container, whose engine makes it
SERVER_DIR = "/server"
CONFIGURATION_DIR = "/etc/glidecached"


class Volumes:
    """The directories that containers share: the runtime directory and the pool directory, owned by the daemon.

    `first_id`: the host's id for the containers' root, if they have a user namespace.
    """

    def __init__(self, uid: int, gid: int, first_id: int = 0) -> None:
        self.place = Path(tempfile.mkdtemp(prefix="glidecached-volumes-"))
        self.place.chmod(0o755)
        self.pool_dir = Path(tempfile.mkdtemp(prefix="glidecached-test-", dir=SHARED_MEMORY))
        self.runtime_dir = self.place / "run"
        self.empty = self.place / "empty"
        self.configuration_dir = self.place / "configuration"
        for directory, mode in (
            (self.runtime_dir, 0o750),
            (self.pool_dir, 0o710),
            (self.empty, 0o755),
            (self.configuration_dir, 0o755),
        ):
            directory.mkdir(exist_ok=True)
            directory.chmod(mode)
            os.chown(directory, first_id + uid, first_id + gid)

    @property
    def binds(self) -> dict[str, str]:
        """The directories that both sides mount, by their places in the containers."""
        return {RUNTIME_DIR: str(self.runtime_dir), POOL_DIR: str(self.pool_dir)}

    def pool_files(self, suffix: str) -> list[str]:
        """Names of the pools' files with that suffix."""
        return sorted(path.name for path in self.pool_dir.glob(f"*.{suffix}"))

    def discard(self) -> None:
        """Remove them."""
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.rmtree(self.pool_dir, ignore_errors=True)


class ContainedDaemon(ChildProcess):
    """`python -m glidecached` as the first process of a container; a later one may follow on the same volumes."""

    def __init__(self, log_path: Path, volumes: Volumes, box: Box, tables: Mapping[str, Any]) -> None:
        super().__init__(log_path)
        self.volumes = volumes
        self.box = dataclasses.replace(
            box,
            binds={**volumes.binds, f"{CONFIGURATION_DIR}:ro": str(volumes.configuration_dir), **box.binds},
        )
        (volumes.configuration_dir / "glidecached.toml").write_text(to_toml(tables))

    def start(self, *arguments: str) -> None:
        """Start it, and wait until it answers a ping. Without arguments it finds its configuration by itself."""
        self._spawn(self.box.command([sys.executable, "-m", "glidecached", *arguments]))
        wait_until(
            lambda: not self.running or answers(self.volumes.runtime_dir),
            "the daemon answers or has ended",
            20,
        )
        assert self.running, f"the daemon ended with status {self.process.returncode}:\n{self.log_text()}"


def run_in(box: Box, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a command in a container of its own, to its end."""
    return subprocess.run(
        box.command(command),
        env=child_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
