"""The link: a DEALER's side of the protocol, with libzmq and with a clumsy daemon at the other end."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest
import zmq

from glidecache.core.transport import READABLE, WRITABLE, Transport
from glidecache.core.transport_errors import NotSentError
from glidecache_shared.wire.zmtp import Stream, message_header
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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
def link(path: Path, router: zmq.Socket[bytes]) -> Iterator[Transport]:
    del router  # is there first
    link = Transport(str(path))
    wait_until(lambda: link.is_up, "the link is up")
    yield link
    link.close()


def receive(link: Transport) -> bytes:
    wait_until(lambda: link.events() & READABLE or not link.wait(10), "a message came")
    message = link.receive()
    assert message is not None
    return bytes(message)


def test_messages_of_all_lengths_go_and_come(link: Transport, router: zmq.Socket[bytes]) -> None:
    for length in (1, 255, 256, 16_383, 16_384, 3_000_000):
        message = os.urandom(length)
        link.send(message)
        wait_until(lambda: link.flush() or not link.unsent, "the kernel took it")
        identity, came = router.recv_multipart()
        assert came == message
        router.send_multipart([identity, message])
        assert receive(link) == message


def test_messages_sent_together_come_in_order(link: Transport, router: zmq.Socket[bytes]) -> None:
    messages = [b"small", os.urandom(20_000), b"", b"last"]
    link.send(*messages)
    assert [router.recv_multipart()[1] for _ in messages] == messages


def test_nobody_listens(path: Path, listener: socket.socket) -> None:
    listener.close()
    with pytest.raises(ConnectionRefusedError):
        Transport(str(path))


def test_a_daemon_that_does_not_greet_takes_nothing(path: Path, listener: socket.socket) -> None:
    del listener
    link = Transport(str(path))
    assert link.events() == 0
    with pytest.raises(NotSentError):
        link.send(b"hello")
    assert not link.ended
    link.close()


def test_what_a_dead_daemon_had_said_can_still_be_taken(path: Path, listener: socket.socket) -> None:
    link = Transport(str(path))
    daemon, _ = listener.accept()
    daemon.sendall(Stream(b"ROUTER", 100).opening + b"\x00\x04last")
    daemon.recv(1_000)
    daemon.close()
    assert receive(link) == b"last"
    wait_until(lambda: not link.events() & WRITABLE, "the end is noticed")
    assert link.ended


def test_a_dead_daemon_is_noticed_by_sending(path: Path, listener: socket.socket) -> None:
    link = Transport(str(path))
    daemon, _ = listener.accept()
    daemon.sendall(Stream(b"ROUTER", 100).opening)
    wait_until(lambda: link.is_up, "the link is up")
    daemon.close()
    with pytest.raises(NotSentError):
        link.send(b"hello")
    assert not link.is_up


def test_what_was_taken_before_the_daemon_died_may_have_run(path: Path, listener: socket.socket) -> None:
    """A whole request that was delivered must not count as never sent: it would be sent twice."""
    link = Transport(str(path))
    daemon, _ = listener.accept()
    daemon.sendall(Stream(b"ROUTER", 100).opening)
    wait_until(lambda: link.is_up, "the link is up")
    daemon.settimeout(5)
    request = os.urandom(3_000_000)
    link.send(request)
    assert link.unsent, "the case under test: the kernel has taken a part"
    daemon.close()
    link.flush()
    wait_until(lambda: not link.events() & WRITABLE, "the end is noticed")
    assert not link.unsent
    with pytest.raises(NotSentError):
        link.send(b"the next")


def test_answers_that_came_before_the_end_are_taken_after_a_failed_write(
    path: Path, listener: socket.socket
) -> None:
    link = Transport(str(path))
    daemon, _ = listener.accept()
    answer = os.urandom(100_000)
    daemon.sendall(Stream(b"ROUTER", 100).opening)
    wait_until(lambda: link.is_up, "the link is up")
    daemon.sendall(message_header(len(answer)) + answer)
    daemon.recv(1_000)
    daemon.close()
    with pytest.raises(NotSentError):
        link.send(b"hello")
    assert link.events() == READABLE
    message = link.receive()
    assert message is not None
    assert bytes(message) == answer


@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\n\r\n" + bytes(64), bytes(64)])
def test_who_does_not_speak_the_protocol_is_no_daemon(
    path: Path, listener: socket.socket, said: bytes
) -> None:
    link = Transport(str(path))
    daemon, _ = listener.accept()
    daemon.sendall(said)
    wait_until(lambda: link.events() == 0 and link.ended, "the link is given up")
    daemon.close()


def test_a_forked_child_has_no_copy_of_the_connection(path: Path, listener: socket.socket) -> None:
    link = Transport(str(path))
    daemon, _ = listener.accept()
    child = os.fork()
    if child == 0:
        try:
            os.fstat(link.descriptor)
        except OSError:
            os._exit(0)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    daemon.sendall(Stream(b"ROUTER", 100).opening)
    wait_until(lambda: link.is_up, "the parent's still stands")
    daemon.close()
