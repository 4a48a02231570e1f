"""The servers that a run is made on: a real Valkey, a daemon in front of it, a memcached if there is one."""

from __future__ import annotations

import getpass
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from comparison import data
from support.daemon import SHARED_MEMORY, Daemon
from support.process import ChildProcess
from support.valkey_server import HOST, ValkeyServer
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_TOTAL_CACHE_KB = 4 << 20
BATCH = 1000


class Memcached(ChildProcess):
    """A memcached on a Unix socket."""

    def __init__(self, directory: Path, program: str) -> None:
        super().__init__(directory / "memcached.log")
        self._program = program
        self.socket_path = directory / "memcached.sock"

    def start(self) -> None:
        """Start it and wait until its socket is there."""
        self._spawn([self._program, "-u", getpass.getuser(), "-s", self.socket_path])
        wait_until(lambda: not self.running or self.socket_path.exists(), "memcached listens or has ended")
        assert self.running, self.log_text()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """The servers that run while things are measured; valid inside `stand()`."""

    server: ValkeyServer
    server_socket: Path
    daemon: Daemon
    memcached: Memcached | None
    """None where the program is not installed."""
    memory_directory: Path
    """A directory on tmpfs, for the peers that keep files."""

    @property
    def address(self) -> tuple[str, int]:
        """Return the address on which Valkey listens with TCP."""
        return HOST, self.server.port

    @property
    def runtime_dir(self) -> str:
        """Return the directory in which this project's clients find the daemon."""
        return str(self.daemon.runtime_dir)


@contextmanager
def stand() -> Iterator[Stand]:
    """Start everything, with the data of `data` upstream; end it and remove its files afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="glidecached-bench-"))
    memory_directory = Path(tempfile.mkdtemp(prefix="glidecached-bench-", dir=SHARED_MEMORY))
    server_socket = directory / "valkey.sock"
    server = ValkeyServer(directory / "valkey", f"unixsocket {server_socket}")
    daemon: Daemon | None = None
    memcached: Memcached | None = None
    try:
        server.start()
        put_data(server)
        daemon = Daemon(
            directory / "daemon",
            {
                "daemon": {"log_level": "warning", "max_total_cache_kb": MAX_TOTAL_CACHE_KB},
                "upstreams": {"default": {"addresses": [f"{HOST}:{server.port}"]}},
            },
        )
        daemon.start()
        program = shutil.which("memcached")
        if program:
            memcached = Memcached(directory, program)
            memcached.start()
        yield Stand(
            server=server,
            server_socket=server_socket,
            daemon=daemon,
            memcached=memcached,
            memory_directory=memory_directory,
        )
        daemon.stop()
    finally:
        if memcached is not None:
            memcached.kill()
        if daemon is not None:
            daemon.discard()
        server.stop()
        shutil.rmtree(memory_directory, ignore_errors=True)
        shutil.rmtree(directory, ignore_errors=True)


def put_data(server: ValkeyServer) -> None:
    """Store the data that all groups read; the many small strings are stored by those that read them."""
    server.admin.set(data.STRING_KEY, data.STRING)
    server.admin.hset(data.HASH_KEY, mapping=data.HASH)
    server.admin.sadd(data.SET_KEY, *data.SET)
    server.admin.set(data.LARGE_KEY, data.LARGE)


def put_many(server: ValkeyServer, count: int) -> None:
    """Store the strings 0 to `count` - 1 of `data.many_key` upstream."""
    for first in range(0, count, BATCH):
        numbers = range(first, min(first + BATCH, count))
        server.admin.mset({data.many_key(number): data.many_value(number) for number in numbers})


def put_large(server: ValkeyServer, count: int) -> None:
    """Store large values 0 to `count` - 1 upstream, each of them `data.LARGE`."""
    for number in range(count):
        server.admin.set(data.large_key(number), data.LARGE)
