"""Which server answers a read: replicas in turn, as far as they are known to have come."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from glidecache_shared.protocol import ERROR_CONNECTION, ERROR_TIMEOUT, ReplyError
from glidecached.upstream import replicas as replicas_module
from glidecached.upstream.call import SingleCall
from glidecached.upstream.replicas import ReplicaReads, any_server_may_answer, is_replica
from glidecached.upstream.target import Address

if TYPE_CHECKING:
    from collections.abc import Sequence


class Read(SingleCall):
    """A read that keeps its outcome."""

    outcome: Any = None

    def __init__(self) -> None:
        super().__init__((b"GET", b"k"), time.monotonic_ns() + 10**10, repeatable=True)

    def abandon(self) -> None:
        self.outcome = "abandoned"

    def succeed(self, reply: Any) -> None:
        self.outcome = reply

    def fail(self, code: int, message: str) -> None:
        self.outcome = (code, message)


class Server:
    """A link whose calls the test answers."""

    def __init__(self, name: str) -> None:
        self.address = Address(name, 1)
        self.sessions = 0
        self.connections_made = 1
        self.connected = True
        self.busy = False
        self.silent_ms = 0.0
        self.calls: list[SingleCall] = []

    def submit(self, call: SingleCall) -> None:
        self.calls.append(call)

    def close(self, reason: str) -> None:
        del reason
        self.connected = False

    def take(self, name: bytes) -> list[SingleCall]:
        """The calls of that name so far."""
        taken = [call for call in self.calls if call.arguments[0] == name]
        self.calls = [call for call in self.calls if call.arguments[0] != name]
        return taken

    def tells(self, *role: object) -> None:
        """Answer ROLE, which it must have been asked."""
        (call,) = self.take(b"ROLE")
        call.succeed(list(role))


class Group:
    """A primary and two replicas."""

    def __init__(self) -> None:
        self.primary, *self.replicas = self.servers = [Server(name) for name in ("p", "a", "b")]
        self.reads = ReplicaReads(self.primary, [Server("p"), *self.replicas])

    def read(self, floor: int = 0, *, primary_too: bool = False) -> str:
        """Send a read; who got it."""
        self.reads.submit(Read(), floor, primary_too=primary_too)
        (name,) = [server.address.host for server in self.servers if server.take(b"GET")]
        return name

    def readers(self, floor: int = 0, *, primary_too: bool = False) -> set[str]:
        """All who are asked when many reads are sent."""
        return {self.read(floor, primary_too=primary_too) for _ in range(6)}


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch) -> Group:
    monkeypatch.setattr(replicas_module, "_PROBE_INTERVAL_NS", 0)
    return Group()


def test_replicas_take_turns(group: Group) -> None:
    assert group.readers() == {"a", "b"}
    assert group.readers(primary_too=True) == {"p", "a", "b"}


def test_a_writer_is_answered_by_replicas_that_have_come_as_far(group: Group) -> None:
    a, b = group.replicas
    assert group.readers(floor=7) == {"p"}
    group.primary.tells(b"master", 1_000, [])
    a.tells(b"slave", b"p", 1, b"connected", 1_000)
    b.tells(b"slave", b"p", 1, b"connected", 999)
    assert group.readers(floor=7) == {"a"}
    assert group.readers(floor=8) == {"p"}
    assert group.readers() == {"a", "b"}


@pytest.mark.parametrize("what", ["the replica", "the primary"])
def test_what_is_known_of_a_connection_is_forgotten_with_it(group: Group, what: str) -> None:
    a, b = group.replicas
    group.read(floor=7)
    group.primary.tells(b"master", 1_000, [])
    for replica in (a, b):
        replica.tells(b"slave", b"p", 1, b"connected", 1_000)
    assert group.readers(floor=7) == {"a", "b"}
    (a if what == "the replica" else group.primary).connections_made += 1
    assert group.readers(floor=7) == ({"b"} if what == "the replica" else {"p"})


@pytest.mark.parametrize(
    "role",
    [ReplyError("NOPERM"), [b"master"], [b"slave", b"p", 1, b"connected", 5], [b"master", b"many", []], None],
)
def test_where_the_primary_does_not_tell_it_answers(group: Group, role: Any) -> None:
    group.read(floor=7)
    (asked,) = group.primary.take(b"ROLE")
    asked.succeed(role)
    assert group.readers(floor=7) == {"p"}
    assert group.primary.take(b"ROLE") == [], "it is not asked again and again"
    assert all(replica.take(b"ROLE") == [] for replica in group.replicas)


@pytest.mark.parametrize("state", [b"connect", b"sync"])
def test_a_replica_that_is_not_synchronised_has_not_come_as_far(group: Group, state: bytes) -> None:
    group.read(floor=7)
    group.primary.tells(b"master", 1_000, [])
    for replica in group.replicas:
        replica.tells(b"slave", b"p", 1, state, 1_000)
    assert group.readers(floor=7) == {"p"}


def test_who_is_not_connected_is_connected_to_and_who_is_silent_is_left_alone(group: Group) -> None:
    a, b = group.replicas
    a.connected = False
    b.silent_ms = 10_000.0
    assert group.readers() == {"p"}
    assert a.take(b"ROLE")
    assert a.sessions == 1


@pytest.mark.parametrize(
    "outcome", [(ERROR_CONNECTION, "lost"), ReplyError("LOADING …"), ReplyError("MASTERDOWN …")]
)
def test_what_a_replica_cannot_answer_the_primary_answers(group: Group, outcome: Any) -> None:
    read = Read()
    group.reads.submit(read, 0, primary_too=False)
    (sent,) = [call for replica in group.replicas for call in replica.take(b"GET")]
    if isinstance(outcome, tuple):
        sent.fail(*outcome)
    else:
        sent.succeed(outcome)
    assert group.primary.take(b"GET") == [read]
    assert read.outcome is None


@pytest.mark.parametrize("outcome", [(ERROR_TIMEOUT, "late"), ReplyError("WRONGTYPE …"), b"value"])
def test_other_outcomes_are_the_callers(group: Group, outcome: Any) -> None:
    read = Read()
    group.reads.submit(read, 0, primary_too=False)
    (sent,) = [call for replica in group.replicas for call in replica.take(b"GET")]
    if isinstance(outcome, tuple):
        sent.fail(*outcome)
    else:
        sent.succeed(outcome)
    assert read.outcome is outcome or read.outcome == outcome
    assert group.primary.calls == []


@pytest.mark.parametrize(
    ("command", "any_server"),
    [("GET k", True), ("hgetall k", True), ("scan 0", False), ("INFO", False), ("EVALSHA_RO x 0", False)],
)
def test_which_reads_are_about_one_server(command: str, any_server: bool) -> None:
    arguments: Sequence[bytes] = command.encode().split()
    assert any_server_may_answer(arguments) is any_server


def test_a_server_that_does_not_tell_is_taken_for_the_primary() -> None:
    assert is_replica([b"slave", b"p", 1, b"connected", 5])
    for role in ([b"master", 1, []], ReplyError("NOPERM"), None, []):
        assert not is_replica(role)
