"""An application server as people run it: a real process with workers, driven over HTTP on a Unix socket."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any

import psutil

from support.process import ChildProcess
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    from support.daemon import Daemon

HTTP_PATIENCE_S = 20.0
START_PATIENCE_S = 30.0

_OF_THE_SERVERS = (
    r"http\.sock"  # Gunicorn and uvicorn leave their listening socket to the interpreter's end
    "|Enable tracemalloc"
    "|Error while closing socket"  # Gunicorn's, of a socket that uvicorn has closed
)


class Server(ChildProcess):
    """One server and its workers.

    `command` makes the arguments after `python` from the path of the socket to listen at.
    """

    def __init__(self, directory: Path, daemon: Daemon, command: Callable[[Path], Sequence[str]]) -> None:
        directory.mkdir()
        super().__init__(directory / "server.log")
        self._socket = directory / "http.sock"
        self._daemon = daemon
        self._command = command

    def start(self, **environment: str) -> None:
        self._spawn(
            self._command(self._socket),
            **{"GLIDECACHED_RUNTIME_DIR": str(self._daemon.runtime_dir), **environment},
            PYTHONUNBUFFERED="1",
            PYTHONWARNINGS="default",
        )

    def wait_for_workers(
        self,
        number: int,
        instead_of: Collection[int] = (),
        path: str = "/ping",
        status: int = http.HTTPStatus.OK,
    ) -> set[int]:
        """Wait until so many workers, none of them of those before, have each answered `path`; their process ids."""

        def complete() -> bool:
            assert self.running, self.log_text()
            workers = self.workers()
            return len(workers) == number and workers.isdisjoint(instead_of)

        wait_until(complete, f"there are {number} workers", START_PATIENCE_S)
        self.wait_until_listening()
        workers = self.workers()
        for pid in workers:
            with self.only(pid):
                self.text(path, status)
        return workers

    def wait_until_listening(self) -> None:
        wait_until(
            lambda: not self.running or self._listens(), "the server listens or has ended", START_PATIENCE_S
        )
        assert self.running, self.log_text()

    def workers(self) -> set[int]:
        """The server's children, but for those that help the interpreter."""
        found = set()
        for child in psutil.Process(self.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):
                command = child.cmdline()  # nothing, of one that has ended and not been reaped yet
                if command and not any("resource_tracker" in argument for argument in command):
                    found.add(child.pid)
        return found

    def get(self, path: str) -> dict[str, Any]:
        """The answer of whichever worker takes the request."""
        answer: dict[str, Any] = json.loads(self.text(path))
        return answer

    def text(self, path: str, status: int = http.HTTPStatus.OK, method: str = "GET") -> str:
        """The body of an answer of this status, as it came."""
        answered, body = self._answer(path, method)
        assert answered == status, (answered, body, self.log_text())
        return body

    def status(self, path: str) -> int:
        """The status of an answer."""
        return self._answer(path)[0]

    def _answer(self, path: str, method: str = "GET") -> tuple[int, str]:
        connection = _Connection(self._socket)
        try:
            connection.request(method, path, headers={"Connection": "close"})
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def get_from(self, pid: int, path: str) -> dict[str, Any]:
        """The answer of this very worker."""
        with self.only(pid):
            answer = self.get(path)
        assert answer["pid"] == pid
        return answer

    @contextlib.contextmanager
    def only(self, pid: int) -> Iterator[None]:
        """Have all requests taken by this worker: the others are stopped meanwhile."""
        others = self.workers() - {pid}
        try:
            for other in others:
                _signal(other, signal.SIGSTOP)
            yield
        finally:
            for other in others:
                _signal(other, signal.SIGCONT)

    def wait_until_idle(self, pid: int) -> None:
        """Wait until this worker has closed all connections of its clients."""

        def idle() -> bool:
            sockets = psutil.Process(pid).net_connections("unix")
            return sum(str(each.laddr) == str(self._socket) for each in sockets) == 1  # it listens

        wait_until(idle, "the connections of the requests are closed")

    def warnings(self) -> list[str]:
        """What the processes have written that is a warning or worse, but for what the servers do to themselves."""
        return [
            line
            for line in self.log_text().splitlines()
            if re.search("Warning|Traceback|Error|leaked", line) and not re.search(_OF_THE_SERVERS, line)
        ]

    def discard(self) -> None:
        """End it and its workers, whatever they do."""
        if self.running:
            for pid in self.workers():
                _signal(pid, signal.SIGKILL)
        self.kill()

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self._socket)) == 0


class _Connection(http.client.HTTPConnection):
    """HTTP on a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=HTTP_PATIENCE_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def module(name: str, *arguments: str) -> list[str]:
    """The command that runs a module of this interpreter's."""
    return [sys.executable, "-m", name, *arguments]


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has just ended
        os.kill(pid, number)
