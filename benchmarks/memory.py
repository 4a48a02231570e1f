"""What a full cache costs in memory when several workers use it: one pool for all, or GLIDE's cache in each of them.

Every worker is a fresh interpreter that reads every value once. USS is what a process has for itself; PSS adds its
share of what it has in common with others, so that the sum over all processes is what they cost together. GLIDE is
left out where it is not installed (the `bench` extra).
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from support.daemon import Daemon
from support.process import child_environment
from support.valkey_server import HOST, ValkeyServer

if TYPE_CHECKING:
    from collections.abc import Sequence

OWN, PEER = "glidecache", "glide_sync"
MB = 1024 * 1024
VALUE_BYTES = 4_000
FILLED = 0.91
"""The part of the bound that values make up; the rest is what entries cost beside them."""
KEYS_AT_ONCE = 500
REQUEST_TIMEOUT_MS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """The cost of one library, in bytes more than before it was imported."""

    together: int
    mean_of_worker: float
    most_of_worker: int
    daemon: int | None
    """The daemon's memory beside the pool that it shares with the workers."""


class Worker:
    """A process that reads all values through one library on command, and then waits."""

    def __init__(self, library: str, port: int, runtime_dir: Path, bound_mb: int, number: int) -> None:
        arguments = (library, str(port), str(runtime_dir), str(bound_mb), str(number))
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--work", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=child_environment(),
            text=True,
        )
        self.pid = self._process.pid

    def say(self, word: str) -> None:
        """Let the worker continue."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()

    def hear(self, word: str) -> None:
        """Wait until it has come so far."""
        assert self._process.stdout is not None
        heard = self._process.stdout.readline().strip()
        assert heard == word, f"{heard!r} instead of {word!r}"

    def end(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


def work(library: str, port: str, runtime_dir: str, bound_mb: str, number: str) -> None:
    """Run one worker: bare until it gets a word, then with a full cache."""
    print("bare", flush=True)
    sys.stdin.readline()
    client = open_client(library, int(port), runtime_dir, int(bound_mb) * 1024)
    for _ in range(2):  # the second time round all are hits
        for key in range(int(number)):
            assert len(client.get(f"key:{key}")) == VALUE_BYTES
    assert client.get_cache_entry_count() == int(number), (
        f"the cache holds {client.get_cache_entry_count()} of {number} values"
    )
    print("full", flush=True)
    sys.stdin.readline()


def open_client(library: str, port: int, runtime_dir: str, max_cache_kb: int) -> Any:
    """Open a blocking client of one of the two libraries, with a cache of its own or a shared one."""
    if library == PEER:
        import glide_sync as glide

        cache = glide.ClientSideCache.create(max_cache_kb, 0, enable_metrics=True)
        where: dict[str, Any] = {}
        client_class = glide.GlideClient
    else:
        import glidecache as glide
        from glidecache.sync import GlideClient as client_class  # noqa: N813 - used beside GLIDE's

        cache = glide.ClientSideCache.create(max_cache_kb, 0, enable_metrics=True, name="memory")
        where = {"runtime_dir": runtime_dir}
    settings = glide.GlideClientConfiguration(
        [glide.NodeAddress(HOST, port)], client_side_cache=cache, request_timeout=REQUEST_TIMEOUT_MS, **where
    )
    return client_class.create(settings)


def measure(library: str, server: ValkeyServer, daemon: Daemon, options: argparse.Namespace) -> Column:
    """Have workers fill their cache, or the shared one, and read all of it."""
    with ExitStack() as stack:
        workers = []
        for _ in range(options.workers):
            worker = Worker(library, server.port, daemon.runtime_dir, options.mb, values(options.mb))
            stack.callback(worker.end)
            worker.hear("bare")
            workers.append(worker)
        processes = [worker.pid for worker in workers]
        if library == OWN:
            processes.append(daemon.pid)
        before = memory_of(processes)
        for worker in workers:
            worker.say("go")
        for worker in workers:
            worker.hear("full")
        after = memory_of(processes)
    grown = [new.uss - old.uss for old, new in zip(before, after, strict=True)]
    return Column(
        together=sum(each.pss for each in after) - sum(each.pss for each in before),
        mean_of_worker=sum(grown[: options.workers]) / options.workers,
        most_of_worker=max(grown[: options.workers]),
        daemon=grown[-1] if library == OWN else None,
    )


def memory_of(pids: Sequence[int]) -> list[Any]:
    """Return `psutil`'s information on each process's memory."""
    return [psutil.Process(pid).memory_full_info() for pid in pids]


def values(bound_mb: int) -> int:
    """Return how many values nearly fill the cache."""
    return int(bound_mb * MB * FILLED) // VALUE_BYTES


def fill(server: ValkeyServer, number: int) -> None:
    """Put the values where the workers read them."""
    for first in range(0, number, KEYS_AT_ONCE):
        server.admin.mset(
            {f"key:{key}": "x" * VALUE_BYTES for key in range(first, min(first + KEYS_AT_ONCE, number))}
        )


def show(columns: dict[str, Column], options: argparse.Namespace) -> None:
    """Print the table."""
    stored = values(options.mb) * VALUE_BYTES / MB
    print(
        f"{options.workers} workers, each of which has read all {values(options.mb)} values ({stored:.0f} MB)"
    )
    print(f"from a cache of {options.mb} MB; MB more than before they imported anything\n")
    rows = {
        "all processes together (PSS)": [column.together for column in columns.values()],
        "a worker for itself (USS), mean": [column.mean_of_worker for column in columns.values()],
        "a worker for itself (USS), most": [column.most_of_worker for column in columns.values()],
        "the daemon for itself (USS)": [column.daemon for column in columns.values()],
    }
    print(" " * 34, *(f"{library:>12}" for library in columns))
    for name, numbers in rows.items():
        print(f"{name:<34}", *("           –" if each is None else f"{each / MB:>12.1f}" for each in numbers))


def main() -> None:
    """Measure both libraries, one after the other, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=int, default=256, help="the cache's bound (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=8, help="how many (default: %(default)s)")
    options = parser.parse_args()
    libraries = [library for library in (OWN, PEER) if importlib.util.find_spec(library)]
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = ValkeyServer(directory / "valkey")
        stack.callback(server.stop)
        server.start()
        daemon = Daemon(directory / "daemon", {"daemon": {"log_level": "info"}})
        stack.callback(daemon.discard)
        daemon.start()
        fill(server, values(options.mb))
        show({library: measure(library, server, daemon, options) for library in libraries}, options)
        if PEER not in libraries:
            print(f"\nnot installed: {PEER} (the extra `bench`)")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(*sys.argv[2:])
    else:
        main()
