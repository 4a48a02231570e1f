"""Long replies are read only as far as there is room; others, and other servers' replies, continue (I8)."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import pytest

from glidecached.access import Peer
from glidecached.shares import Shares
from glidecached.upstream import reply_room
from glidecached.upstream.reply_room import ROOM, ReplyRoom
from support.wired_connection import Single, Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MB = 1_048_576
BUDGET_MB = 16
SHARE_MB = BUDGET_MB // 4
LONG_MB = 12
IN_SOCKETS_MB = 4
QUIET_S = 0.3
"""A connection that takes nothing for so long counts as stopped: it looks for room every 20 ms."""

OTHER = Peer(70_001, 70_001, 9)


class Closable:
    """The parts of a connection and its owner that the room uses."""

    def __init__(self) -> None:
        self.closed = False
        self.lost: list[str] = []

    def close(self) -> None:
        self.closed = True

    def connection_lost(self, reason: str) -> None:
        self.lost.append(reason)


@pytest.fixture
def wires() -> Iterator[Callable[[], Wire]]:
    made: list[Wire] = []

    def make() -> Wire:
        made.append(Wire())
        return made[-1]

    yield make
    for wire in made:
        wire.close()


@pytest.fixture
def memory() -> Shares:
    """Return a small budget, of which others hold some."""
    made = Shares(BUDGET_MB * MB, "buffers", exempt_uids=frozenset())
    made.add(OTHER, MB)
    return made


@pytest.fixture
def room(memory: Shares) -> Iterator[ReplyRoom]:
    """Return the daemon's own room, with the small budget."""
    before = ROOM._memory
    ROOM.use(memory)
    yield ROOM
    for connection in list(ROOM._arriving):
        connection.close()
    assert memory.held == MB
    assert not ROOM._arriving
    assert not ROOM._servers
    assert ROOM.lane.holder is None
    ROOM.use(before)


def send(wire: Wire, size: int) -> int:
    """Have the server send so much of a reply; return the number of bytes until the socket takes no more."""
    sent = 0
    until = time.monotonic() + QUIET_S
    while sent < size and time.monotonic() < until:
        with contextlib.suppress(BlockingIOError):
            sent += wire.server.send(bytes(min(size - sent, 262_144)))
            until = time.monotonic() + QUIET_S
        wire.turns(2)
    return sent


def begin(wire: Wire) -> Single:
    call = Single(b"GET", b"k")
    wire.send(call)
    wire.server.sendall(b"$%d\r\n" % (LONG_MB * MB))
    return call


def test_i8_a_long_reply_stops_where_there_is_no_room_and_goes_on_when_there_is(
    room: ReplyRoom, wires: Callable[[], Wire]
) -> None:
    in_lane, stopped = wires(), wires()
    first, second = begin(in_lane), begin(stopped)
    # One long reply takes the lane, beside the budget.
    assert send(in_lane, LONG_MB * MB) == LONG_MB * MB
    came = send(stopped, LONG_MB * MB)
    assert came < (SHARE_MB + IN_SOCKETS_MB) * MB
    assert room.held_bytes <= SHARE_MB * MB
    assert second.result is None
    in_lane.server.sendall(b"\r\n")
    in_lane.turn_until(lambda: first.result is not None)
    assert send(stopped, LONG_MB * MB - came) == LONG_MB * MB - came
    stopped.reply(b"\r\n", lambda: second.result is not None)
    assert second.result == ("reply", bytes(LONG_MB * MB))


def test_i8_short_replies_need_no_room(room: ReplyRoom, memory: Shares, wires: Callable[[], Wire]) -> None:
    memory.add(OTHER, BUDGET_MB * MB)
    wire = wires()
    for _ in range(100):
        call = Single(b"GET", b"k")
        wire.send(call)
        wire.server.setblocking(True)
        wire.reply(b"$100000\r\n" + bytes(100_000) + b"\r\n", lambda call=call: call.result is not None)  # type: ignore[misc]
    assert room.held_bytes == 0
    assert room.lane.holder is None
    memory.leave(OTHER, BUDGET_MB * MB)


@pytest.mark.parametrize("how", ["closed here", "closed by the server"])
def test_i8_a_connection_that_ends_gives_back_what_its_reply_held(
    room: ReplyRoom, wires: Callable[[], Wire], how: str
) -> None:
    in_lane, stopped = wires(), wires()
    for wire in (in_lane, stopped):
        begin(wire)
        send(wire, LONG_MB * MB - 1)
    for wire in (stopped, in_lane):
        if how == "closed here":
            wire.connection.close()
        else:
            wire.server.close()
            wire.turn_until(lambda wire=wire: wire.lost)  # type: ignore[misc]
    assert room.held_bytes == 0


def test_i8_a_reply_in_the_lane_that_does_not_go_on_ends_when_others_wait(memory: Shares) -> None:
    now_ns = 1
    room = ReplyRoom(memory, lambda: now_ns)
    stuck, waiting = Closable(), Closable()
    assert room.take(stuck, stuck, "bad", 100 * MB)
    assert not room.take(waiting, waiting, "good", 50 * MB)
    now_ns += reply_room._PATIENCE_NS
    assert not room.take(waiting, waiting, "good", 50 * MB)
    assert stuck.closed
    assert "made no progress for 10 s" in stuck.lost[0]
    room.leave(stuck, "bad")
    assert room.take(waiting, waiting, "good", 50 * MB)
    now_ns += reply_room._PATIENCE_NS
    assert room.take(waiting, waiting, "good", 80 * MB)
    room.leave(waiting, "good")


def test_i8_one_server_leaves_room_to_the_replies_of_another(memory: Shares) -> None:
    memory.total *= 16
    room = ReplyRoom(memory)
    made = [Closable() for _ in range(100)]
    for each in made:
        room.take(each, each, "bad", 2 * MB)
    other = Closable()
    assert room.take(other, other, "good", 2 * MB)
    assert room.lane.holder is not other
    for each in made:
        room.leave(each, "bad")
    room.leave(other, "good")
    assert memory.held == MB
