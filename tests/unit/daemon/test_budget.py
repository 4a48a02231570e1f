"""The large lane, and the account of a connection over a real socket."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

import pytest

from glidecached.budget import Budget, OversizeLane
from glidecached.frontend.listener import Listener
from support.abusers import MB, OPENING
from support.paired_peers import NoTurns, received
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Place:
    """A router with a small budget, and its peers."""

    def __init__(self, path: Path) -> None:
        self.budget = Budget(16)
        self.router = Listener(
            str(path),
            max_message_bytes=600 * MB,
            max_requests=10,
            turn_end=NoTurns(),
            budget=self.budget,
        )
        self._path = str(path)
        self.peers: list[socket.socket] = []
        self.messages: list[int] = []

    def connect(self) -> socket.socket:
        """Return one more peer, which has introduced itself."""
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        peer.setblocking(False)
        peer.connect(self._path)
        peer.send(OPENING)
        self.peers.append(peer)
        self.turn()
        return peer

    def turn(self) -> None:
        """Read what came."""
        self.router.connections.retry_roomless()
        self.messages += [
            len(message)
            for _, _, message in received(self.router.connections, 100)
            if isinstance(message, bytes)
        ]

    def push(self, peer: socket.socket, data: bytes) -> int:
        """Send as much as the router reads; return the number of bytes."""
        sent = 0
        idle = 0
        while sent < len(data) and idle < 20:
            try:
                sent += peer.send(data[sent : sent + 65_536])
                idle = 0
            except BlockingIOError:
                idle += 1
            self.turn()
        return sent


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path / "socket")
    yield place
    for peer in place.peers:
        peer.close()
    wait_until(lambda: place.turn() is None and not place.router.connections, "all have gone")
    assert (place.budget.memory.held, place.budget.lane.holder) == (0, None)
    place.router.close()


def announced(size: int) -> bytes:
    return b"\x02" + struct.pack(">Q", size)


def test_i8_the_lane_is_one_holders_and_others_come_in_their_order() -> None:
    lane = OversizeLane()
    first, second, third = object(), object(), object()
    assert lane.enter(first)
    assert lane.enter(first)
    assert not lane.enter(second)
    assert not lane.enter(third)
    lane.leave(first)
    assert not lane.enter(third)
    assert lane.enter(second)
    assert not lane.enter_now(third)
    lane.leave(second)
    assert lane.enter_now(third)
    lane.leave(third)
    assert lane.holder is None


def test_i8_messages_over_a_share_come_one_at_a_time(place: Place) -> None:
    first, second, small = place.connect(), place.connect(), place.connect()
    size = 30 * MB
    assert place.push(first, announced(size) + bytes(size // 2)) == 9 + size // 2
    stuck = place.push(second, announced(size) + bytes(size))
    assert stuck < 2 * MB
    # Others continue meanwhile.
    assert place.push(small, b"\x00\x05hello") == 7
    assert place.messages == [5]
    assert place.push(first, bytes(size - size // 2)) == size - size // 2
    assert place.messages == [5, size]
    place.peers.remove(first)
    first.close()
    place.turn()
    assert stuck + place.push(second, bytes(size + 9 - stuck)) == size + 9
    assert place.messages == [5, size, size]


def test_i8_messages_within_a_share_wait_for_room(place: Place) -> None:
    size = 2 * MB - 1_000
    peers = [place.connect() for _ in range(5)]
    held = [place.push(peer, announced(size) + bytes(size - 1)) for peer in peers]
    # Alone, the process has three quarters of 16 MB, and each of these needs two times two.
    assert [part == size + 8 for part in held] == [True, True, True, False, False]
    assert place.budget.memory.held <= place.budget.memory.total * 3 // 4
    assert place.push(peers[0], b"x") == 1
    wait_until(lambda: place.turn() is None and place.messages == [size], "the first is whole")


def test_i8_a_message_that_does_not_go_on_ends_its_connection(place: Place) -> None:
    place.budget.unfinished_ns = 50_000_000
    slow, steady = place.connect(), place.connect()
    place.push(slow, announced(100_000) + bytes(90_000))
    place.push(steady, announced(100) + bytes(50))

    def dropped() -> bool:
        place.push(steady, bytes(50) + announced(100) + bytes(50))
        return bool(place.router.connections.drop_unfinished())

    wait_until(dropped, "the slow one is dropped")
    assert len(place.router.connections) == 1
    assert place.push(steady, bytes(50)) == 50


@pytest.mark.parametrize("count", [1, 3])
def test_i9_connections_beyond_a_share_are_told_so(
    tmp_path: Path, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    del monkeypatch
    router = Listener(
        str(tmp_path / "socket"),
        max_message_bytes=1_000,
        max_requests=10,
        turn_end=NoTurns(),
        max_connections=4,
    )
    peers = []
    turn: Callable[[], list[object]] = lambda: list(received(router.connections, 100))  # noqa: E731 - as short as it gets
    try:
        for _ in range(3 + count):
            peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            peer.connect(str(tmp_path / "socket"))
            peers.append(peer)
            turn()
        assert len(router.connections) == 3 + count
        assert router.connection_shares.held == 3
        router.limit_connections(100)
        assert router.connection_shares.total == 100
    finally:
        for peer in peers:
            peer.close()
        wait_until(lambda: turn() == [] and not router.connections, "all have gone")
        assert router.connection_shares.held == 0
        router.close()
