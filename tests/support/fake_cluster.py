"""A cluster's upstream before nodes whose replies the test decides, with a clock that the test moves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glidecache_shared.protocol import ERROR_CONNECTION
from glidecached.upstream.cluster.cluster_upstream import ClusterUpstream
from glidecached.upstream.lane import Lanes
from glidecached.upstream.target import Address, Target, UpstreamOptions
from support.upstream_calls import Recorded

if TYPE_CHECKING:
    from glidecached.upstream.call import Call

SEED = Address("10.0.0.1", 9)
SLOTS = [[0, 8191, [b"10.0.0.1", 1], [b"10.0.0.1", 3]], [8192, 16383, [b"10.0.0.1", 2]]]
AT_A, AT_B = b"bar", b"foo"


class FakeLanes(Lanes):
    """The lanes of a node's upstream, for the dispatcher."""

    def __init__(self, upstream: FakeUpstream) -> None:
        self.upstream = upstream

    def submit(self, call: Call) -> None:
        self.upstream.submit(call)


class FakeUpstream:
    """A node's upstream: the test says what comes back."""

    by_port: dict[int, FakeUpstream]

    def __init__(self, _loop: object, target: Target, _options: object, _tally: object) -> None:
        self.address = target.addresses[0]
        self.lanes = FakeLanes(self)
        self.connected = True
        self.connections_made = 1
        self.silent_ms = 0.0
        self.last_error = None
        self.proved = True
        self.sessions = 0
        self.closed: str | None = None
        self.calls: list[Call] = []
        self.questions: list[Call] = []
        self.blocking: list[Call] = []
        self.by_port[target.addresses[0].port] = self

    @property
    def busy(self) -> bool:
        return bool(self.calls or self.blocking)

    def submit(self, call: Call) -> None:
        asks = getattr(call, "arguments", None) == (b"CLUSTER", b"SLOTS")
        (self.questions if asks else self.calls).append(call)

    def submit_blocking(self, call: Call) -> None:
        self.blocking.append(call)

    def answer(self, *replies: Any) -> bytes:
        """Write the oldest call, and answer it."""
        call = self.calls.pop(0)
        written = call.pack()
        for reply in replies:
            done = call.receive(reply)
        assert done
        return written

    def lose(self, *, sent: bool, code: int = ERROR_CONNECTION) -> None:
        """The oldest call comes back without an answer."""
        call = self.calls.pop(0)
        if sent:
            call.pack()
        call.fail(code, "lost")

    def close(self, reason: str) -> None:
        self.closed = reason
        while self.calls:
            self.calls.pop(0).fail(ERROR_CONNECTION, reason)


class Play:
    """A cluster upstream before fake nodes, with a clock that the test moves."""

    def __init__(self, loop: Any) -> None:
        self.loop = loop
        self.upstreams: dict[int, FakeUpstream] = {}
        FakeUpstream.by_port = self.upstreams
        options = UpstreamOptions(max_waiting_requests=20)
        self.upstream = ClusterUpstream(loop, Target(mode="cluster", addresses=(SEED,)), options)

    def learn(self, reply: Any = SLOTS) -> None:
        """Answer the question for the topology, of any node."""
        self.turn(150)
        next(node for node in self.upstreams.values() if node.questions).questions.pop(0).succeed(reply)

    def turn(self, milliseconds: float = 1) -> None:
        deferred, self.loop.deferred = self.loop.deferred, []
        for callback in deferred:
            callback()
        self.loop.pass_time(milliseconds)

    def asks_for_topology(self) -> bool:
        self.turn(150)
        return any(node.questions for node in self.upstreams.values())

    def submit(self, *arguments: bytes, **options: Any) -> Recorded:
        call = Recorded(*arguments, **options)
        self.upstream.submit(call)
        return call

    @property
    def a(self) -> FakeUpstream:
        return self.upstreams[1]

    @property
    def b(self) -> FakeUpstream:
        return self.upstreams[2]
