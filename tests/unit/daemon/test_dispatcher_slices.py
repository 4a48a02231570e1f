"""The work that one turn of the loop takes from peers, in messages and in slices: no clock decides (rule I10)."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

from glidecache_shared import protocol
from glidecached.budget import Budget
from glidecached.frontend.dispatcher import Dispatcher
from glidecached.frontend.listener import Listener
from glidecached.process.deadlines import Deadlines
from support.abusers import MB, OPENING
from support.paired_peers import NoTurns
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from glidecached.frontend.request import Request

INSTANCE = 77
FAR_NS = 2**62
MOST_PER_TURN = 1_000
MOST_VALUES = 1_048_704
MOST_VALUES_PER_LOOK = 16_000
MOST_VALUES_PER_SLICE = 4_000
"""The dispatcher first scans a message's values, then makes them."""


class SlicesByHand:
    """A stand-in for `SlicedWork`: the test runs each slice."""

    def __init__(self) -> None:
        self.under_way: list[Iterator[float | None]] = []

    def start(self, steps: Iterator[float | None]) -> None:
        self.under_way.append(steps)

    def step(self) -> None:
        """Run one slice of each piece of work."""
        for steps in list(self.under_way):
            try:
                next(steps)
            except StopIteration:
                self.under_way.remove(steps)

    def release(self, values: Any) -> None:
        del values


class Desk:
    """A dispatcher over a real socket; its operations record each request and the number of its arguments."""

    def __init__(self, path: Path, loop: Any) -> None:
        self._path = str(path)
        self.listener = Listener(
            self._path,
            max_message_bytes=64 * MB,
            max_requests=100_000,
            turn_end=NoTurns(),
            budget=Budget(256),
        )
        self.slices = SlicesByHand()
        self.dispatcher = Dispatcher(
            self.listener.connections,
            Deadlines(loop),
            instance_id=INSTANCE,
            max_requests_per_peer=100_000,
            sliced_work=self.slices,  # type: ignore[arg-type]
            knows_session=lambda _session_id, _uid: True,
        )
        self.taken: list[tuple[int, int]] = []
        self.dispatcher.serve({protocol.PING: self._take, protocol.COMMAND: self._take})
        self.peers: list[socket.socket] = []

    def _take(self, request: Request, body: list[Any]) -> None:
        self.taken.append((request.request_id, len(body[1]) if body else 0))
        request.reply(None)

    def connect(self) -> socket.socket:
        """Return one more peer, which has introduced itself."""
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        peer.connect(self._path)
        peer.setblocking(False)
        peer.send(OPENING)
        self.peers.append(peer)
        connections = self.listener.connections
        count = len(connections)
        wait_until(lambda: self.dispatcher.receive() and len(connections) > count, "the peer is there")
        return peer

    def send(self, peer: socket.socket, data: bytes) -> None:
        """Send all of it; the dispatcher reads when it has room."""
        limit = time.monotonic() + 20
        view = memoryview(data)
        while view:
            assert time.monotonic() < limit
            try:
                view = view[peer.send(view[:65_536]) :]
            except BlockingIOError:
                self.dispatcher.receive()


def message(*content: Any) -> bytes:
    """Return a message as a peer sends it."""
    packed = protocol.pack(list(content))
    if len(packed) < 256:
        return bytes([0, len(packed)]) + packed
    return b"\x02" + len(packed).to_bytes(8, "big") + packed


def ping(number: int) -> bytes:
    return message(protocol.PING, number, INSTANCE, FAR_NS)


@pytest.fixture
def desk(tmp_path: Path, loop: Any) -> Iterator[Desk]:
    desk = Desk(tmp_path / "socket", loop)
    yield desk
    for peer in desk.peers:
        peer.close()
    wait_until(lambda: desk.dispatcher.receive() and not desk.listener.connections, "all have gone")
    desk.listener.close()


def test_i10_one_turn_takes_no_more_than_a_thousand_messages(desk: Desk) -> None:
    peer = desk.connect()
    count = 4 * MOST_PER_TURN
    peer.setblocking(True)
    # One write: the kernel's buffer has room for all messages, so all are there at the first turn.
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MB)
    peer.sendall(b"".join(ping(number) for number in range(1, count + 1)))
    turns: list[int] = []
    limit = time.monotonic() + 20
    while len(desk.taken) < count:
        assert time.monotonic() < limit
        before = len(desk.taken)
        desk.dispatcher.receive()
        turns.append(len(desk.taken) - before)
    assert max(turns) <= MOST_PER_TURN, turns
    assert [number for number, _ in desk.taken] == list(range(1, count + 1))


@pytest.mark.parametrize("count", [40_000, 400_000, 1_000_000])
def test_i10_a_long_message_is_decoded_in_slices_between_which_others_are_taken(
    desk: Desk, count: int
) -> None:
    long, short = desk.connect(), desk.connect()
    arguments = [b"a"] * count
    desk.send(long, message(protocol.COMMAND, 1, INSTANCE, FAR_NS, 5, arguments) + ping(2))
    wait_until(lambda: not desk.dispatcher.receive() or bool(desk.slices.under_way), "it is here")
    slices = 0
    while desk.slices.under_way:
        slices += 1
        number = 1_000 + slices
        desk.send(short, ping(number))
        desk.dispatcher.receive()
        # The short message was taken at once; its own peer's next one, behind the long message, was not.
        assert desk.taken[-1] == (number, 0)
        desk.slices.step()
    wait_until(lambda: desk.dispatcher.receive() and desk.taken[-1] == (2, 0), "what came behind it is taken")
    assert desk.taken[-2] == (1, count)
    assert slices >= count // MOST_VALUES_PER_LOOK + count // MOST_VALUES_PER_SLICE


@pytest.mark.parametrize(
    ("values", "slices_at_least"),
    [
        (b"\x91" * (8 * MB) + b"\x90", 1),
        (b"\xdd" + (4 * MB).to_bytes(4, "big") + b"\x91\x90" * (4 * MB), MOST_VALUES // MOST_VALUES_PER_LOOK),
    ],
    ids=["deep", "wide"],
)
def test_i10_megabytes_of_lists_are_refused_after_a_bounded_number_of_slices(
    desk: Desk, values: bytes, slices_at_least: int
) -> None:
    peer = desk.connect()
    body = protocol.pack([protocol.COMMAND, 1, INSTANCE, FAR_NS, 5, []])[:-1] + values
    desk.send(peer, b"\x02" + len(body).to_bytes(8, "big") + body)
    wait_until(lambda: not desk.dispatcher.receive() or bool(desk.slices.under_way), "it is here")
    slices = 0
    while desk.slices.under_way:
        slices += 1
        assert slices <= MOST_VALUES // MOST_VALUES_PER_LOOK + 2
        desk.slices.step()
    assert slices >= slices_at_least
    assert desk.taken == []
    assert desk.dispatcher.open_requests == 0
    assert desk.dispatcher.refused["malformed"] == 1
