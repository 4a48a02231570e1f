"""Connections for blocking commands: one call at a time each, used again, bounded, closed with an overdue call."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from glidecache_shared.command_table import DEDICATED
from glidecache_shared.protocol import ERROR_BUSY, ERROR_CONNECTION, ERROR_REQUEST, ERROR_TIMEOUT
from glidecached.process.loop import Loop
from glidecached.upstream import dedicated
from glidecached.upstream.connector import ConnectError
from glidecached.upstream.dedicated import DedicatedConnections, Reserved
from glidecached.upstream.target import Target, UpstreamOptions
from support.upstream_calls import ADDRESS, NONE_YET, Recorded, open_channel

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator


class Servers:
    """Two connections at most, whose other ends are the test's; attempts succeed unless `down` says why not."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.loop = Loop()
        self.down: str | None = None
        self.ends: list[socket.socket] = []
        monkeypatch.setattr(dedicated, "Attempt", self._attempt)
        self.target = Target(mode="standalone", addresses=(ADDRESS,))
        self.connections = DedicatedConnections(
            self.loop, self.target, UpstreamOptions(max_blocking_connections=2)
        )

    def _attempt(self, loop: Loop, _target: Target, _timeout_ms: int, done: Any) -> Servers:
        if self.down is not None:
            loop.call_later(0, done, ConnectError(self.down))
            return self
        channel, server = open_channel()
        self.ends.append(server)
        loop.call_later(0, done, channel)
        return self

    def abandon(self) -> None:
        """`Attempt`."""

    def submit(self, *arguments: bytes, **options: Any) -> Recorded:
        call = Recorded(*arguments, **options)
        self.connections.submit(call)
        return call

    def turns(self, until: Callable[[], object]) -> None:
        limit = time.monotonic() + 5
        while not until():
            assert time.monotonic() < limit
            self.loop.call_later(1, lambda: None)
            self.loop._turn()

    def received(self, number: int) -> bytes:
        """What the server gets on its connection of that number."""
        self.turns(lambda: len(self.ends) > number)
        for _ in range(3):
            self.loop.call_later(1, lambda: None)
            self.loop._turn()
        return self.ends[number].recv(1_000)


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Servers]:
    servers = Servers(monkeypatch)
    yield servers
    servers.connections.close("the test is over")
    for end in servers.ends:
        end.close()
    servers.loop.close()


def test_a_connection_is_used_again(servers: Servers) -> None:
    for number in range(3):
        call = servers.submit(b"BLPOP", b"q", b"0")
        assert b"BLPOP" in servers.received(0)
        assert servers.connections.in_use == 1
        servers.ends[0].sendall(b":%d\r\n" % number)
        servers.turns(lambda call=call: call.over)  # type: ignore[misc]
        assert call.outcome == number
    assert servers.connections.count == 1
    assert servers.connections.in_use == 0


def test_calls_do_not_wait_for_each_other_and_their_number_is_bounded(servers: Servers) -> None:
    first, second, third = (servers.submit(b"BLPOP", b"q", b"0") for _ in range(3))
    assert third.outcome[0] == ERROR_BUSY
    assert "max_blocking_connections" in third.outcome[1]
    for number in (0, 1):
        servers.received(number)
    servers.ends[1].sendall(b"+second\r\n")
    servers.turns(lambda: second.over)
    assert first.outcome == NONE_YET


def test_an_overdue_call_takes_its_connection_with_it(servers: Servers) -> None:
    call = servers.submit(b"BLPOP", b"q", b"0", timeout_ms=50)
    servers.received(0)
    servers.turns(lambda: call.over)
    assert call.outcome[0] == ERROR_TIMEOUT
    assert servers.ends[0].recv(10) == b""
    assert servers.connections.count == 0


def test_a_lost_connection_and_a_failed_attempt_are_told(servers: Servers) -> None:
    lost = servers.submit(b"BLPOP", b"q", b"0")
    servers.received(0)
    servers.ends[0].close()
    servers.turns(lambda: lost.over)
    assert lost.outcome[0] == ERROR_CONNECTION
    assert "may have run" in lost.outcome[1]
    servers.down = "h:1: refused"
    unreached = servers.submit(b"BLPOP", b"q", b"0")
    servers.turns(lambda: unreached.over)
    assert unreached.outcome == (ERROR_CONNECTION, "h:1: refused")
    assert servers.connections.count == 0


def test_wait_asks_about_what_other_connections_wrote(servers: Servers) -> None:
    call = servers.submit(b"wait", b"1", b"0")
    sent = servers.received(0)
    assert sent.index(b"PUBLISH") < sent.index(b"wait")
    servers.ends[0].sendall(b":0\r\n:1\r\n")
    servers.turns(lambda: call.over)
    assert call.outcome == 1


def test_a_wait_that_would_mean_nothing_is_refused(servers: Servers) -> None:
    call = servers.submit(b"WAIT", b"1", b"0")
    servers.received(0)
    servers.ends[0].sendall(b"-NOPERM publish\r\n:1\r\n")
    servers.turns(lambda: call.over)
    assert call.outcome == (ERROR_REQUEST, "WAIT needs a PUBLISH to 'glidecached:wait' first: NOPERM publish")
    assert servers.connections.in_use == 0


class Holder:
    """Who reserves connections."""

    ended = 0

    def connection_ended(self) -> None:
        self.ended += 1


def reserved(servers: Servers, holder: Holder) -> Reserved:
    """A connection of one's own, which there has to be."""
    reserved = servers.connections.reserve(holder)
    assert isinstance(reserved, Reserved)
    return reserved


def answer(servers: Servers, call: Recorded, reply: bytes) -> None:
    """The server's first connection answers what was sent."""
    servers.received(0)
    servers.ends[0].sendall(reply)
    servers.turns(lambda: call.over)


def test_a_reserved_connection_is_nobody_elses_until_its_last_call(servers: Servers) -> None:
    holder = Holder()
    kept = reserved(servers, holder)
    watch, last = Recorded(b"WATCH", b"k"), Recorded(b"UNWATCH")
    kept.submit(watch)
    answer(servers, watch, b"+OK\r\n")
    servers.submit(b"BLPOP", b"q", b"0")
    assert b"BLPOP" in servers.received(1)
    assert isinstance(servers.connections.reserve(Holder()), str)
    kept.submit(last, last=True)
    answer(servers, last, b"+OK\r\n")
    servers.submit(b"BLPOP", b"r", b"0")
    assert b"BLPOP" in servers.received(0)
    assert holder.ended == 0


def test_calls_on_a_reserved_connection_run_one_after_another(servers: Servers) -> None:
    kept = reserved(servers, Holder())
    first, second, last = Recorded(b"A"), Recorded(b"B"), Recorded(b"C")
    kept.submit(first)
    kept.submit(second)
    kept.submit(last, last=True)
    for call, reply in ((first, b"+a\r\n"), (second, b"-ERR b\r\n"), (last, b"+c\r\n")):
        answer(servers, call, reply)
    assert (first.outcome, str(second.outcome), last.outcome) == ("a", "ERR b", "c")
    assert servers.connections.count == 1
    assert servers.connections.in_use == 0


def test_a_last_call_that_leaves_doubt_ends_the_connection(servers: Servers) -> None:
    """An error may mean that the server still watches: the next user must not inherit that."""
    holder = Holder()
    kept = reserved(servers, holder)
    last = Recorded(b"UNWATCH")
    kept.submit(last, last=True)
    answer(servers, last, b"-NOPERM unwatch\r\n")
    assert servers.ends[0].recv(10) == b""
    assert servers.connections.count == 0
    assert holder.ended == 1


def test_a_last_call_that_is_not_sent_ends_the_connection(servers: Servers) -> None:
    kept = reserved(servers, Holder())
    watch, last = Recorded(b"WATCH", b"k"), Recorded(b"UNWATCH", timeout_ms=-1)
    kept.submit(watch)
    answer(servers, watch, b"+OK\r\n")
    kept.submit(last, last=True)
    servers.turns(lambda: last.over)
    assert servers.connections.count == 0


def test_a_reserved_connection_that_is_lost_is_told_once_and_what_waits_fails(servers: Servers) -> None:
    holder = Holder()
    kept = reserved(servers, holder)
    sent, waiting = Recorded(b"A"), Recorded(b"B")
    kept.submit(sent)
    kept.submit(waiting)
    servers.received(0)
    servers.ends[0].close()
    servers.turns(lambda: waiting.over)
    assert sent.outcome[0] == waiting.outcome[0] == ERROR_CONNECTION
    kept.close()
    assert holder.ended == 1
    assert servers.connections.count == 0


def test_i10_two_connections_are_made_at_a_time_and_none_for_a_caller_that_has_gone(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that was begun for a caller that has gone serves the next one."""
    attempts: list[Callable[[object], object]] = []
    monkeypatch.setattr(dedicated, "Attempt", lambda _loop, _target, _timeout, done: attempts.append(done))
    servers.connections.reconfigure(servers.target, UpstreamOptions(max_blocking_connections=10))
    calls = [servers.submit(b"BLPOP", b"q%d" % number, b"0") for number in range(6)]
    assert len(attempts) == 2
    for call in calls[:4]:
        call.deadline_ns = 0  # no longer wanted
    servers.connections.drop_unwanted()
    assert len(attempts) == 2
    channel, server = open_channel()
    servers.ends.append(server)
    attempts[0](channel)
    assert b"q4" in servers.received(0)
    attempts[1](ConnectError("refused"))
    assert len(attempts) == 3
    attempts[2](ConnectError("refused"))
    assert calls[5].outcome == (ERROR_CONNECTION, "refused")
    assert servers.connections.count == 1


def test_i4_after_an_unknown_command_a_connection_is_proved_before_it_is_believed_again(
    servers: Servers,
) -> None:
    call = Recorded(b"NOSUCH")
    call.lane = DEDICATED
    servers.connections.submit(call)
    assert b"NOSUCH" in servers.received(0)
    # The server sent two replies to one command: the second would have been the next one's.
    servers.ends[0].sendall(b"+one\r\n")
    servers.turns(lambda: call.over)
    assert b"ECHO" in servers.received(0)
    following = servers.submit(b"BLPOP", b"q", b"0")
    servers.turns(lambda: True)
    servers.ends[0].sendall(b"+two\r\n")
    servers.turns(lambda: following.over)
    assert following.outcome[0] == ERROR_CONNECTION
    assert servers.connections.count == 0
