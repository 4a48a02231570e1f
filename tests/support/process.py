"""A child process of a test: started, watched, stopped hard or softly, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from support.users import command_as

if TYPE_CHECKING:
    from collections.abc import Sequence

    from support.users import User

ROOT = Path(__file__).resolve().parents[2]
SOURCE_ROOTS = [ROOT / "daemon", ROOT / "client", ROOT / "shared", ROOT / "tests"]
STOP_TIMEOUT_S = 15.0


def child_environment(**extra: str) -> dict[str, str]:
    """This process's environment, with the source roots importable and nothing that points to another daemon."""
    environment = {name: value for name, value in os.environ.items() if name != "GLIDECACHED_RUNTIME_DIR"}
    environment["PYTHONPATH"] = os.pathsep.join(map(str, SOURCE_ROOTS))
    return environment | extra


class ChildProcess:
    """One operating-system process whose output goes to a file."""

    def __init__(self, log_path: Path) -> None:
        self.log_path = log_path
        self.user: User | None = None
        """Who it is to run as; None: as the test itself."""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "not started"
        return self._process

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def log_text(self) -> str:
        """Everything that the process has written so far."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def kill(self) -> None:
        """End it as a crash would (SIGKILL) and wait until it is gone."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait(STOP_TIMEOUT_S)

    def terminate(self, number: int = signal.SIGTERM) -> int:
        """Ask it to stop, and return its exit status; killed, and an error raised, when it does not."""
        process = self.process
        process.send_signal(number)
        try:
            return process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            message = f"did not stop within {STOP_TIMEOUT_S:g} s of signal {number}:\n{self.log_text()}"
            raise AssertionError(message) from None

    def pause(self) -> None:
        """Stop it from running (SIGSTOP): a process that hangs."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it run again (SIGCONT)."""
        self.process.send_signal(signal.SIGCONT)

    def _spawn(self, command: Sequence[str | Path], **environment: str) -> None:
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                command_as(self.user, command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=child_environment(**environment),
            )
