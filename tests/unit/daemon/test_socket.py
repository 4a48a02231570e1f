"""The ROUTER socket, with real peers."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

import pytest
import zmq

from glidecached.front.peers import Peer, parse_peer
from glidecached.front.socket import RouterSocket
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "glidecached.sock"


@pytest.fixture
def router(path: Path) -> Iterator[RouterSocket]:
    router = RouterSocket(str(path), max_message_bytes=1_000, max_requests=10)
    yield router
    router.close()


@pytest.fixture
def peer(path: Path, router: RouterSocket) -> Iterator[zmq.Socket[bytes]]:
    del router  # is there first
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.connect(f"ipc://{path}")
        yield socket


def take(router: RouterSocket) -> list[tuple[bytes, Any]]:
    """What comes next, at least one message."""
    taken: list[tuple[bytes, Any]] = []

    def something_came() -> bool:
        taken.extend(router.receive(100))
        return bool(taken)

    wait_until(something_came, "a message came")
    return taken


def test_messages_come_with_what_the_kernel_says_of_their_sender(router: RouterSocket, peer: Any) -> None:
    peer.send(b"hello")
    ((identity, frame),) = take(router)
    assert frame.bytes == b"hello"
    assert parse_peer(frame.get("Peer-Address")) == Peer(os.getuid(), os.getgid(), os.getpid())
    assert router.settled
    assert router.send(identity, b"answer")
    assert not router.settled
    assert peer.recv() == b"answer"


def test_what_has_several_frames_is_told_apart_and_taken_whole(router: RouterSocket, peer: Any) -> None:
    peer.send_multipart([b"a", b"b", b"c"])
    peer.send(b"next")
    taken = take(router)
    while len(taken) < 2:
        taken += take(router)
    assert taken[0][1] is None
    assert taken[1][1].bytes == b"next"


def test_answers_to_nobody_are_refused(router: RouterSocket) -> None:
    assert not router.send(b"nobody", b"answer")


def test_a_peer_that_does_not_read_is_refused_in_the_end(router: RouterSocket, peer: Any) -> None:
    peer.setsockopt(zmq.RCVHWM, 1)
    peer.send(b"hello")
    ((identity, _),) = take(router)
    assert not all(router.send(identity, b"x" * 100_000) for _ in range(5_000))


def test_a_message_over_the_limit_never_arrives(router: RouterSocket, peer: Any) -> None:
    peer.send(b"x" * 1_001)
    assert not peer.poll(200)
    assert list(router.receive(10)) == []


def test_a_hidden_socket_still_answers_who_is_connected(router: RouterSocket, peer: Any, path: Path) -> None:
    peer.send(b"hello")
    ((identity, _),) = take(router)
    router.hide()
    assert not path.exists()
    assert router.send(identity, b"answer")
    assert peer.recv() == b"answer"


def test_the_socket_is_its_owners_and_its_groups(router: RouterSocket, path: Path) -> None:
    del router
    assert stat.S_IMODE(path.stat().st_mode) == 0o770


def test_an_endpoint_that_cannot_be_bound_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no/such"):
        RouterSocket(str(tmp_path / "no/such/path"), max_message_bytes=1_000, max_requests=10)


def test_large_answers_come_whole(router: RouterSocket, peer: Any) -> None:
    peer.send(b"hello")
    ((identity, _),) = take(router)
    answer = os.urandom(3_000_000)
    assert router.send(identity, answer)
    assert peer.recv() == answer
