"""One connection: replies in order, late ones dropped, full sockets waited for."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import pytest

from glidecache_shared.protocol import ERROR_REQUEST, ReplyError
from glidecached.upstream.call_queue import CallQueue
from support.upstream_calls import Recorded
from support.wired_connection import Batch, Single, Wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.network import Network

MEBIBYTE = 2**20


@pytest.fixture
def wire() -> Iterator[Wire]:
    wire = Wire()
    yield wire
    wire.close()


def test_all_that_waits_leaves_in_one_write(wire: Wire) -> None:
    wire.send(Single(b"GET", b"a"), Single(b"GET", b"b"))
    assert wire.server.recv(1000) == b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n*2\r\n$3\r\nGET\r\n$1\r\nb\r\n"


def test_replies_belong_to_calls_in_order(wire: Wire) -> None:
    first, second, third = Single(b"A"), Single(b"B"), Single(b"C")
    wire.send(first, second, third)
    wire.reply(b"$1\r\nx\r\n-ERR no\r\n:7", lambda: second.result)
    assert first.result == ("reply", b"x")
    assert isinstance(second.result[1], ReplyError)
    assert third.result is None
    wire.reply(b"\r\n", lambda: third.result)
    assert third.result == ("reply", 7)
    assert not wire.connection.waiting


def test_a_batch_takes_all_its_replies(wire: Wire) -> None:
    batch, after = Batch([b"A"], [b"B"], atomic=True), Single(b"C")
    wire.send(batch, after)
    wire.reply(b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n:2\r\n+PONG\r\n", lambda: after.result)
    assert batch.result == ("reply", [1, 2])
    assert after.result == ("reply", "PONG")


def test_overdue_calls_are_not_sent(wire: Wire) -> None:
    overdue, timely = Single(b"A", deadline_ns=1), Single(b"B")
    wire.send(overdue, timely)
    assert overdue.result == "abandoned"
    assert wire.server.recv(1000) == b"*1\r\n$1\r\nB\r\n"


def test_a_full_socket_is_waited_for_and_no_more_is_packed_meanwhile(wire: Wire) -> None:
    value = b"x" * (8 * MEBIBYTE)
    large, small = Single(b"SET", b"k", value), Single(b"GET", b"k")
    rest = wire.send(large, small)
    assert list(rest) == [small]
    assert wire.send(small)  # still full: nothing is taken
    received = bytearray()
    limit = time.monotonic() + 10
    while len(received) < len(value):
        assert time.monotonic() < limit
        received += wire.server.recv(4 * MEBIBYTE)
        wire.turn_until(lambda: True)
        wire.loop.call_later(0, lambda: None)
        wire.loop._turn()
    assert wire.drained == 1
    assert wire.send(small) == deque()


def test_sets_maps_and_numbers_of_resp3(wire: Wire) -> None:
    call = Single(b"A")
    wire.send(call)
    wire.reply(b"*5\r\n~1\r\n+a\r\n%1\r\n+k\r\n:1\r\n,1.5\r\n#t\r\n_\r\n", lambda: call.result)
    assert call.result == ("reply", [{"a"}, {"k": 1}, 1.5, True, None])


def test_an_end_of_the_stream_is_told_once_and_leaves_the_calls(wire: Wire) -> None:
    call = Single(b"A")
    wire.send(call)
    wire.server.recv(1000)  # closing with unread data would be a reset
    wire.server.close()
    wire.turn_until(lambda: wire.lost)
    assert wire.lost == ["closed by the server"]
    assert list(wire.connection.waiting) == [call]
    assert wire.connection.closed
    wire.connection.close()
    assert len(wire.lost) == 1


@pytest.mark.parametrize("spoilt", [b"?what\r\n", b"*1\r\n>0\r\n"], ids=["no RESP", "a push in a reply"])
def test_an_unreadable_reply_ends_the_connection_and_blames_its_own_call(wire: Wire, spoilt: bytes) -> None:
    culprit, innocent = Single(b"A"), Single(b"B")
    wire.send(culprit, innocent)
    wire.reply(spoilt, lambda: wire.lost)
    assert culprit.result[:2] == ("error", ERROR_REQUEST)
    assert list(wire.connection.waiting) == [innocent]


def test_an_unrequested_reply_ends_the_connection(wire: Wire) -> None:
    wire.reply(b"+OK\r\n", lambda: wire.lost)
    assert "reply to no request" in wire.lost[0]


def test_a_call_that_fails_to_take_its_reply_disturbs_no_other(
    wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Single):
        def succeed(self, reply: Any) -> None:
            raise RuntimeError(reply)

    after = Single(b"B")
    wire.send(Broken(b"A"), after)
    wire.reply(b"+x\r\n+y\r\n", lambda: after.result)
    assert after.result == ("reply", "y")
    assert "a reply could not be delivered" in caplog.text


def test_what_comes_behind_a_reply_that_closed_the_connection_is_dropped(wire: Wire) -> None:
    first, second = Single(b"A"), Single(b"B")
    first.succeed = lambda _reply: wire.connection.close()  # type: ignore[method-assign]
    wire.send(first, second)
    wire.reply(b"+a\r\n+b\r\n", lambda: wire.connection.closed)
    assert second.result is None
    assert list(wire.connection.waiting) == [second]


def test_replies_are_timed_from_their_calls_submission(wire: Wire) -> None:
    uncounted, counted = Single(b"A"), Single(b"B")
    counted.submitted_ns = time.monotonic_ns() - 3_000_000_000
    wire.send(uncounted, counted)
    wire.reply(b"+a\r\n+b\r\n", lambda: counted.result)
    latency = wire.latencies.stats()["latency"]
    assert latency["counts"][-1] == sum(latency["counts"]) == 1
    assert latency["sum_us"] >= 3_000_000


def test_a_call_that_its_reply_sends_elsewhere_is_timed_up_to_here(wire: Wire) -> None:
    class Redirected(Single):
        def receive(self, reply: Any) -> bool:
            self.submitted_ns = 2**62  # as if submitted again, later than everything here
            return super().receive(reply)

    call = Redirected(b"A")
    call.submitted_ns = time.monotonic_ns()
    wire.send(call)
    wire.reply(b"-MOVED 1 h:2\r\n", lambda: call.result)
    latency = wire.latencies.stats()["latency"]
    assert sum(latency["counts"]) == 1
    assert latency["sum_us"] >= 0


@pytest.mark.parametrize("end", ["closed", "odd", "broken"])
def test_a_connection_that_is_lost_while_it_sends_outlives_that(network: Network, end: str) -> None:
    first, second = Recorded(b"GET", b"k"), Recorded(b"GET", b"k")
    network.submit(first)
    network.accept()
    network.reply(b"+OK\r\n+v\r\n", lambda: first.over)
    network.received()
    assert network.server is not None
    network.submit(second)
    if end == "closed":
        network.server.close()
    else:
        network.server.sendall(b":1\r\n" if end == "odd" else b"?\r\n")
    pipeline = network.upstream.lanes.shared.main
    pipeline.connection_drained()
    assert not pipeline.connected
    assert list(pipeline.queue) == [second], "nothing was sent: the next connection takes it"


# ---- turns of the loop are bounded (rule I10)


def test_i10_a_large_reply_is_read_in_many_turns(wire: Wire) -> None:
    size_bytes = 32 * MEBIBYTE
    call = Single(b"GET", b"k")
    wire.send(call)
    reply = memoryview(b"$%d\r\n" % size_bytes + bytes(size_bytes) + b"\r\n")
    turns = 0
    limit = time.monotonic() + 20
    while call.result is None:
        assert time.monotonic() < limit
        # The kernel's buffers take no more than a few MB: they are filled again before each turn.
        with contextlib.suppress(BlockingIOError):
            while reply:
                reply = reply[wire.server.send(reply) :]
        wire.turns(1)
        turns += 1
    assert turns >= size_bytes // (2 * MEBIBYTE)
    assert call.result == ("reply", bytes(size_bytes))


def test_i10_many_small_replies_are_handed_on_in_many_turns_and_in_order(wire: Wire) -> None:
    order: list[int] = []

    class Slow(Single):
        def succeed(self, reply: Any) -> None:
            time.sleep(0.000_1)
            order.append(reply)

    count = 1_000
    unsent = wire.send(*(Slow(b"A") for _ in range(count)))
    while unsent:  # on a machine that is busy, one turn is too short for all
        wire.turns(1)
        unsent = wire.send(*unsent)
    wire.server.sendall(b"".join(b":%d\r\n" % number for number in range(count)))
    handed: list[int] = []
    limit = time.monotonic() + 20
    while len(order) < count:
        assert time.monotonic() < limit
        before = len(order)
        wire.turns(1)
        handed.append(len(order) - before)
    assert order == list(range(count))
    # Some 50 of them take 5 ms; a turn may have two such portions.
    assert max(handed) < 400, handed


def test_i10_many_calls_leave_in_many_turns_and_in_order(wire: Wire) -> None:
    calls = [Single(b"SET", b"k", b"%07d" % number + bytes(100_000)) for number in range(100)]
    queue = CallQueue(calls)
    wire.connection.send(queue)
    assert 80 < len(queue) < 95  # about a megabyte is packed ahead
    sent: list[bytes] = []
    limit = time.monotonic() + 20
    while len(sent) < len(calls):
        assert time.monotonic() < limit
        sent += [command[2][:7] for command in wire.requests()]
        drained = wire.drained
        wire.turns(1)
        if wire.drained > drained:
            before = len(queue)
            wire.connection.send(queue)
            assert before - len(queue) < 20
    assert sent == [b"%07d" % number for number in range(100)]


# ---- a stall is seen by the oldest request, not by bytes that came (rule I4)


@pytest.mark.parametrize(
    "trickle", [b">1\r\n+push\r\n", b"|1\r\n+a\r\n+b\r\n", b"x"], ids=["pushes", "attributes", "parts"]
)
def test_i4_what_is_no_reply_is_no_progress(wire: Wire, trickle: bytes) -> None:
    call = Single(b"A")
    wire.send(call)
    since = wire.connection.oldest_sent_ns
    if trickle == b"x":
        wire.server.sendall(b"$1000000\r\n")
    for _ in range(20):
        received = wire.connection.last_received_ns
        wire.reply(trickle, lambda: wire.connection.last_received_ns > received)  # noqa: B023 - called at once
    assert wire.connection.oldest_sent_ns == since


def test_i4_replies_and_each_megabyte_of_one_are_progress(wire: Wire) -> None:
    wire.send(Single(b"A"), Single(b"B"))
    since = wire.connection.oldest_sent_ns
    wire.reply(b":1\r\n", lambda: wire.connection.oldest_sent_ns > since)
    since = wire.connection.oldest_sent_ns
    wire.server.setblocking(True)
    wire.server.settimeout(5)
    wire.server.sendall(b"$%d\r\n" % (8 * MEBIBYTE))
    wire.turns()
    assert wire.connection.oldest_sent_ns == since
    for _ in range(6):
        wire.server.sendall(bytes(MEBIBYTE // 8))
        wire.turns()
    assert wire.connection.oldest_sent_ns == since
    for _ in range(4):
        wire.server.sendall(bytes(MEBIBYTE // 8))
        wire.turns()
    assert wire.connection.oldest_sent_ns > since


def test_i4_an_idle_connection_is_not_stalled_by_what_it_is_asked_next(wire: Wire) -> None:
    since = wire.connection.oldest_sent_ns
    wire.turns()
    wire.send(Single(b"A"))
    assert wire.connection.oldest_sent_ns > since
