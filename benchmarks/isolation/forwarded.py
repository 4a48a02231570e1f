"""The time until writes work and reads are fresh after a name leads to another primary."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from isolation.measure import Measure, Place, at_most, plain
from support.clients import at, open_client
from support.valkey_server import HOST, ValkeyServer
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

_BOUND_S = 1.0
_GIVEN_UP_S = 20.0
_TTL_MS = 100
_ROUNDS = 3


class Forwarder:
    """One address that leads to the current `target` when a connection is made; existing connections stay."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.connections = 0
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Accept no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                server = socket.create_connection((HOST, self.target))
                for one, other in ((client, server), (server, client)):
                    threading.Thread(target=_pump, args=(one, other), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
    for one in (source, sink):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


def measure(say: Callable[[str], object]) -> list[Measure]:
    """Measure some rounds. Each begins with a primary and with a replica that takes its place."""
    writes, reads, errors = [], [], []
    for number in range(_ROUNDS):
        with Place() as place:
            written, fresh, seen = _switch(place)
        say(f"  round {number + 1}: set after {written:.2f} s, get fresh after {fresh:.2f} s")
        writes.append(written)
        reads.append(fresh)
        errors += seen
    return [
        at_most("back after the name leads to another primary: set works", max(writes), "s", _BOUND_S),
        at_most("... and get is fresh", max(reads), "s", _BOUND_S),
        plain("... calls that failed meanwhile", len(errors), "", sorted(set(errors))),
    ]


def _switch(place: Place) -> tuple[float, float, list[str]]:
    old, new = place.server, ValkeyServer(place.directory / "other")
    new.start()
    forwarder = Forwarder(old.port)
    client: Any = None
    try:
        new.admin.replicaof(HOST, old.port)
        wait_until(
            lambda: new.admin.info("replication").get("master_link_status") == "up", "it replicates", 20
        )
        from glidecache import ClientSideCache, NodeAddress

        client = open_client(
            "blocking",
            **at(place.daemon, addresses=[NodeAddress(HOST, forwarder.port)]),
            request_timeout=1_000,
            fallback="error",
            client_side_cache=ClientSideCache.create(1024, _TTL_MS),
        )
        client.call("set", "price", "10")
        assert client.get("price") == b"10"
        new.admin.replicaof("no", "one")
        forwarder.target = new.port
        new.admin.set("price", "12")
        old.admin.replicaof(HOST, 1)  # The old primary is a replica now, and cut off.
        return _until_back(client)
    finally:
        if client is not None:
            client.close()
        forwarder.close()
        new.stop()


def _until_back(client: Any) -> tuple[float, float, list[str]]:
    began = time.monotonic()
    written = fresh = _GIVEN_UP_S
    errors: list[str] = []
    while max(written, fresh) >= _GIVEN_UP_S and (now := time.monotonic() - began) < _GIVEN_UP_S:
        try:
            if fresh >= _GIVEN_UP_S and client.get("price") == b"12":
                fresh = time.monotonic() - began
            if written >= _GIVEN_UP_S:
                client.call("set", "x", "1")
                written = time.monotonic() - began
        except Exception as error:  # noqa: BLE001 - the failure is counted
            errors.append(f"{type(error).__name__}: {error}"[:100])
        time.sleep(0.02)
        del now
    return written, fresh, errors
