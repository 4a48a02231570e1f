"""A watch over several nodes, without a server: at any failure the transaction does not run, and nothing is kept."""

from __future__ import annotations

from typing import Any

import pytest

from glidecache_shared.protocol import ERROR_BUSY, ERROR_CONNECTION, ERROR_REQUEST, ERROR_TIMEOUT, ReplyError
from glidecached.upstream.call import BatchCall, SingleCall
from glidecached.upstream.cluster.multi_node_watch import ReservedOverNodes
from glidecached.upstream.cluster.slots import SLOTS, key_slot
from glidecached.upstream.cluster.topology import Topology
from glidecached.upstream.target import Address

A, B = Address("10.0.0.1", 1), Address("10.0.0.2", 1)
HALF = SLOTS // 2
NEVER_NS = 2**62


def key_of(low: bool) -> bytes:
    """Return a key of the lower or of the upper half of the slots."""
    return next(key for key in map(b"%d".__mod__, range(100)) if (key_slot(key) < HALF) is low)


LOW, HIGH = key_of(low=True), key_of(low=False)


class FakeReserved:
    """One node's connection: keeps the calls, for the test to end them."""

    def __init__(self, holder: Any) -> None:
        self.holder = holder
        self.calls: list[Any] = []
        self.last: Any = None
        self.closed = False

    def submit(self, call: Any, *, last: bool = False) -> None:
        self.calls.append(call)
        if last:
            self.last = call

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            for call in self.calls:
                call.fail(ERROR_CONNECTION, "closed")
            self.holder.connection_ended()


class FakeNodes:
    """Nodes that have room, or do not."""

    def __init__(self) -> None:
        self.reserved: dict[Address, FakeReserved] = {}
        self.full: set[Address] = set()
        self.upstream = self
        self._at = A

    def at(self, address: Address) -> FakeNodes:
        self._at = address
        return self

    def reserve(self, _keys: Any, holder: Any) -> FakeReserved | str:
        if self._at in self.full:
            return "all connections are in use"
        self.reserved[self._at] = FakeReserved(holder)
        return self.reserved[self._at]


class Ended:
    """The outcomes of a call."""

    def __init__(self) -> None:
        self.outcomes: list[Any] = []

    def succeed(self, reply: Any) -> None:
        self.outcomes.append(reply)

    def fail(self, code: int, message: str) -> None:
        self.outcomes.append((code, message))

    def abandon(self) -> None:
        self.outcomes.append("abandoned")


class Single(Ended, SingleCall):
    """A WATCH or an UNWATCH."""

    def __init__(self, *words: bytes) -> None:
        Ended.__init__(self)
        SingleCall.__init__(self, words, NEVER_NS, repeatable=False)


class Transaction(Ended, BatchCall):
    """A transaction that relies on the watch."""

    def __init__(self, *commands: list[bytes]) -> None:
        Ended.__init__(self)
        BatchCall.__init__(self, list(commands), NEVER_NS, atomic=True, repeatable=False)


class FakeDispatcher:
    """The dispatcher of a cluster of two primaries."""

    topology = Topology([(0, HALF - 1, [A]), (HALF, SLOTS - 1, [B])])


class Stage:
    """A watch of a key at each of two nodes."""

    def __init__(self) -> None:
        self.nodes = FakeNodes()
        self.ended = 0
        dispatcher: Any = FakeDispatcher()
        nodes: Any = self.nodes
        self.watch = ReservedOverNodes(dispatcher, nodes, self)

    def connection_ended(self) -> None:
        self.ended += 1

    def begin(self) -> None:
        assert self.watch.reserve([LOW, HIGH]) is None
        call = Single(b"WATCH", LOW, HIGH)
        self.watch.submit(call)
        for reserved in self.nodes.reserved.values():
            (part,) = reserved.calls
            assert not call.outcomes
            part.succeed(b"OK")
        assert call.outcomes == [b"OK"]

    @property
    def low(self) -> FakeReserved:
        return self.nodes.reserved[A]

    @property
    def high(self) -> FakeReserved:
        return self.nodes.reserved[B]


@pytest.fixture
def stage() -> Stage:
    stage = Stage()
    stage.begin()
    return stage


def test_c5_the_transaction_runs_when_the_other_node_has_agreed(stage: Stage) -> None:
    call = Transaction([b"SET", LOW, b"v"])
    stage.watch.submit(call, last=True)
    assert stage.low.last is None
    assert stage.high.last.pack() == b"*1\r\n$5\r\nMULTI\r\n*1\r\n$4\r\nEXEC\r\n"
    stage.high.last.succeed([])
    assert stage.low.last is call
    assert call.outcomes == []
    # The connection is the upstream's now: the watch no longer closes it.
    stage.watch.close()
    assert not stage.low.closed


def test_c5_a_change_at_the_other_node_is_the_outcome(stage: Stage) -> None:
    call = Transaction([b"SET", LOW, b"v"])
    stage.watch.submit(call, last=True)
    stage.high.last.succeed(None)
    assert call.outcomes == [None]
    assert stage.low.last is None
    assert stage.low.closed


@pytest.mark.parametrize("how", ["times out", "is lost", "expires"])
def test_i1_what_fails_before_the_transaction_keeps_it_from_running(stage: Stage, how: str) -> None:
    call = Transaction([b"SET", LOW, b"v"])
    stage.watch.submit(call, last=True)
    if how == "times out":
        stage.high.last.fail(ERROR_TIMEOUT, "no reply")
        assert call.outcomes == [(ERROR_TIMEOUT, "no reply")]
    elif how == "is lost":
        # This node would have run the transaction; then the other one agrees.
        stage.low.close()
        stage.high.last.succeed([])
        ((code, message),) = call.outcomes
        assert code == ERROR_CONNECTION
        assert "nothing was run" in message
    else:
        stage.high.last.abandon()
        assert call.outcomes == ["abandoned"]
    assert stage.low.last is None
    assert stage.low.closed


def test_i1_a_lost_connection_ends_the_others_and_the_watch(stage: Stage) -> None:
    stage.high.close()
    assert stage.low.closed
    assert stage.ended == 1
    call = Transaction([b"SET", LOW, b"v"])
    stage.watch.submit(call, last=True)
    assert call.outcomes[0][0] == ERROR_CONNECTION


def test_c5_a_transaction_of_several_slots_is_refused(stage: Stage) -> None:
    call = Transaction([b"SET", LOW, b"v"], [b"SET", HIGH, b"v"])
    stage.watch.submit(call, last=True)
    ((code, message),) = call.outcomes
    assert code == ERROR_REQUEST
    assert message.startswith("CROSSSLOT")
    assert stage.low.closed
    assert stage.high.closed


def test_c5_unwatch_is_for_all_nodes(stage: Stage) -> None:
    call = Single(b"UNWATCH")
    stage.watch.submit(call, last=True)
    stage.low.last.succeed(b"OK")
    assert call.outcomes == []
    refused = ReplyError("ERR no")
    stage.high.last.succeed(refused)
    assert call.outcomes == [refused]


def test_i9_without_room_at_one_node_nothing_is_watched() -> None:
    stage = Stage()
    stage.nodes.full.add(B)
    assert stage.watch.reserve([LOW, HIGH]) == "all connections are in use"
    stage.watch.close()
    assert stage.low.closed


def test_i9_without_room_for_more_keys_the_watch_fails() -> None:
    stage = Stage()
    assert stage.watch.reserve([LOW]) is None
    stage.nodes.full.add(B)
    call = Single(b"WATCH", HIGH)
    stage.watch.submit(call)
    assert call.outcomes == [(ERROR_BUSY, "all connections are in use")]


def test_c5_a_transaction_elsewhere_has_a_connection_of_its_own() -> None:
    stage = Stage()
    assert stage.watch.reserve([LOW]) is None
    call = Transaction([b"SET", HIGH, b"v"])
    stage.watch.submit(call, last=True)
    stage.low.last.succeed([])
    assert stage.high.last is call
