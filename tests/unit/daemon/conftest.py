"""Stand-ins for what the daemon's parts stand on: a loop with a clock by hand, an upstream that only listens."""

from __future__ import annotations

import heapq
import itertools
import logging
import time
from typing import TYPE_CHECKING, Any

import pytest

from glidecache_shared import protocol
from glidecached.access import Peer
from glidecached.client_session import ClientSession, Sessions
from glidecached.frontend.request import Answering, Request
from glidecached.handlers.commands import CommandHandlers
from glidecached.sequence import Sequence
from glidecached.upstream.sender import CallSender, UpstreamCore
from glidecached.upstream.target import Address, Target
from support.network import Network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from glidecached.frontend.caller import Caller
    from glidecached.pools.manager import PoolManager
    from glidecached.upstream.call import Call

UID = 1000


class HandTimer:
    """A timer of `HandLoop`."""

    def __init__(self, callback: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        self.callback = callback
        self.arguments = arguments
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class HandLoop:
    """The part of the loop that keeps time; it passes when a test says so."""

    def __init__(self) -> None:
        self.now_ns = time.monotonic_ns()
        self.deferred: list[Callable[[], object]] = []
        self._timers: list[tuple[int, int, HandTimer]] = []
        self._numbers = itertools.count()

    def call_at(self, when_ns: int, callback: Callable[..., object], *arguments: Any) -> HandTimer:
        timer = HandTimer(callback, arguments)
        heapq.heappush(self._timers, (when_ns, next(self._numbers), timer))
        return timer

    def call_later(self, delay_ms: float, callback: Callable[..., object], *arguments: Any) -> HandTimer:
        return self.call_at(self.now_ns + int(delay_ms * 1e6), callback, *arguments)

    def defer(self, callback: Callable[[], object]) -> None:
        self.deferred.append(callback)

    def when_idle(self, callback: Callable[[], object]) -> None:
        self.deferred.append(callback)

    def run_deferred(self) -> None:
        """Run the callbacks for the end of the turn, and those that they add."""
        while self.deferred:
            callbacks, self.deferred = self.deferred, []
            for callback in callbacks:
                callback()

    def forget(self) -> None:
        """Whoever waits for it waits no more."""
        self.deferred.clear()
        self._timers.clear()

    def pass_time(self, milliseconds: float) -> None:
        """Run what is due within the next `milliseconds`."""
        until_ns = self.now_ns + int(milliseconds * 1e6)
        while self._timers and self._timers[0][0] <= until_ns:
            self.now_ns, _, timer = heapq.heappop(self._timers)
            if not timer.cancelled:
                timer.callback(*timer.arguments)
        self.now_ns = until_ns


class Listening(CallSender):
    """A sender that keeps the calls."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def submit(self, call: Call) -> None:
        self.calls.append(call)


class ListeningUpstream(UpstreamCore):
    """An upstream that keeps the calls, for the test to end them."""

    def __init__(self, *, proved: bool = True) -> None:
        self.target = Target(mode="standalone", addresses=(Address("127.0.0.1", 6379),))
        self.sessions = 0
        self.proved = proved
        self.busy = False
        self.fills_cache = True
        self.connected_to: str | None = None
        self.sender = Listening()
        self.calls = self.sender.calls
        self.blocking: list[Any] = []

    def submit(self, call: Call) -> None:
        self.calls.append(call)

    def submit_batch(self, call: Call) -> None:
        self.calls.append(call)

    def submit_blocking(self, call: Call) -> None:
        self.blocking.append(call)

    def stats(self) -> dict[str, Any]:
        return {"connected_to": self.connected_to}

    @property
    def sent(self) -> list[tuple[bytes, ...]]:
        """The commands, in order."""
        return [tuple(call.arguments) for call in self.calls]


class Answers(Answering):
    """Where requests leave their answers: by request id, `(status, body)`."""

    def __init__(self) -> None:
        self.by_id: dict[int, tuple[int, Any]] = {}
        self.finished_ids: list[int] = []

    def answer(self, caller: Caller, message: bytes, rest: bytes | None) -> None:
        del caller
        request_id, status, body = protocol.unpack(message + (rest or b""))
        assert request_id not in self.by_id, "answered twice"
        self.by_id[request_id] = (status, body)

    def answer_framed(self, caller: Caller, frame: bytes) -> None:
        self.answer(caller, frame[2:] if frame[0] == 0 else frame[9:], None)

    def pack_later(self, request: Request, value: Any) -> None:
        try:
            message = protocol.pack((request.request_id, protocol.STATUS_OK, value))
        except (TypeError, ValueError, OverflowError) as error:
            request.fail(protocol.ERROR_REQUEST, f"the server's reply cannot be passed on: {error}")
        else:
            request.finish(message)

    def finished(self, request: Request) -> None:
        self.finished_ids.append(request.request_id)


class Requests:
    """Makes accepted requests, and knows what became of them."""

    def __init__(self) -> None:
        self._answers = Answers()
        self._ids = itertools.count(1)

    def __call__(self, timeout_ms: float = 1_000, uid: int = 1000, pid: int = 1) -> Request:
        deadline_ns = time.monotonic_ns() + int(timeout_ms * 1e6)
        return Request(self._answers, b"peer", Peer(uid, uid, pid), next(self._ids), deadline_ns)

    def value(self, request: Request) -> Any:
        """The result of an answered request."""
        status, body = self._answers.by_id[request.request_id]
        assert status == protocol.STATUS_OK, body
        return body

    def error(self, request: Request) -> tuple[int, str]:
        """The error of a refused request."""
        status, body = self._answers.by_id[request.request_id]
        assert status == protocol.STATUS_ERROR, body
        return body[0], body[1]

    def open(self, request: Request) -> bool:
        """Whether it has no answer yet."""
        return request.request_id not in self._answers.by_id


@pytest.fixture(autouse=True)
def log_level_afterwards() -> Iterator[None]:
    """Keep the root logger's level for the next test: a reload sets it."""
    level = logging.getLogger().level
    yield
    logging.getLogger().setLevel(level)


@pytest.fixture
def loop() -> HandLoop:
    return HandLoop()


@pytest.fixture
def make_upstream() -> Callable[..., ListeningUpstream]:
    return ListeningUpstream


@pytest.fixture
def upstream() -> ListeningUpstream:
    return ListeningUpstream()


@pytest.fixture
def sessions(loop: Any) -> Sessions:
    return Sessions(loop, max_sessions=100, idle_seconds=60)


@pytest.fixture
def operations(sessions: Sessions) -> CommandHandlers:
    return CommandHandlers(sessions, Sequence(100))


@pytest.fixture
def bare(sessions: Sessions, upstream: Any) -> ClientSession:
    """Return a session without a pool, of the peer that `requests` come from."""
    return sessions.open(UID, upstream, None, awaits_proof=False)


@pytest.fixture
def requests() -> Requests:
    return Requests()


@pytest.fixture
def make_registry(loop: HandLoop, tmp_path: Path) -> Iterator[Callable[..., PoolManager]]:
    """Registries of pools in a directory of the test's own; their pools end with the test."""
    from glidecached.pools.manager import PoolManager

    made: list[PoolManager] = []

    def make(*, max_total_cache_kb: int = 10_000) -> PoolManager:
        registry = PoolManager(
            loop,  # type: ignore[arg-type]
            tmp_path,
            instance_id=7,
            grace_ms=5_000,
            max_total_cache_kb=max_total_cache_kb,
            next_number=Sequence(),
        )
        made.append(registry)
        return registry

    yield make
    for registry in made:
        registry.close()


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Iterator[Network]:
    network = Network(monkeypatch)
    yield network
    network.upstream.close("the test is over")
    if network.server is not None:
        network.server.close()
    network.loop.close()
