"""A held-up connection: others pass it, its own client stays in order, and no reply goes to another call (I6, C23)."""

from __future__ import annotations

import contextlib
import random
import time
from typing import TYPE_CHECKING, Any

import pytest

from glidecached.access import Peer
from glidecached.command_order import CommandOrder
from glidecached.frontend.request import Answering, Request
from glidecached.process.loop import Loop
from glidecached.upstream import reconnector, standalone
from glidecached.upstream.standalone import StandaloneUpstream
from glidecached.upstream.target import Target, UpstreamOptions

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from glidecached.frontend.caller import Caller

from support.upstream_calls import ADDRESS, NONE_YET, Recorded, open_channel


class Owned(Recorded):
    """A call of one client."""

    def __init__(self, order: CommandOrder, *arguments: bytes, repeatable: bool = False) -> None:
        super().__init__(*arguments, repeatable=repeatable)
        self._order = order
        self.request: Request | None = None

    def clients(self) -> list[CommandOrder]:
        return [self._order]

    def enter(self) -> None:
        """Count as open, as a request does, until there is an outcome."""
        self.request = Request(Unheard(), b"", Peer(1, 1, 1), 1, 1)
        self.request.take_place(self._order)

    def succeed(self, reply: Any) -> None:
        super().succeed(reply)
        if self.request is not None:
            self.request.cancel()


class Unheard(Answering):
    """Implement `request.Answering`, without a client."""

    def answer(self, caller: Caller, message: bytes, rest: bytes | None) -> None:
        """Ignore the answer."""

    def answer_framed(self, caller: Caller, frame: bytes) -> None:
        """Ignore the answer."""

    def finished(self, request: Request) -> None:
        """Ignore the end."""


class Server:
    """A server with any number of connections, each of which answers `+NAME ARGUMENT` to what it reads, in order.

    After a command that begins with `W`, while writes are held, a connection reads nothing until they are released,
    as a real server does.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.loop = Loop()
        self.holds_writes = False
        self.ran: list[str] = []
        self._unread: dict[socket.socket, bytes] = {}
        for module in (reconnector, standalone):
            monkeypatch.setattr(module, "Attempt", self._attempt)
        target = Target(mode="standalone", addresses=(ADDRESS,))
        self.upstream = StandaloneUpstream(self.loop, target, UpstreamOptions())
        self.upstream.sessions = 1

    @property
    def connections(self) -> int:
        return len(self._unread)

    def _attempt(self, loop: Loop, _target: Target, _timeout_ms: int, done: Any) -> Server:
        channel, end = open_channel()
        end.setblocking(False)
        self._unread[end] = b""
        loop.call_later(0, done, channel)
        return self

    def abandon(self) -> None:
        """Implement `Attempt`."""

    def submit(self, *calls: Recorded) -> None:
        for call in calls:
            self.upstream.submit(call)

    def serve(self) -> None:
        """Read what has come on each connection, and answer it."""
        for end, unread in self._unread.items():
            data = unread
            with contextlib.suppress(BlockingIOError):
                data += end.recv(1_000_000)
            while data:
                lines = data.split(b"\r\n")
                count = int(lines[0][1:])
                if len(lines) < 2 + 2 * count:
                    break
                arguments = lines[2 : 2 + 2 * count : 2]
                if self.holds_writes and arguments[0].startswith(b"W"):
                    break
                data = b"\r\n".join(lines[1 + 2 * count :])
                if arguments[0] == b"ROLE":
                    end.sendall(b"*1\r\n$6\r\nmaster\r\n")
                    continue
                if arguments[0] == b"ECHO":
                    end.sendall(b"$%d\r\n%s\r\n" % (len(arguments[1]), arguments[1]))
                    continue
                if arguments[0] != b"CLIENT":
                    self.ran.append(b" ".join(arguments).decode())
                end.sendall(b"+" + b" ".join(arguments) + b"\r\n")
            self._unread[end] = data

    def turns(self, until: Any, seconds: float = 5.0) -> None:
        limit = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < limit
            self.loop.call_later(1, lambda: None)
            self.loop._turn()
            self.serve()

    def close(self) -> None:
        self.upstream.close("the test is over")
        for end in self._unread:
            end.close()
        self.loop.close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    server = Server(monkeypatch)
    yield server
    server.close()


def own_answer(call: Recorded) -> tuple[str, bytes]:
    """Return the server's answer to this call, with a status of protocol 2 or of libvalkey's kind."""
    text = b" ".join(call.arguments)
    return (text.decode(), text)


def settle(server: Server) -> None:
    first = Recorded(b"R", b"first", repeatable=True)
    server.submit(first)
    server.turns(lambda: first.over)


def test_i6_reads_of_others_pass_a_held_write_and_its_own_client_waits(server: Server) -> None:
    settle(server)
    mine, others = CommandOrder(server.loop), CommandOrder(server.loop)
    server.holds_writes = True
    write = Owned(mine, b"W", b"1")
    behind = Owned(mine, b"R", b"mine", repeatable=True)
    sent = Owned(others, b"R", b"sent before it was noticed", repeatable=True)
    server.submit(write, behind, sent)
    server.turns(lambda: sent.over)
    later = Owned(others, b"R", b"later", repeatable=True)
    server.submit(later)
    server.turns(lambda: later.over)
    assert sent.outcome in own_answer(sent)
    assert (write.outcome, behind.outcome) == (NONE_YET, NONE_YET)
    server.holds_writes = False
    server.turns(lambda: write.over and behind.over)
    assert server.ran.index("W 1") < server.ran.index("R mine")
    assert write.outcome in own_answer(write)


def test_i6_afterwards_all_calls_travel_together_again(server: Server) -> None:
    settle(server)
    one, two = CommandOrder(server.loop), CommandOrder(server.loop)
    server.holds_writes = True
    write = Owned(one, b"W", b"1")
    server.submit(write)
    server.turns(lambda: server.upstream.lanes.shared.held)
    read = Owned(two, b"R", b"1", repeatable=True)
    server.submit(read)
    server.turns(lambda: read.over)
    server.holds_writes = False
    server.turns(lambda: write.over and not server.upstream.lanes.shared.held)
    connections = server.connections
    for number in range(5):
        call = Owned(two, b"W", b"after %d" % number)
        server.submit(call)
        server.turns(lambda call=call: call.over)
    assert server.connections == connections


@pytest.mark.parametrize("seed", range(12))
def test_i6_c23_whatever_is_held_each_client_keeps_its_order_and_its_replies(
    server: Server, seed: int
) -> None:
    """Generated clients send reads and writes while writes are held and released at random."""
    chance = random.Random(seed)
    settle(server)
    server.ran.clear()
    clients = [CommandOrder(server.loop) for _ in range(4)]
    sent: list[list[Owned]] = [[] for _ in clients]
    for step in range(60):
        if chance.random() < 0.15:
            server.holds_writes = not server.holds_writes
        place = chance.randrange(len(clients))
        kind = b"R" if chance.random() < 0.7 else b"W"
        call = Owned(clients[place], kind, b"%d-%d" % (place, step), repeatable=kind == b"R")
        sent[place].append(call)
        call.enter()
        server.submit(call)
        if chance.random() < 0.4:
            until = time.monotonic() + chance.choice((0.002, 0.015, 0.03))
            server.turns(lambda until=until: time.monotonic() >= until)
    server.holds_writes = False
    server.turns(lambda: all(call.over for calls in sent for call in calls))
    for calls in sent:
        assert all(call.outcome in own_answer(call) for call in calls)
        # A write runs once; a read may run twice, and each time behind the writes that its client sent before it.
        ran = [" ".join(argument.decode() for argument in call.arguments) for call in calls]
        places = {text: max(i for i, each in enumerate(server.ran) if each == text) for text in ran}
        writes = [text for text in ran if text.startswith("W")]
        assert all(server.ran.count(text) == 1 for text in writes)
        for place, text in enumerate(ran):
            first_run = server.ran.index(text)
            earlier_writes = [each for each in ran[:place] if each.startswith("W")]
            assert all(places[write] < first_run for write in earlier_writes)
