"""Requests a second of uvicorn with two workers, ten look-ups a request, by client: all by turns in one run.

The load comes from this process: keep-alive connections, a request on each as soon as its answer has come. It needs
part of a processor that the workers would use otherwise, so the processor time of a request is measured, too: of the
workers, of the daemon, and of the server.
"""

from __future__ import annotations

import os
import re
import selectors
import socket
import statistics
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

import psutil
from serving_application import BODY_BYTES, LOOKUPS

from support.process import ROOT, ChildProcess, child_environment
from support.valkey_server import HOST, free_port
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer

CLIENTS = ("valkey.asyncio", "valkey-glide, its cache", "glidecached", "its front", "no client")
WORKERS = 2
CONNECTIONS = 16
KEYS = 1_000
VALUE_BYTES = 100
WARM_UP_S = 1.5
REQUEST = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n"


class Turn(NamedTuple):
    """One client in one turn: requests a second, and µs of processor time a request."""

    rate: float
    workers_us: float
    others_us: float
    load_us: float


class Served(ChildProcess):
    """Uvicorn with the application and one client."""

    def __init__(self, directory: Path, client: str, server: ValkeyServer, daemon: Daemon) -> None:
        super().__init__(directory / f"{re.sub('[^a-z]+', '-', client)}.log")
        self.client = client
        self.port = free_port()
        options = ("--workers", str(WORKERS), "--loop", "uvloop", "--http", "httptools", "--no-access-log")
        command = (sys.executable, "-m", "uvicorn", *options, "--log-level", "warning")
        self._spawn(
            [*command, "--host", HOST, "--port", str(self.port), "serving_application:application"],
            BENCH_CLIENT=client,
            BENCH_PORT=str(server.port),
            BENCH_KEYS=str(KEYS),
            GLIDECACHED_RUNTIME_DIR=str(daemon.runtime_dir),
            PYTHONPATH=f"{ROOT / 'benchmarks'}{os.pathsep}{child_environment()['PYTHONPATH']}",
        )

    def wait(self) -> None:
        """Wait until it answers."""
        wait_until(lambda: not self.running or self._answers(), f"uvicorn with {self.client} answers", 60)
        assert self.running, self.log_text()

    def worker_processes(self) -> list[psutil.Process]:
        """The workers, without the interpreter's own helper."""
        children = psutil.Process(self.pid).children()
        return [child for child in children if "resource_tracker" not in " ".join(child.cmdline())]

    def _answers(self) -> bool:
        with socket.socket() as probe:
            if probe.connect_ex((HOST, self.port)) != 0:
                return False
            probe.settimeout(10)
            probe.sendall(REQUEST)
            return probe.recv(4_096).startswith(b"HTTP/1.1 200")


def measured(
    directory: Path, server: ValkeyServer, daemon: Daemon, rounds: int, seconds: float
) -> list[dict[str, Any]]:
    """Return a row for each client: medians over the rounds, and ratios to ours within a round."""
    server.admin.mset({f"product:{number}": "x" * VALUE_BYTES for number in range(KEYS)})
    with ExitStack() as stack:
        served = []
        for client in CLIENTS:
            each = Served(directory, client, server, daemon)
            stack.callback(each.terminate)
            served.append(each)
        for each in served:
            each.wait()
            # Each worker reads all keys, so that its own cache has them.
            drive(each.port, WARM_UP_S)
        others = [psutil.Process(server.pid), psutil.Process(daemon.pid)]
        turns: dict[str, list[Turn]] = {client: [] for client in CLIENTS}
        for _ in range(rounds):
            for each in served:
                turns[each.client].append(turn(each, others, seconds))
    return [row(client, turns) for client in CLIENTS]


def row(client: str, turns: dict[str, list[Turn]]) -> dict[str, Any]:
    """The figures of a client. `front_times`, `glidecached_times`: requests a second of ours for each of its own."""

    def ratio(other: str) -> float:
        return statistics.median(
            ours.rate / its.rate for ours, its in zip(turns[other], turns[client], strict=True)
        )

    medians = Turn(*(statistics.median(figures) for figures in zip(*turns[client], strict=True)))
    return {
        "client": client,
        **medians._asdict(),
        "front_times": ratio("its front"),
        "glidecached_times": ratio("glidecached"),
    }


def turn(served: Served, others: Sequence[psutil.Process], seconds: float) -> Turn:
    """Drive one server, and measure."""
    workers = served.worker_processes()
    assert len(workers) == WORKERS
    before = [_used(processes) for processes in (workers, others, [psutil.Process()])]
    began = time.perf_counter()
    requests = drive(served.port, seconds)
    took = time.perf_counter() - began
    after = [_used(processes) for processes in (workers, others, [psutil.Process()])]
    costs = [(end - begin) / requests * 1e6 for begin, end in zip(before, after, strict=True)]
    return Turn(requests / took, *costs)


def drive(port: int, seconds: float) -> int:
    """Send requests for so long, and return how many were answered in full."""
    expected = b"%*d" % (BODY_BYTES, LOOKUPS * VALUE_BYTES)
    answered = 0
    with ExitStack() as stack, selectors.EpollSelector() as selector:
        sockets = {}
        for _ in range(CONNECTIONS):
            connection = stack.enter_context(socket.create_connection((HOST, port)))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(REQUEST)
            selector.register(connection, selectors.EVENT_READ)
            sockets[connection] = b""
        deadline = time.perf_counter() + seconds
        while time.perf_counter() < deadline:
            for key, _ in selector.select(5):
                connection: Any = key.fileobj
                received = sockets[connection] + connection.recv(65_536)
                if received.endswith(expected):
                    answered += 1
                    sockets[connection] = b""
                    connection.sendall(REQUEST)
                else:
                    assert received.startswith(b"HTTP/1.1 200"), received
                    sockets[connection] = received
    assert answered, "no request was answered"
    return answered


def show(rows: list[dict[str, Any]]) -> None:
    """Print the rows."""
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"\nuvicorn, {WORKERS} workers, {LOOKUPS} look-ups a request (load of the machine: {load})")
    head = ("requests/s", "workers µs", "server+daemon µs", "load µs", "front ×", "glidecached ×")
    print(f"{'':<26}" + "".join(f"{name:>18}" for name in head))
    for each in rows:
        figures = (each["rate"], each["workers_us"], each["others_us"], each["load_us"])
        times = (each["front_times"], each["glidecached_times"])
        print(
            f"{each['client']:<26}"
            + "".join(f"{figure:>18,.0f}" for figure in figures)
            + "".join(f"{factor:>18.2f}" for factor in times)
        )


def _used(processes: Sequence[psutil.Process]) -> float:
    """Processor seconds of these processes."""
    return sum(sum(process.cpu_times()[:2]) for process in processes)
