"""One connection: replies in order, late ones dropped, full sockets waited for."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any

import pytest

from glidecache_shared.protocol import ERROR_REQUEST, ReplyError
from glidecached.loop import Loop
from glidecached.upstream.call import BatchCall, SingleCall
from glidecached.upstream.connection import Connection
from glidecached.upstream.tally import Tally
from support.upstream_calls import open_channel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FAR_NS = 2**62
MEBIBYTE = 2**20


class Outcome:
    """What a call keeps: `None` until it ended."""

    result: Any = None

    def abandon(self) -> None:
        self.result = "abandoned"

    def succeed(self, reply: Any) -> None:
        self.result = ("reply", reply)

    def fail(self, code: int, message: str) -> None:
        self.result = ("error", code, message)


class Single(Outcome, SingleCall):
    """One command."""

    def __init__(self, *arguments: bytes, deadline_ns: int = FAR_NS) -> None:
        SingleCall.__init__(self, arguments, deadline_ns, repeatable=False)


class Batch(Outcome, BatchCall):
    """Several commands."""

    def __init__(self, *commands: list[bytes], atomic: bool = False) -> None:
        BatchCall.__init__(self, commands, FAR_NS, atomic=atomic, repeatable=False)


class Wire:
    """A connection whose other end is in the test's hands, and the loop that it runs in."""

    def __init__(self) -> None:
        self.loop = Loop()
        channel, self.server = open_channel()
        self.server.setblocking(False)
        self.lost: list[str] = []
        self.drained = 0
        self.tally = Tally()
        self.connection = Connection(self.loop, channel, self, self.tally)

    def error_replied(self, text: str) -> None:
        """`connection.Owner`."""

    def reply_is_long(self) -> None:
        """`connection.Owner`."""

    def connection_drained(self) -> None:
        self.drained += 1

    def connection_lost(self, reason: str) -> None:
        self.lost.append(reason)

    def send(self, *calls: Any) -> deque[Any]:
        """Send; what was not taken."""
        queue = deque(calls)
        self.connection.send(queue)
        return queue

    def reply(self, data: bytes, until: Callable[[], object]) -> None:
        """The server sends; turns of the loop until the condition holds."""
        self.server.sendall(data)
        self.turn_until(until)

    def turn_until(self, condition: Callable[[], object]) -> None:
        limit = time.monotonic() + 5
        while not condition():
            assert time.monotonic() < limit
            self.loop.call_later(1, lambda: None)
            self.loop._turn()

    def close(self) -> None:
        self.connection.close()
        self.server.close()
        self.loop.close()


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


def test_a_reply_that_nobody_asked_for_ends_the_connection(wire: Wire) -> None:
    wire.reply(b"+OK\r\n", lambda: wire.lost)
    assert "nobody asked" in wire.lost[0]


def test_a_call_that_fails_to_take_its_reply_disturbs_nobody(
    wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Single):
        def succeed(self, reply: Any) -> None:
            raise RuntimeError(reply)

    after = Single(b"B")
    wire.send(Broken(b"A"), after)
    wire.reply(b"+x\r\n+y\r\n", lambda: after.result)
    assert after.result == ("reply", "y")
    assert "could not be handed on" in caplog.text


def test_what_comes_behind_a_reply_that_closed_the_connection_is_nobodys(wire: Wire) -> None:
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
    latency = wire.tally.stats()["latency"]
    assert latency["counts"][-1] == sum(latency["counts"]) == 1
    assert latency["sum_us"] >= 3_000_000


def test_a_call_that_its_reply_sends_elsewhere_is_timed_up_to_here(wire: Wire) -> None:
    class Redirected(Single):
        def receive(self, reply: Any) -> bool:
            self.submitted_ns = 2**62  # as if submitted anew, later than everything here
            return super().receive(reply)

    call = Redirected(b"A")
    call.submitted_ns = time.monotonic_ns()
    wire.send(call)
    wire.reply(b"-MOVED 1 h:2\r\n", lambda: call.result)
    latency = wire.tally.stats()["latency"]
    assert sum(latency["counts"]) == 1
    assert latency["sum_us"] >= 0
