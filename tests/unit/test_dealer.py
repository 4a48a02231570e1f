"""A DEALER's side of a connection: whatever interrupts it, its stream stays whole, and its own."""

from __future__ import annotations

import gc
import os
import socket
from typing import TYPE_CHECKING

import pytest

from glidecache_shared.wire.dealer import READABLE, WRITABLE, Dealer
from glidecache_shared.wire.zmtp import Stream, message_header

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 1 << 20
PING = b"\x04\x07\x04PING\x00\x00"


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        yield near, far


def greeted(near: socket.socket, far: socket.socket) -> tuple[Dealer, Stream]:
    """A dealer that is up, and what its peer has read of it so far."""
    peer = Stream(b"ROUTER", LIMIT)
    dealer = Dealer(near.fileno())
    far.sendall(peer.opening)
    assert dealer.events() == WRITABLE
    assert peer.receive(far.fileno()) > 0
    assert peer.take() is None
    return dealer, peer


def test_one_that_is_not_made_yet_can_be_closed() -> None:
    dealer = Dealer.__new__(Dealer)
    dealer.close()
    assert dealer.events() == 0
    assert not dealer.unsent


def test_a_heartbeat_behind_the_end_is_not_answered_into_another_file(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    near, far = pair
    dealer, _ = greeted(near, far)
    far.sendall(message_header(3) + b"abc" + PING)
    assert dealer.events() & READABLE
    dealer.close()
    other, other_end = socket.socketpair()
    with other, other_end:
        os.dup2(other.fileno(), near.fileno())
        assert dealer.receive() == b"abc"
        assert dealer.events() == 0
        with pytest.raises(BlockingIOError):
            other_end.recv(100, socket.MSG_DONTWAIT)


def test_a_finalizer_that_sends_in_the_middle_of_sending_breaks_nothing(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    near, far = pair
    dealer, peer = greeted(near, far)
    sent: list[bytes] = []
    held: list[slice] = []

    class Sender:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            message = b"from a finalizer %d" % len(sent)
            sent.append(message)
            dealer.send(message)
            dealer.flush()  # as whoever waits for the answer does

    threshold = gc.get_threshold()
    gc.collect()
    gc.freeze()  # what other tests left is not looked through each time
    try:
        for number in range(50):
            Sender()
            held.append(slice(number))  # none is left in reserve
            gc.set_threshold(1)  # a collection at the next allocation
            dealer.send(b"%d" % number, b"second of %d" % number)
            gc.set_threshold(*threshold)
            gc.collect()
            sent += (b"%d" % number, b"second of %d" % number)
    finally:
        gc.set_threshold(*threshold)
        gc.unfreeze()
    came = []
    while len(came) < len(sent):
        assert peer.receive(far.fileno()) > 0
        while (message := peer.take()) is not None:
            came.append(bytes(message))
    assert sorted(came) == sorted(sent)
    with pytest.raises(BlockingIOError):
        far.recv(100, socket.MSG_DONTWAIT)


@pytest.mark.parametrize("room_bytes", [1, 1_000, 40_000])
def test_what_the_kernel_takes_in_pieces_comes_whole(
    pair: tuple[socket.socket, socket.socket], room_bytes: int
) -> None:
    near, far = pair
    dealer, peer = greeted(near, far)
    messages = [os.urandom(length) for length in (0, 1, 255, 256, 16_383, 16_384, 200_000)] * 30
    dealer.send(*messages)
    assert dealer.unsent
    came = []
    while len(came) < len(messages):
        peer.feed(far.recv(room_bytes if len(came) == 5 else 1 << 18))
        dealer.flush()
        while (message := peer.take()) is not None:
            came.append(bytes(message))
    assert came == messages
    assert not dealer.unsent
