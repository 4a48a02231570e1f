"""A daemon of the tests' own: a ROUTER socket in a thread, which answers as a test tells it, or not at all."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, Any

import pytest
import zmq

from glidecache_shared import __version__, lease, protocol
from glidecache_shared.pool.store import PoolStore
from support.clients import KINDS, AnyClient, close_all, open_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

POLL_MS = 5


class FakePool:
    """A real pool and its lease, as a daemon hands them out."""

    def __init__(self, directory: Path, instance_id: int) -> None:
        self.store = PoolStore.create(
            str(directory),
            f"pool{instance_id}",
            1,
            max_cache_kb=64,
            entry_ttl_ms=0,
            eviction_policy="LRU",
            enable_metrics=True,
            instance_id=instance_id,
            grace_ms=600_000,
        )
        self.lease_path = directory / f"pool{instance_id}.lease"
        self.lease = lease.create(str(self.lease_path))

    def handout(self) -> dict[str, Any]:
        return {
            "pool_path": self.store.pool_path,
            "board_path": self.store.board_path,
            "lease_path": str(self.lease_path),
            "lease_inode": lease.inode(self.lease),
            "enable_metrics": True,
        }


class FakeDaemon:
    """Speaks the protocol with whoever connects; its attributes say how.

    answers: what an operation's body becomes, by operation; without one the request stays unanswered.
    refusals: errors that are given instead, one after the other, to data operations. seen: every request.
    """

    def __init__(self, runtime_dir: Path, instance_id: int = 1) -> None:
        self.instance_id = instance_id
        self.pool: FakePool | None = None
        self.request_timeout_ms = 400
        self.max_message_bytes = 100_000
        self.seen: list[tuple[int, list[Any]]] = []
        self.refusals: list[tuple[int, str]] = []
        self.garbage = False
        self.sessions = itertools.count(1)
        self.answers: dict[int, Callable[[list[Any]], Any]] = {
            protocol.HELLO: lambda _body: self._hello(),
            protocol.PING: lambda _body: self._hello(),
            protocol.ATTACH: lambda _body: self._attachment(),
            protocol.DETACH: lambda _body: None,
            protocol.COMMAND: lambda body: body[1][-1],
            protocol.READ: lambda _body: None,
            protocol.GET_MANY: lambda body: [None for _ in body[1]],
        }
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.bind(f"ipc://{runtime_dir}/glidecached.sock")
        self._stopping = threading.Event()
        self._sends_late = threading.Event()
        self._late: list[tuple[bytes, bytes]] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def operations(self, *wanted: int) -> list[tuple[int, list[Any]]]:
        """The requests of these operations, in order."""
        return [(operation, body) for operation, body in self.seen if operation in wanted]

    def send_late(self) -> None:
        """Answer requests that were left unanswered, before any new request."""
        self._sends_late.set()

    def stop(self) -> None:
        """End as a killed process would: the connections break."""
        if not self._stopping.is_set():
            self._stopping.set()
            self._thread.join()
            self._socket.close(0)
            self._context.term()

    def _hello(self) -> dict[str, Any]:
        return {
            "protocol_version": protocol.PROTOCOL_VERSION,
            "instance_id": self.instance_id,
            "daemon_version": __version__,
            "pid": 1,
            "grace_ms": 5000,
            "max_message_bytes": self.max_message_bytes,
        }

    def _attachment(self) -> dict[str, Any]:
        return {
            "session_id": next(self.sessions),
            "request_timeout_ms": self.request_timeout_ms,
            "mode": "standalone",
            "pool": None if self.pool is None else self.pool.handout(),
        }

    def _serve(self) -> None:
        while not self._stopping.is_set():
            arrived = self._socket.poll(POLL_MS)
            if self._sends_late.is_set():
                self._sends_late.clear()
                for identity_and_frame in self._late:
                    self._socket.send_multipart(identity_and_frame)
            if not arrived:
                continue
            identity, frame = self._socket.recv_multipart()
            operation, request_id, instance_id, _, *body = protocol.unpack(frame)
            self.seen.append((operation, body))
            if self.garbage and operation == protocol.COMMAND:
                self._socket.send_multipart([identity, b"\xc1 no message"])
                continue
            answer = self.answers.get(operation)
            if answer is None:
                self._late.append((identity, protocol.pack([request_id, 0, b"late"])))
                continue
            reply = self._reply(operation, instance_id, body, answer)
            self._socket.send_multipart([identity, protocol.pack([request_id, *reply])])

    def _reply(
        self, operation: int, instance_id: int, body: list[Any], answer: Callable[[list[Any]], Any]
    ) -> tuple[int, Any]:
        if operation not in (protocol.HELLO, protocol.PING) and instance_id != self.instance_id:
            return protocol.STATUS_ERROR, (protocol.ERROR_STALE_INSTANCE, "earlier daemon")
        if operation in (protocol.COMMAND, protocol.READ, protocol.GET_MANY) and self.refusals:
            return protocol.STATUS_ERROR, self.refusals.pop(0)
        return protocol.STATUS_OK, answer(body)


@pytest.fixture
def runtime_dir(tmp_path: Path) -> Path:
    directory = tmp_path / "run"
    directory.mkdir(mode=0o700)
    return directory


@pytest.fixture
def make_daemon(runtime_dir: Path) -> Iterator[Callable[..., FakeDaemon]]:
    """Start a fake daemon; one that runs already has to be stopped first."""
    made: list[FakeDaemon] = []

    def make(instance_id: int = 1) -> FakeDaemon:
        made.append(FakeDaemon(runtime_dir, instance_id))
        return made[-1]

    yield make
    for daemon in made:
        daemon.stop()


@pytest.fixture
def daemon(make_daemon: Callable[..., FakeDaemon]) -> FakeDaemon:
    return make_daemon()


@pytest.fixture
def make_pool(tmp_path: Path) -> Callable[[int], FakePool]:
    return lambda instance_id: FakePool(tmp_path, instance_id)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    value: str = request.param
    return value


@pytest.fixture
def connect(kind: str, runtime_dir: Path) -> Iterator[Callable[..., AnyClient]]:
    """Make clients of the kind at hand, of the fake daemon's upstream `default`."""
    made: list[AnyClient] = []

    def make(**configuration: Any) -> AnyClient:
        made.append(open_client(kind, runtime_dir=str(runtime_dir), **configuration))
        return made[-1]

    yield make
    close_all(made)
