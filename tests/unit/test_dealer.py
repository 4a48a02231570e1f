"""A client's connection to a daemon: whatever interrupts it, its stream stays whole, and its own.

The other end is a plain socket, libzmq, or a clumsy daemon.
"""

from __future__ import annotations

import gc
import os
import socket
from typing import TYPE_CHECKING

import pytest
import zmq

from glidecache_shared.owned_descriptor import OwnedDescriptor
from glidecache_shared.wire.dealer import READABLE, WRITABLE, Dealer, NotSentError
from glidecache_shared.wire.zmtp import Stream, message_header
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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
    dealer = Dealer(OwnedDescriptor(near.detach()))
    far.sendall(peer.opening)
    assert dealer.events() == WRITABLE
    assert peer.receive(far.fileno()) > 0
    assert peer.next_message() is None
    return dealer, peer


def test_none_is_half_made() -> None:
    """Another thread may fork at any moment, and close all connections."""
    with pytest.raises(TypeError):
        Dealer.__new__(Dealer)


def test_a_heartbeat_behind_the_end_is_not_answered_into_another_file(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    near, far = pair
    dealer, _ = greeted(near, far)
    far.sendall(message_header(3) + b"abc" + PING)
    assert dealer.events() & READABLE
    other, other_end = socket.socketpair()
    with other, other_end:
        dealer.close()
        os.dup2(other.fileno(), dealer.descriptor)
        assert dealer.receive() == b"abc"
        assert dealer.events() == 0
        with pytest.raises(BlockingIOError):
            other_end.recv(100, socket.MSG_DONTWAIT)
        os.close(dealer.descriptor)


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
        while (message := peer.next_message()) is not None:
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
    assert dealer.has_unsent()
    came = []
    while len(came) < len(messages):
        peer.feed(far.recv(room_bytes if len(came) == 5 else 1 << 18))
        dealer.flush()
        while (message := peer.next_message()) is not None:
            came.append(bytes(message))
    assert came == messages
    assert not dealer.has_unsent()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "daemon.sock"


@pytest.fixture
def router(path: Path) -> Iterator[zmq.Socket[bytes]]:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.setsockopt(zmq.LINGER, 0)
        router.bind(f"ipc://{path}")
        yield router


@pytest.fixture
def listener(path: Path) -> Iterator[socket.socket]:
    """A daemon of which nothing is there but its socket."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        yield listener


@pytest.fixture
def dealer(path: Path, router: zmq.Socket[bytes]) -> Iterator[Dealer]:
    del router  # is there first
    dealer = Dealer.connect(str(path))
    wait_until(lambda: dealer.is_up, "the dealer is up")
    yield dealer
    dealer.close()


def received(dealer: Dealer) -> bytes:
    wait_until(lambda: dealer.events() & READABLE or not dealer.wait(10), "a message came")
    message = dealer.receive()
    assert message is not None
    return bytes(message)


def test_messages_of_all_lengths_go_and_come(dealer: Dealer, router: zmq.Socket[bytes]) -> None:
    for length in (1, 255, 256, 16_383, 16_384, 3_000_000):
        message = os.urandom(length)
        dealer.send(message)
        wait_until(lambda: dealer.flush() or not dealer.has_unsent(), "the kernel took it")
        identity, came = router.recv_multipart()
        assert came == message
        router.send_multipart([identity, message])
        assert received(dealer) == message


def test_messages_sent_together_come_in_order(dealer: Dealer, router: zmq.Socket[bytes]) -> None:
    messages = [b"small", os.urandom(20_000), b"", b"last"]
    dealer.send(*messages)
    assert [router.recv_multipart()[1] for _ in messages] == messages


def test_nobody_listens(path: Path, listener: socket.socket) -> None:
    listener.close()
    with pytest.raises(ConnectionRefusedError):
        Dealer.connect(str(path))


def test_a_daemon_that_does_not_greet_takes_nothing(path: Path, listener: socket.socket) -> None:
    del listener
    dealer = Dealer.connect(str(path))
    assert dealer.events() == 0
    with pytest.raises(NotSentError):
        dealer.send(b"hello")
    assert not dealer.ended
    dealer.close()


def test_what_a_dead_daemon_had_said_can_still_be_taken(path: Path, listener: socket.socket) -> None:
    dealer = Dealer.connect(str(path))
    daemon, _ = listener.accept()
    daemon.sendall(Stream(b"ROUTER", 100).opening + b"\x00\x04last")
    daemon.recv(1_000)
    daemon.close()
    assert received(dealer) == b"last"
    wait_until(lambda: not dealer.events() & WRITABLE, "the end is noticed")
    assert dealer.ended


def test_a_dead_daemon_is_noticed_by_sending(path: Path, listener: socket.socket) -> None:
    dealer = Dealer.connect(str(path))
    daemon, _ = listener.accept()
    daemon.sendall(Stream(b"ROUTER", 100).opening)
    wait_until(lambda: dealer.is_up, "the dealer is up")
    daemon.close()
    with pytest.raises(NotSentError):
        dealer.send(b"hello")
    assert not dealer.is_up


def test_what_was_taken_before_the_daemon_died_may_have_run(path: Path, listener: socket.socket) -> None:
    """A whole request that was delivered must not count as never sent: it would be sent twice."""
    dealer = Dealer.connect(str(path))
    daemon, _ = listener.accept()
    daemon.sendall(Stream(b"ROUTER", 100).opening)
    wait_until(lambda: dealer.is_up, "the dealer is up")
    daemon.settimeout(5)
    request = os.urandom(3_000_000)
    dealer.send(request)
    assert dealer.has_unsent(), "the case under test: the kernel has taken a part"
    daemon.close()
    dealer.flush()
    wait_until(lambda: not dealer.events() & WRITABLE, "the end is noticed")
    assert not dealer.has_unsent()
    with pytest.raises(NotSentError):
        dealer.send(b"the next")


def test_answers_that_came_before_the_end_are_taken_after_a_failed_write(
    path: Path, listener: socket.socket
) -> None:
    dealer = Dealer.connect(str(path))
    daemon, _ = listener.accept()
    answer = os.urandom(100_000)
    daemon.sendall(Stream(b"ROUTER", 100).opening)
    wait_until(lambda: dealer.is_up, "the dealer is up")
    daemon.sendall(message_header(len(answer)) + answer)
    daemon.recv(1_000)
    daemon.close()
    with pytest.raises(NotSentError):
        dealer.send(b"hello")
    assert dealer.events() == READABLE
    message = dealer.receive()
    assert message is not None
    assert bytes(message) == answer


@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\n\r\n" + bytes(64), bytes(64)])
def test_who_does_not_speak_the_protocol_is_no_daemon(
    path: Path, listener: socket.socket, said: bytes
) -> None:
    dealer = Dealer.connect(str(path))
    daemon, _ = listener.accept()
    daemon.sendall(said)
    wait_until(lambda: dealer.events() == 0 and dealer.ended, "the dealer is given up")
    daemon.close()


def test_a_forked_child_has_no_copy_of_the_connection(path: Path, listener: socket.socket) -> None:
    dealer = Dealer.connect(str(path))
    daemon, _ = listener.accept()
    child = os.fork()
    if child == 0:
        try:
            os.fstat(dealer.descriptor)
        except OSError:
            os._exit(0)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    daemon.sendall(Stream(b"ROUTER", 100).opening)
    wait_until(lambda: dealer.is_up, "the parent has its connection")
    daemon.close()
