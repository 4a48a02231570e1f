"""The daemon as a real process, with a configuration file of the test's own."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.process import ChildProcess
from support.waiting import wait_until
from support.wire import WireClient, answers

if TYPE_CHECKING:
    from collections.abc import Mapping

POOL_SUFFIXES = ("pool", "board", "state", "lease")
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where pools live


def to_toml(tables: Mapping[str, Any], prefix: str = "") -> str:
    """`tables` as TOML: nested mappings of strings, numbers, booleans and lists of strings."""
    scalars = {key: value for key, value in tables.items() if not isinstance(value, dict)}
    lines = [f"[{prefix}]"] if prefix and scalars else []
    lines += [f"{key} = {json.dumps(value)}" for key, value in scalars.items()]
    text = "\n".join(lines) + "\n" if lines else ""
    for key, value in tables.items():
        if isinstance(value, dict):
            text += to_toml(value, f"{prefix}.{key}" if prefix else key)
    return text


class Daemon(ChildProcess):
    """`python -m glidecached` in a runtime directory and a pool directory of its own.

    `tables` is the configuration file's content; both directories are added to its `[daemon]` table.
    """

    def __init__(self, directory: Path, tables: Mapping[str, Any] | None = None) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        super().__init__(directory / "glidecached.log")
        self.runtime_dir = directory / "run"
        self.pool_dir = Path(tempfile.mkdtemp(prefix="glidecached-test-", dir=SHARED_MEMORY))
        self.configuration = directory / "glidecached.toml"
        tables = {key: dict(value) for key, value in (tables or {}).items()}
        tables["daemon"] = {
            "pool_dir": str(self.pool_dir),
            "log_level": "debug",
            **tables.get("daemon", {}),
        }
        self.configuration.write_text(to_toml(tables))

    def start(self, *arguments: str) -> None:
        """Start it, and wait until it answers a ping."""
        self.launch(*arguments)
        wait_until(
            lambda: not self.running or answers(self.runtime_dir), "the daemon answers or has ended", 20
        )
        assert self.running, f"the daemon ended with status {self.process.returncode}:\n{self.log_text()}"

    def launch(self, *arguments: str) -> None:
        """Start it without waiting: for tests of daemons that refuse to start."""
        command = [sys.executable, "-m", "glidecached", "--config", str(self.configuration)]
        self._spawn([*command, "--runtime-dir", str(self.runtime_dir), *arguments])

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Stop it as a service manager would, and see that it leaves nothing behind but sealed pools."""
        status = self.terminate(number)
        assert status == 0, f"exit status {status}:\n{self.log_text()}"
        suffixes = Counter(name.rpartition(".")[2] for name in self.pool_files())
        assert len({suffixes[suffix] for suffix in POOL_SUFFIXES}) == 1, f"left behind: {self.pool_files()}"
        assert set(suffixes) <= set(POOL_SUFFIXES), f"left behind: {self.pool_files()}"
        assert not (self.runtime_dir / "glidecached.sock").exists(), "socket left behind"

    def discard(self) -> None:
        """End it whatever state it is in, and remove its directories."""
        if self.running:
            self.resume()
            self.kill()
        shutil.rmtree(self.pool_dir, ignore_errors=True)

    def pool_files(self) -> list[str]:
        """Names of all files that pools have at this moment."""
        return sorted(
            str(path.relative_to(self.pool_dir)) for path in self.pool_dir.rglob("*") if path.is_file()
        )

    def stats(self) -> dict[str, Any]:
        """The answer to the `STATS` operation."""
        from glidecache_shared import protocol

        with WireClient(self.runtime_dir) as wire:
            wire.hello()
            answer: dict[str, Any] = wire.request(protocol.STATS)
            return answer
