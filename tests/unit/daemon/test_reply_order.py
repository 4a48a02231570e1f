"""Replies and requests that are out of step: no caller ever gets another caller's reply (rule I4)."""

from __future__ import annotations

import time
from collections import deque
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glidecache_shared.protocol import ReplyError
from support.wired_connection import FAR_NS, Batch, Single, Wire

if TYPE_CHECKING:
    from collections.abc import Iterator

PUSH = b">2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n"
MEBIBYTE = 2**20


@pytest.fixture
def wire() -> Iterator[Wire]:
    wire = Wire()
    yield wire
    wire.close()


def bulk(value: bytes) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(value), value)


def expire(call: Any) -> None:
    """Let the call's deadline pass."""
    call.deadline_ns = 1


def nonce(wire: Wire) -> bytes:
    """Return the text that the last marker asks the server to return."""
    (marker,) = wire.requests()
    assert marker[0] == b"ECHO"
    return marker[1]


def pour(wire: Wire, data: bytes) -> None:
    """Send data as the server, as fast as the connection reads it."""
    rest = memoryview(data)
    while rest:
        with suppress(BlockingIOError):
            rest = rest[wire.server.send(rest) :]
        wire.turns()


def late_and_waiting(wire: Wire, *names: bytes) -> tuple[list[Single], bytes]:
    """Send calls, and answer the first one too late; return the calls, and the marker's nonce."""
    calls = [Single(name) for name in names]
    wire.send(*calls)
    wire.requests()
    expire(calls[0])
    wire.reply(b":0\r\n", lambda: wire.connection.in_doubt)
    return calls, nonce(wire)


def test_i4_after_a_late_reply_the_next_ones_wait_for_the_marker(wire: Wire) -> None:
    (late, second, third), proof = late_and_waiting(wire, b"A", b"B", b"C")
    wire.server.sendall(b":1\r\n:2\r\n")
    wire.turns()
    assert [call.result for call in (late, second, third)] == [None] * 3
    after = Single(b"D")
    wire.send(after)
    wire.reply(bulk(proof) + b":3\r\n", lambda: after.result)
    assert [call.result for call in (second, third, after)] == [("reply", number) for number in (1, 2, 3)]
    assert not wire.connection.in_doubt
    assert not wire.connection.waiting
    assert not wire.lost
    assert wire.requests() == [[b"D"]]


def test_i4_a_reply_in_time_costs_no_marker(wire: Wire) -> None:
    calls = [Single(b"A") for _ in range(50)]
    wire.send(*calls)
    wire.reply(b":1\r\n" * 50, lambda: calls[-1].result)
    assert len(wire.requests()) == 50


def test_i4_a_marker_that_comes_too_early_ends_the_connection(wire: Wire) -> None:
    (_, second, third), proof = late_and_waiting(wire, b"A", b"B", b"C")
    wire.reply(b":2\r\n" + bulk(proof), lambda: wire.lost)
    assert "1 are missing" in wire.lost[0]
    assert second.result is third.result is None
    assert list(wire.connection.waiting)[1:] == [second, third]  # without the marker


@pytest.mark.parametrize("reply", [b":3\r\n", bulk(b"glidecached:" + b"0" * 32), b"_\r\n", b"*0\r\n"])
def test_i4_another_reply_in_the_markers_place_ends_the_connection(wire: Wire, reply: bytes) -> None:
    (_, second), _ = late_and_waiting(wire, b"A", b"B")
    wire.reply(b":1\r\n" + reply, lambda: wire.lost)
    assert "one too many" in wire.lost[0]
    assert second.result is None


def test_i4_where_markers_are_forbidden_the_connection_is_replaced() -> None:
    with closing(Wire(marker=None)) as wire:
        late, second = Single(b"A"), Single(b"B")
        wire.send(late, second)
        expire(late)
        wire.reply(b":1\r\n:2\r\n", lambda: wire.lost)
        assert "refuses" in wire.lost[0]
        assert second.result is None


def test_i4_a_marker_that_the_server_refuses_proves_nothing(wire: Wire) -> None:
    (_, second), _ = late_and_waiting(wire, b"A", b"B")
    wire.reply(b":1\r\n-NOPERM no\r\n", lambda: wire.lost)
    assert "NOPERM" in wire.lost[0]
    assert second.result is None


def test_i4_a_server_that_is_busy_says_so_to_everybody_and_is_asked_again(wire: Wire) -> None:
    (_, second), _ = late_and_waiting(wire, b"A", b"B")
    wire.reply(b"-BUSY running\r\n-BUSY running\r\n", lambda: second.result)
    assert str(second.result[1]) == "BUSY running"
    # Replies to later calls are not believed either, except an error that is true for all callers.
    third, fourth = Single(b"C"), Single(b"D")
    wire.send(third, fourth)
    commands = wire.requests()
    assert [command[0] for command in commands] == [b"C", b"D", b"ECHO"]
    wire.reply(b"-BUSY running\r\n:4\r\n-BUSY running\r\n", lambda: third.result)
    assert fourth.result is None
    wire.turn_until(lambda: wire.connection.waiting[-1] is not fourth)
    wire.reply(bulk(nonce(wire)), lambda: fourth.result)
    assert fourth.result == ("reply", 4)
    assert not wire.connection.in_doubt
    assert not wire.lost


@pytest.mark.parametrize("place", [0, 1, 2])
def test_i4_a_late_call_that_others_join_before_the_proof_gets_its_own_reply(wire: Wire, place: int) -> None:
    calls = [Single(name) for name in (b"A", b"B", b"C")]
    wire.send(*calls)
    wire.requests()
    for call in calls:
        call.repeatable = True
        expire(call)
    wire.reply(b":0\r\n", lambda: wire.connection.in_doubt)
    wire.server.sendall(b":1\r\n:2\r\n")
    wire.turns()
    calls[place].deadline_ns = FAR_NS  # as a flight's is moved by a request that joins it
    wire.reply(bulk(nonce(wire)), lambda: calls[place].result)
    assert calls[place].result == ("reply", place)


def test_i4_a_late_read_that_others_join_is_not_answered_before_the_proof(wire: Wire) -> None:
    late, second = Single(b"A"), Single(b"B")
    late.repeatable = True
    wire.send(late, second)
    wire.requests()
    expire(late)
    wire.reply(b":0\r\n", lambda: wire.connection.in_doubt)
    wire.requests()
    late.deadline_ns = FAR_NS
    wire.server.sendall(b"-BUSY running\r\n-BUSY running\r\n")
    wire.turns()
    assert late.result is None
    wire.turn_until(lambda: wire.connection.waiting[-1] is not second)
    wire.reply(bulk(nonce(wire)), lambda: second.result)
    assert late.result == ("reply", 0)
    assert str(second.result[1]) == "BUSY running"


def test_i4_a_batch_is_in_doubt_from_its_first_late_reply(wire: Wire) -> None:
    batch, after = Batch([b"A"], [b"B"], [b"C"], atomic=True), Single(b"D")
    wire.send(batch, after)
    wire.requests()
    wire.server.sendall(b"+OK\r\n")
    wire.turns()
    expire(batch)
    wire.reply(b"+QUEUED\r\n", lambda: wire.connection.in_doubt)
    proof = nonce(wire)
    wire.reply(b"+QUEUED\r\n+QUEUED\r\n*3\r\n:1\r\n:2\r\n:3\r\n:4\r\n" + bulk(proof), lambda: after.result)
    assert after.result == ("reply", 4)


def test_i4_a_doubt_can_be_asked_for(wire: Wire) -> None:
    call = Single(b"A")
    wire.send(call)
    wire.requests()
    wire.connection.doubt()
    wire.connection.doubt()
    wire.reply(b":1\r\n" + bulk(nonce(wire)), lambda: call.result)
    assert call.result == ("reply", 1)


def test_i4_the_marker_goes_behind_what_is_not_written_yet(wire: Wire) -> None:
    call, large = Single(b"A"), Single(b"SET", b"k", b"x" * (8 * MEBIBYTE))
    wire.send(call)
    wire.send(large)
    expire(call)
    wire.reply(b":1\r\n", lambda: wire.connection.in_doubt)
    commands: list[list[bytes]] = []
    limit = time.monotonic() + 10
    while len(commands) < 3:
        assert time.monotonic() < limit
        commands += wire.requests()
        wire.turns()
    assert [command[0] for command in commands] == [b"A", b"SET", b"ECHO"]
    wire.reply(b"+OK\r\n" + bulk(commands[2][1]), lambda: large.result)
    assert large.result == ("reply", "OK")


def test_i8_what_is_parked_is_bounded(wire: Wire) -> None:
    (_, second), _ = late_and_waiting(wire, b"A", b"B")
    piece = bulk(bytes(65 * MEBIBYTE))
    at = 0
    while not wire.lost:
        wire.turns(1)
        try:
            at += wire.server.send(piece[at : at + MEBIBYTE])
        except BlockingIOError:
            continue
        except BrokenPipeError:
            break
    assert "before their order was proved" in wire.lost[0]
    assert second.result is None


def test_i8_what_no_client_waits_for_is_not_kept_while_it_is_in_doubt(wire: Wire) -> None:
    """A client ends with long replies under way: others lose neither memory nor their connection."""
    calls = [Single(b"GONE") for _ in range(100)]
    other = Single(b"OTHER")
    wire.send(*calls, other)
    wire.requests()
    for call in calls:
        expire(call)
    pour(wire, bulk(bytes(MEBIBYTE)))
    proof = nonce(wire)
    for _ in range(99):
        pour(wire, bulk(bytes(MEBIBYTE)))
    wire.reply(b":7\r\n" + bulk(proof), lambda: other.result)
    assert other.result == ("reply", 7)
    assert not wire.lost


def test_late_replies_do_not_count_in_the_time_of_replies(wire: Wire) -> None:
    calls = [Single(b"A"), Single(b"B"), Single(b"C")]
    for call in calls:
        call.submitted_ns = time.monotonic_ns() - 3_000_000_000
    wire.send(*calls)
    wire.requests()
    expire(calls[0])
    expire(calls[1])
    wire.reply(b":0\r\n:1\r\n", lambda: wire.connection.in_doubt)
    wire.reply(b":2\r\n" + bulk(nonce(wire)), lambda: calls[2].result)
    assert sum(wire.latencies.stats()["latency"]["counts"]) == 1


# ---- replies without a request


@pytest.mark.parametrize("cut", range(1, 5))
def test_i4_what_has_come_or_begun_to_come_before_answers_nothing_that_is_sent_now(
    wire: Wire, cut: int
) -> None:
    wire.server.sendall(b":1\r\n"[:cut])
    call = Single(b"A")
    queue = wire.send(call)
    if not wire.lost:
        wire.reply(b":1\r\n"[cut:] + b":2\r\n", lambda: wire.lost)
    assert "reply to no request" in wire.lost[0]
    assert call.result is None
    assert list(queue) + list(wire.connection.waiting) == [call]


def test_i4_what_comes_with_a_reply_is_not_the_answer_to_what_that_reply_has_sent(wire: Wire) -> None:
    first, second = Single(b"A"), Single(b"B")
    first.succeed = lambda _reply: wire.send(second)  # type: ignore[method-assign]
    wire.send(first)
    wire.reply(b":1\r\n:2\r\n", lambda: wire.lost)
    assert second.result is None


def test_i4_pushes_between_replies_answer_nothing(wire: Wire) -> None:
    wire.reply(PUSH, lambda: wire.connection.pushes)
    calls = [Single(b"A"), Single(b"B")]
    wire.send(*calls)
    wire.reply(PUSH + b":1\r\n" + PUSH + PUSH + b":2\r\n" + PUSH, lambda: wire.connection.pushes == 5)
    assert [call.result for call in calls] == [("reply", 1), ("reply", 2)]
    last = Single(b"C")
    wire.send(last)
    wire.reply(b":3\r\n", lambda: last.result)
    assert not wire.lost


# ---- generated: one fault at any place of a pipeline, and any number of late replies and pushes around it

KEPT, LATE, DROPPED, DOUBLED = "kept", "late", "dropped", "doubled"


@dataclass
class Played:
    """A call, the fate of its reply, and whether it is a batch."""

    fate: str
    size: int
    pushes: int
    call: Any = None
    replies: deque[bytes] = field(default_factory=deque)


played = st.builds(
    Played, st.sampled_from((KEPT, KEPT, LATE)), st.integers(1, 3), st.sampled_from((0, 0, 0, 1, 2))
)


@given(
    calls=st.lists(played, min_size=1, max_size=8),
    fault=st.sampled_from((None, DROPPED, DOUBLED)),
    place=st.integers(0, 7),
    together=st.integers(1, 8),
    cuts=st.integers(1, 60),
)
def test_i4_whatever_happens_to_a_reply_no_caller_gets_anothers(
    calls: list[Played], fault: str | None, place: int, together: int, cuts: int
) -> None:
    if fault is not None:
        calls[place % len(calls)].fate = fault
    with closing(Wire()) as wire:
        _play(wire, calls, together, cuts)
        for number, each in enumerate(calls):
            result = each.call.result
            if each.fate == KEPT and (fault is None or result is not None):
                expected = [b"%d.%d" % (number, part) for part in range(each.size)]
                assert result == ("reply", expected if each.size > 1 else expected[0])
        if fault is None:
            assert not wire.lost
            assert not wire.connection.waiting
        else:
            # The next reply shows it, or the marker's.
            assert wire.lost or all(each.call.result is None for each in calls[place % len(calls) + 1 :])


def _play(wire: Wire, calls: list[Played], together: int, cuts: int) -> None:
    """Send some calls at a time; let the server answer each command, by its call's fate, in pieces."""
    for number, each in enumerate(calls):
        commands = [[b"GET", b"%d.%d" % (number, part)] for part in range(each.size)]
        each.call = Single(*commands[0]) if each.size == 1 else Batch(*commands)
    by_key = {
        b"%d.%d" % (number, part): (each, part)
        for number, each in enumerate(calls)
        for part in range(each.size)
    }
    unsent = deque(calls)
    stream = b""
    while unsent or stream:
        wire.send(*(unsent.popleft().call for _ in range(min(together, len(unsent)))))
        wire.turns(1)
        for command in wire.requests():
            if command[0] == b"ECHO":
                stream += bulk(command[1])
                continue
            each, part = by_key[command[1]]
            if each.fate != KEPT:
                # The replies before it are in time; this one is late.
                _send(wire, stream, cuts)
                stream = b""
                expire(each.call)
            if part == 0:
                stream += PUSH * each.pushes
            stream += bulk(command[1]) * {DROPPED: int(part > 0), DOUBLED: 2}.get(each.fate, 1)
        _send(wire, stream, cuts)
        stream = b""
        for command in wire.requests():
            assert command[0] == b"ECHO"
            stream += bulk(command[1])


def _send(wire: Wire, data: bytes, cuts: int) -> None:
    for begin in range(0, len(data), cuts):
        if wire.connection.closed:
            return
        wire.server.sendall(data[begin : begin + cuts])
        wire.turns(1)


def test_i4_errors_in_a_markers_place_are_no_replies_of_callers(wire: Wire) -> None:
    """Replies in doubt stay so until a proof: an error alone is none."""
    (_, second), _ = late_and_waiting(wire, b"A", b"B")
    wire.reply(b":1\r\n-LOADING the data\r\n", lambda: len(wire.connection.waiting) == 1)
    assert second.result is None
    wire.turn_until(lambda: len(wire.connection.waiting) == 2)
    wire.reply(bulk(nonce(wire)), lambda: second.result)
    assert second.result == ("reply", 1)
    assert not isinstance(second.result[1], ReplyError)


def test_i4_a_fault_of_the_daemons_own_ends_the_connection(
    wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    """Replies behind it are lost with it: none may be read as if it were in place."""
    faulty, after = Single(b"A"), Single(b"B")
    wire.send(faulty, after)
    faulty.is_wanted = lambda _now_ns: bool(1 / 0)  # type: ignore[method-assign]
    wire.reply(b":1\r\n:2\r\n", lambda: wire.lost)
    assert "fault" in wire.lost[0]
    assert after.result is None
    assert "ZeroDivisionError" in caplog.text
