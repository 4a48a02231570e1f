"""The ROUTER socket, with libzmq's peers and with clumsy ones."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import stat
from typing import TYPE_CHECKING, Any, cast

import pytest
import zmq

from glidecache_shared.wire.zmtp import TooLongError, ZmtpError
from glidecached.access import Peer
from glidecached.frontend.listener import Listener
from glidecached.process.turn_end import TurnEnd
from support.paired_peers import NoTurns, received
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
OPENING = GREETING + b"\x04\x1c\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "glidecached.sock"


@pytest.fixture
def router(path: Path) -> Iterator[Listener]:
    router = open_router(path)
    yield router
    router.close()


def open_router(path: Path) -> Listener:
    """One whose answers leave at once."""
    return Listener(str(path), max_message_bytes=1_000, max_requests=10, turn_end=NoTurns())


@pytest.fixture
def peer(path: Path, router: Listener) -> Iterator[zmq.Socket[bytes]]:
    del router  # is there first
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.connect(f"ipc://{path}")
        yield socket


@pytest.fixture
def stranger(path: Path, router: Listener) -> Iterator[socket.socket]:
    """A connection on which nothing has been said yet."""
    del router
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as plain:
        plain.settimeout(5)
        plain.connect(str(path))
        yield plain


def send(router: Listener, identity: bytes, answer: bytes) -> bool | str:
    connection = router.connections.by_identity.get(identity)
    return connection is not None and router.connections.send(connection, answer)


def take(router: Listener, count: int = 1) -> list[tuple[bytes, Peer, Any]]:
    """What comes next, at least so many messages."""
    taken: list[tuple[bytes, Peer, Any]] = []

    def enough_came() -> bool:
        taken.extend(
            (identity, peer, message if isinstance(message, ZmtpError) else bytes(message))
            for identity, peer, message in received(router.connections, 100)
        )
        return len(taken) >= count

    wait_until(enough_came, "messages came")
    return taken


def receive(router: Listener, peer: Any) -> bytes:
    """The peer's next message, while the router works."""

    def came() -> bool:
        assert list(received(router.connections, 100)) == []
        return bool(peer.poll(0))

    wait_until(came, "the answer came")
    answer: bytes = peer.recv()
    return answer


def test_messages_come_with_what_the_kernel_says_of_their_sender(router: Listener, peer: Any) -> None:
    peer.send(b"hello")
    ((identity, sender, message),) = take(router)
    assert message == b"hello"
    assert sender == Peer(os.getuid(), os.getgid(), os.getpid(), tuple(os.getgroups()))
    assert send(router, identity, b"answer")
    assert receive(router, peer) == b"answer"


def test_each_peer_gets_its_own_answer(router: Listener, path: Path) -> None:
    with zmq.Context() as context, context.socket(zmq.DEALER) as one, context.socket(zmq.DEALER) as other:
        for name, peer in ((b"one", one), (b"other", other)):
            peer.setsockopt(zmq.LINGER, 0)
            peer.connect(f"ipc://{path}")
            peer.send(name)
        for identity, _, message in take(router, 2):
            assert send(router, identity, b"to " + message)
        assert receive(router, one) == b"to one"
        assert receive(router, other) == b"to other"


def test_no_more_is_taken_than_asked_and_the_rest_comes_next(
    router: Listener, stranger: socket.socket
) -> None:
    stranger.sendall(OPENING + b"\x00\x01a\x00\x01b\x00\x01c")
    taken: list[bytes] = []

    def two_came() -> bool:
        taken.extend(bytes(cast("memoryview", message)) for _, _, message in received(router.connections, 2))
        return len(taken) >= 2

    wait_until(two_came, "two messages came")
    assert taken == [b"a", b"b"]
    assert router.connections.has_messages
    assert [message for _, _, message in take(router)] == [b"c"]
    assert not router.connections.has_messages


def test_what_has_several_frames_is_told_apart_and_taken_whole(router: Listener, peer: Any) -> None:
    peer.send_multipart([b"a", b"b", b"c"])
    peer.send(b"next")
    first, second = (message for _, _, message in take(router, 2))
    assert isinstance(first, ZmtpError)
    assert second == b"next"


def test_answers_to_nobody_are_refused(router: Listener, peer: Any) -> None:
    assert not send(router, b"nobody", b"answer")
    peer.send(b"hello")
    ((identity, _, _),) = take(router)
    peer.close()

    def refused() -> bool:
        assert list(received(router.connections, 100)) == []
        return not send(router, identity, b"answer")

    wait_until(refused, "the peer is known to be gone")


def test_a_peer_that_does_not_read_is_refused_in_the_end(router: Listener, peer: Any) -> None:
    peer.setsockopt(zmq.RCVHWM, 1)
    peer.send(b"hello")
    ((identity, _, _),) = take(router)
    assert not all(send(router, identity, b"x" * 100_000) for _ in range(5_000))


def test_a_message_over_the_limit_ends_its_connection(router: Listener, peer: Any) -> None:
    peer.send(b"x" * 1_000)
    ((identity, _, message),) = take(router)
    assert message == b"x" * 1_000
    peer.send(b"x" * 1_001)
    ((_, _, error),) = take(router)
    assert isinstance(error, TooLongError)
    assert not send(router, identity, b"answer")


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" + bytes(64),
        bytes(64),
        b"\xff" + bytes(8) + b"\x7f\x01" + bytes(53),
        b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"CURVE".ljust(20, b"\0") + bytes(32),
        GREETING + b"\x00\x05hello",
        GREETING + b"\x04\x00",
        GREETING + b"\x04\x06\x05READY" + b"\x00\x02no",
        GREETING + b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB",
        GREETING + b"\x04\x16\x05READY\x0bSocket-Type\x00\x00\xff\xff",
        GREETING + b"\x80\x01a",
        GREETING + b"\x06" + bytes(4) + b"\xff" * 4,
        OPENING + b"\x02" + b"\xff" * 8,
    ],
)
def test_who_does_not_speak_the_protocol_is_shown_out(
    router: Listener, stranger: socket.socket, said: bytes
) -> None:
    stranger.sendall(said)
    ((_, _, error),) = take(router)
    assert isinstance(error, ZmtpError)
    assert stranger.recv(1_000)[:1] == b"\xff", "the router's greeting"
    assert stranger.recv(1_000) == b""


def test_what_comes_byte_by_byte_is_read(router: Listener, stranger: socket.socket) -> None:
    for byte in OPENING + b"\x00\x05hello":
        assert list(received(router.connections, 1)) == []
        stranger.sendall(bytes((byte,)))
    ((_, _, message),) = take(router)
    assert message == b"hello"


def test_a_heartbeat_is_answered(router: Listener, stranger: socket.socket) -> None:
    stranger.sendall(OPENING + b"\x04\x09\x04PING\x00\x0ame" + b"\x00\x01!")
    ((identity, _, message),) = take(router)
    assert message == b"!"
    assert send(router, identity, b"answer")
    assert stranger.recv(1_000).endswith(b"\x04\x07\x04PONGme" + b"\x00\x06answer")


def test_a_heartbeat_alone_is_answered(router: Listener, stranger: socket.socket) -> None:
    stranger.sendall(OPENING + b"\x04\x09\x04PING\x00\x0ame")
    stranger.setblocking(False)
    heard = bytearray()

    def answered() -> bool:
        assert list(received(router.connections, 100)) == []
        with contextlib.suppress(BlockingIOError):
            heard.extend(stranger.recv(1_000))
        return heard.endswith(b"\x04\x07\x04PONGme")

    wait_until(answered, "the heartbeat is answered")


def test_heartbeats_by_one_who_does_not_read_end_the_connection(
    router: Listener, stranger: socket.socket
) -> None:
    stranger.sendall(OPENING)
    ping = b"\x06" + (4_000).to_bytes(8, "big") + b"\x04PING\x00\x00" + bytes(3_993)
    stranger.setblocking(False)
    came: list[object] = []

    def ended() -> bool:
        with contextlib.suppress(BlockingIOError, ConnectionError):
            stranger.send(ping * 10)
        came.extend(message for _, _, message in received(router.connections, 100))
        return bool(came)

    wait_until(ended, "the connection is ended")
    assert isinstance(came[0], ZmtpError)
    assert not router.connections


def test_one_who_floods_leaves_the_others_their_turns(
    router: Listener, stranger: socket.socket, peer: Any
) -> None:
    stranger.setblocking(False)
    stranger.sendall(OPENING)
    flood = b"\x00\x01x" * 10_000
    peer.send(b"me too")
    taken: list[bytes] = []
    turns = 0
    while b"me too" not in taken:
        with contextlib.suppress(BlockingIOError):
            stranger.send(flood)
        taken += [bytes(cast("memoryview", message)) for _, _, message in received(router.connections, 100)]
        turns += 1
        assert turns < 1_000 or taken.count(b"x") < 100_000, "the other one has no turn"


def test_answers_that_nobody_reads_are_bounded_by_their_bytes(router: Listener, peer: Any) -> None:
    peer.setsockopt(zmq.RCVHWM, 1)
    peer.send(b"hello")
    ((identity, _, _),) = take(router)
    queued = 0
    while (outcome := send(router, identity, bytes(10_000_000))) is True:
        queued += 1
        assert queued < 40
    assert "buffers for clients are full for process" in str(outcome)


def test_nothing_is_received_any_more_while_answers_go_out(path: Path) -> None:
    router = open_router(path)
    with zmq.Context() as context, context.socket(zmq.DEALER) as peer:
        peer.connect(f"ipc://{path}")
        peer.send(b"hello")
        ((identity, _, _),) = take(router)
        answer = os.urandom(5_000_000)
        assert send(router, identity, answer)
        router.stop_receiving()
        peer.send(b"too late")
        wait_until(
            lambda: router.connections.write() or not router.connections.unsent, "the answer is written"
        )
        assert peer.recv() == answer
        router.close()


def test_closing_does_not_mind_many_descriptors(path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4_096, hard), hard))
    with contextlib.ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        router = open_router(path)
        context = stack.enter_context(zmq.Context())
        peer = stack.enter_context(context.socket(zmq.DEALER))
        peer.setsockopt(zmq.RCVHWM, 1)
        peer.setsockopt(zmq.LINGER, 0)
        others = [os.open(os.devnull, os.O_RDONLY) for _ in range(1_024)]
        stack.callback(lambda: [os.close(other) for other in others])
        peer.connect(f"ipc://{path}")
        peer.send(b"hello")
        ((identity, _, _),) = take(router)
        for _ in range(3):
            send(router, identity, bytes(5_000_000))
        assert router.connections.unsent
        router.close()
        assert not path.exists()


def test_who_has_gone_is_forgotten_with_what_it_had_not_finished(
    router: Listener, stranger: socket.socket
) -> None:
    stranger.sendall(OPENING + b"\x00\x05whole\x00\x05hal")
    stranger.close()
    assert [message for _, _, message in take(router)] == [b"whole"]
    wait_until(
        lambda: list(received(router.connections, 1)) == [] and not router.connections, "it is forgotten"
    )


def test_without_descriptors_a_client_is_turned_away_and_the_next_one_served(
    router: Listener, path: Path
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket(socket.AF_UNIX) as first, zmq.Context() as context:
        spare = context.socket(zmq.DEALER)
        resource.setrlimit(resource.RLIMIT_NOFILE, (first.fileno() + 1, hard))
        try:
            first.settimeout(5)
            first.connect(str(path))
            wait_until(
                lambda: list(received(router.connections, 1)) == [] and first.recv(1) == b"",
                "it was turned away",
            )
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        spare.connect(f"ipc://{path}")
        spare.send(b"hello")
        assert [message for _, _, message in take(router)] == [b"hello"]
        spare.close(0)


def test_a_hidden_socket_still_answers_who_is_connected(router: Listener, peer: Any, path: Path) -> None:
    peer.send(b"hello")
    ((identity, _, _),) = take(router)
    router.hide()
    assert not path.exists()
    assert send(router, identity, b"answer")
    assert receive(router, peer) == b"answer"


def test_closing_sends_what_was_answered(path: Path) -> None:
    router = Listener(str(path), max_message_bytes=1_000, max_requests=10, turn_end=TurnEnd())
    with zmq.Context() as context, context.socket(zmq.DEALER) as peer:
        peer.connect(f"ipc://{path}")
        peer.send(b"hello")
        ((identity, _, _),) = take(router)
        answer = os.urandom(3_000_000)
        assert send(router, identity, answer)
        router.close()
        assert peer.recv() == answer


def test_the_socket_is_its_owners_and_its_groups(router: Listener, path: Path) -> None:
    del router
    assert stat.S_IMODE(path.stat().st_mode) == 0o770


def test_an_endpoint_that_cannot_be_bound_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no/such"):
        open_router(tmp_path / "no/such/path")


def test_large_answers_come_whole(router: Listener, peer: Any) -> None:
    peer.send(b"hello")
    ((identity, _, _),) = take(router)
    answer = os.urandom(3_000_000)
    assert send(router, identity, answer)
    assert receive(router, peer) == answer
