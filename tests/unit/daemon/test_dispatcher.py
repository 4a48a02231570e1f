"""The way of a message through the dispatcher: refusals, their codes, and one answer to each request."""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from glidecache_shared import protocol
from glidecache_shared.wire.zmtp import message_header
from glidecached.access import Peer
from glidecached.budget import OpenRequests
from glidecached.frontend.caller import Caller
from glidecached.frontend.dispatcher import Dispatcher, MalformedError
from glidecached.process.deadlines import Deadlines
from support.paired_peers import AtOnce, PairedPeers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from glidecached.frontend.request import Request

INSTANCE = 77
FAR_NS = 2**62


class Desk:
    """A dispatcher, its peers, and the requests that its one operation was given."""

    def __init__(self, loop: Any) -> None:
        self.peers = PairedPeers()
        self.requests: list[Request] = []
        self.dispatcher = Dispatcher(
            self.peers.connections,
            Deadlines(loop),
            instance_id=INSTANCE,
            max_requests_per_peer=3,
            sliced_work=AtOnce(),  # type: ignore[arg-type]
            knows_session=lambda _session_id, _uid: True,
        )
        self.dispatcher.serve(
            {protocol.PING: self._take, protocol.COMMAND: self._take, protocol.STATS: self._fail}
        )
        self._sent: list[tuple[bytes, Any]] = []

    @property
    def sent(self) -> list[tuple[bytes, Any]]:
        """The answers so far, with the identities of their receivers."""
        self._sent += self.peers.answers()
        return self._sent

    def _take(self, request: Request, body: list[Any]) -> None:
        if body == ["wrong"]:
            message = "that is wrong"
            raise MalformedError(message)
        self.requests.append(request)

    def _fail(self, request: Request, body: list[Any]) -> None:
        raise RuntimeError(request, body)

    def put(self, message: Any, identity: bytes = b"peer") -> None:
        """Send one message."""
        content = message if isinstance(message, bytes) else protocol.pack(message)
        self.peers.put(message_header(len(content)) + content, identity)

    def ask(self, message: Any, identity: bytes = b"peer") -> list[Any]:
        """Send one message; the answers so far, without identities."""
        self.put(message, identity)
        self.dispatcher.receive()
        return [answer for _, answer in self.sent]


@pytest.fixture
def desk(loop: Any) -> Iterator[Desk]:
    desk = Desk(loop)
    yield desk
    desk.peers.close()


@pytest.mark.parametrize("length", [0, 1, 65_535, 65_536, 1_000_000])
def test_strings_of_all_lengths_are_answered_whole(desk: Desk, length: int) -> None:
    desk.ask([protocol.COMMAND, 5, INSTANCE, FAR_NS])
    (request,) = desk.requests
    request.reply(b"x" * length)
    assert desk.sent == [(b"peer", [5, protocol.STATUS_OK, b"x" * length])]


def test_an_accepted_request_is_answered_once(desk: Desk) -> None:
    assert desk.ask([protocol.COMMAND, 5, INSTANCE, FAR_NS]) == []
    (request,) = desk.requests
    assert request.peer == Peer(os.getuid(), os.getgid(), os.getpid(), tuple(os.getgroups()))
    assert desk.dispatcher.open_requests == 1
    request.reply({b"a": 1})
    request.reply("again")
    request.fail(protocol.ERROR_REQUEST, "and again")
    request.expire()
    assert desk.sent == [(b"peer", [5, protocol.STATUS_OK, {b"a": 1}])]
    assert desk.dispatcher.open_requests == 0


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ([99, 1, INSTANCE, FAR_NS], protocol.ERROR_PROTOCOL),
        (["PING", 1, INSTANCE, FAR_NS], protocol.ERROR_PROTOCOL),
        ([True, 1, INSTANCE, FAR_NS], protocol.ERROR_PROTOCOL),
        ([[protocol.PING], 1, INSTANCE, FAR_NS], protocol.ERROR_PROTOCOL),
        ([protocol.PING, 1, INSTANCE, "soon"], protocol.ERROR_PROTOCOL),
        ([protocol.PING, 1, INSTANCE, 2**64], protocol.ERROR_PROTOCOL),
        ([protocol.COMMAND, 1, INSTANCE + 1, FAR_NS], protocol.ERROR_STALE_INSTANCE),
        ([protocol.COMMAND, 1, None, FAR_NS], protocol.ERROR_STALE_INSTANCE),
        ([protocol.COMMAND, 1, INSTANCE, 1], protocol.ERROR_OVERDUE),
        ([protocol.COMMAND, 1, INSTANCE, FAR_NS, "wrong"], protocol.ERROR_PROTOCOL),
        ([protocol.STATS, 1, INSTANCE, FAR_NS], protocol.ERROR_REQUEST),
    ],
)
def test_requests_that_are_refused(desk: Desk, message: list[Any], code: int) -> None:
    ((request_id, status, body),) = desk.ask(message)
    assert (request_id, status, body[0]) == (1, protocol.STATUS_ERROR, code)
    assert body[1]
    assert desk.dispatcher.open_requests == 0
    assert desk.requests == []


def test_a_ping_is_for_any_instance(desk: Desk) -> None:
    desk.ask([protocol.PING, 1, 0, FAR_NS])
    assert len(desk.requests) == 1


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\xc1",
        b"\x93\x01",
        protocol.pack([]) + b"\x00",
        [],
        7,
        {"op": 1},
        [protocol.PING, 1, 0],
        [protocol.PING, 0, 0, FAR_NS],
        [protocol.PING, -1, 0, FAR_NS],
        [protocol.PING, 2**63, 0, FAR_NS],
        [protocol.PING, True, 0, FAR_NS],
        [protocol.PING, 1.0, 0, FAR_NS],
    ],
    ids=repr,
)
def test_what_has_no_request_id_is_counted_and_dropped(desk: Desk, message: Any) -> None:
    assert desk.ask(message) == []
    assert desk.dispatcher.refused == {"unreadable": 1}


def test_what_the_socket_could_not_read_is_counted_by_its_cause(desk: Desk) -> None:
    desk.peers.put(b"\x01\x01a\x00\x01b", b"peer")
    desk.peers.put(message_header(1_000_000), b"peer")
    desk.dispatcher.receive()
    assert desk.dispatcher.refused == {"unreadable": 1, "too_long": 1}


def test_a_flood_of_unreadable_messages_does_not_flood_the_log(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(50):
            desk.ask(b"\xc1")
    assert len(caplog.records) == 1
    assert desk.dispatcher.refused["unreadable"] == 50


def test_each_peer_has_a_bounded_number_of_open_requests(desk: Desk) -> None:
    for number in range(1, 6):
        desk.ask([protocol.COMMAND, number, INSTANCE, FAR_NS])
    assert [(answer[0], answer[2][0]) for _, answer in desk.sent] == [
        (4, protocol.ERROR_BUSY),
        (5, protocol.ERROR_BUSY),
    ]
    desk.put([protocol.COMMAND, 6, INSTANCE, FAR_NS], identity=b"another")
    desk.dispatcher.receive()
    desk.requests[0].reply(None)
    desk.ask([protocol.COMMAND, 7, INSTANCE, FAR_NS])
    assert [request.request_id for request in desk.requests] == [1, 2, 3, 6, 7]


def test_a_request_that_is_not_answered_in_time_expires(desk: Desk, loop: Any) -> None:
    loop.now_ns = time.monotonic_ns()
    desk.ask([protocol.COMMAND, 1, INSTANCE, loop.now_ns + 50_000_000])
    loop.pass_time(40)
    assert desk.sent == []
    loop.pass_time(20)
    assert desk.sent[0][1][2][0] == protocol.ERROR_TIMEOUT
    assert desk.dispatcher.open_requests == 0


def test_answers_to_peers_that_are_gone_are_counted(desk: Desk) -> None:
    desk.ask([protocol.COMMAND, 1, INSTANCE, FAR_NS])
    desk.peers.drop(b"peer")
    desk.requests[0].reply(1)
    assert desk.dispatcher.refused == {"unroutable_answer": 1}
    assert desk.dispatcher.open_requests == 0


def test_a_reply_too_deep_for_the_protocol_is_an_error(desk: Desk) -> None:
    deep: list[Any] = []
    for _ in range(2_000):
        deep = [deep]
    desk.ask([protocol.COMMAND, 1, INSTANCE, FAR_NS])
    desk.requests[0].reply(deep)
    assert desk.sent[0][1][2][0] == protocol.ERROR_REQUEST


def test_open_requests_forget_peers_without_any() -> None:
    requests = OpenRequests(1)
    caller = Caller(b"a", Peer(1, 1, 1))
    assert requests.enter(caller)
    assert (requests.total, requests.peers) == (1, 1)
    assert not requests.enter(caller)
    requests.leave(caller)
    assert (requests.total, requests.peers) == (0, 0)


@pytest.mark.parametrize("depth", [3, 10, 14])
def test_what_is_shown_of_a_message_is_bounded(desk: Desk, depth: int) -> None:
    """`repr` of what is nested so deeply fails; of what is long it costs what the message may cost."""
    nested: Any = []
    for _ in range(depth):
        nested = [nested]
    [[_, status, (code, text)]] = desk.ask([nested, 5, INSTANCE, FAR_NS])
    assert (status, code) == (protocol.STATUS_ERROR, protocol.ERROR_PROTOCOL)
    assert text.startswith("unknown operation [[[...]]]")


@pytest.mark.parametrize("depth", [2, 2_000])
def test_sets_within_sets_are_not_decoded(depth: int) -> None:
    """None could be made, and a message of 1.4 KB with 200 of them would take all of the stack there is."""
    frame = b"\x90"
    for _ in range(depth):
        frame = b"\x91\xc9" + len(frame).to_bytes(4) + b"\x01" + frame
    with pytest.raises(ValueError, match="unknown msgpack extension 1"):
        protocol.unpack(frame)
    assert protocol.unpack(protocol.pack([{2**70, b"x"}])) == [{2**70, b"x"}]


class Upstream:
    """An upstream that counts how often it is asked it to drop unwanted calls."""

    def __init__(self) -> None:
        self.dropped = 0

    def drop_unwanted(self) -> None:
        self.dropped += 1


class SessionOf:
    """The parts of a session that requests use."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream


def opened(desk: Desk, *requests: tuple[int, str], session: Any = None) -> list[Request]:
    """Return the requests that are open, by id and connection."""
    for request_id, identity in requests:
        desk.ask([protocol.COMMAND, request_id, INSTANCE, FAR_NS], identity=identity.encode())
    for request in desk.requests:
        request.session = session
    return desk.requests


def end_turn(loop: Any) -> None:
    deferred, loop.deferred = loop.deferred, []
    for callback in deferred:
        callback()


def test_i1_requests_end_with_their_connection(desk: Desk, loop: Any) -> None:
    upstream = Upstream()
    requests = opened(desk, (1, "a"), (2, "a"), (1, "b"), session=SessionOf(upstream))
    desk.dispatcher.cancellations.peer_ended(desk.peers.connection(b"a"))
    end_turn(loop)
    assert [request.finished for request in requests] == [True, True, False]
    assert (upstream.dropped, desk.dispatcher.open_requests) == (1, 1)
    assert desk.sent == []
    for request in requests:
        request.reply(b"late")
    assert desk.sent == [(b"b", [1, protocol.STATUS_OK, b"late"])]
    assert desk.dispatcher.open_requests == 0


def test_i1_a_cancelled_request_is_the_named_one_alone(desk: Desk, loop: Any) -> None:
    upstream = Upstream()
    requests = opened(desk, (1, "a"), (2, "a"), (1, "b"), session=SessionOf(upstream))
    desk.dispatcher.cancellations.cancel(desk.peers.connection(b"a"), 1)
    desk.dispatcher.cancellations.cancel(desk.peers.connection(b"a"), 99)
    desk.dispatcher.cancellations.cancel(desk.peers.connection(b"nobody"), 1)
    end_turn(loop)
    assert [request.finished for request in requests] == [True, False, False]
    assert upstream.dropped == 1
    assert desk.dispatcher.cancellations.cancelled == 1
    desk.ask([protocol.COMMAND, 1, INSTANCE, FAR_NS], identity=b"a")
    end_turn(loop)
    assert not desk.requests[-1].finished, "a later request of that id was ended"


def test_i1_many_that_end_in_one_turn_are_looked_for_once(desk: Desk, loop: Any) -> None:
    upstream = Upstream()
    names = [f"peer {number}" for number in range(100)]
    opened(desk, *((1, name) for name in names), session=SessionOf(upstream))
    before = len(loop.deferred)
    for name in names:
        desk.dispatcher.cancellations.peer_ended(desk.peers.connection(name.encode()))
    assert len(loop.deferred) == before + 1
    end_turn(loop)
    assert (upstream.dropped, desk.dispatcher.open_requests) == (1, 0)


def test_i1_a_connection_without_open_requests_ends_without_a_search(desk: Desk, loop: Any) -> None:
    (request,) = opened(desk, (1, "a"))
    request.reply(None)
    before = len(loop.deferred)
    desk.dispatcher.cancellations.peer_ended(desk.peers.connection(b"a"))
    assert len(loop.deferred) == before


def test_i1_a_detached_sessions_requests_fail_and_other_sessions_stay(desk: Desk, loop: Any) -> None:
    upstream = Upstream()
    mine, other = SessionOf(upstream), SessionOf(upstream)
    first, second, detach = opened(desk, (1, "a"), (2, "b"), (3, "a"), session=mine)
    second.session = other
    desk.dispatcher.cancellations.session_ended(mine, detach)  # type: ignore[arg-type]
    end_turn(loop)
    assert (first.finished, second.finished, detach.finished) == (True, False, False)
    ((_, (request_id, status, body)),) = desk.sent
    assert (request_id, status, body[0]) == (1, protocol.STATUS_ERROR, protocol.ERROR_CLOSING)


def test_i1_a_forked_child_keeps_its_requests_when_the_parent_detaches(desk: Desk, loop: Any) -> None:
    session = SessionOf(Upstream())
    childs, detach = opened(desk, (1, "child"), (2, "parent"), session=session)
    childs.caller = Caller(b"child", Peer(uid=1000, gid=1000, pid=43))
    desk.dispatcher.cancellations.session_ended(session, detach)  # type: ignore[arg-type]
    end_turn(loop)
    assert not childs.finished
    for hidden in (childs, detach):  # a process of a namespace that the kernel does not show
        hidden.caller = Caller(hidden.identity, Peer(uid=1000, gid=1000, pid=0))
    desk.dispatcher.cancellations.session_ended(session, detach)  # type: ignore[arg-type]
    end_turn(loop)
    assert not childs.finished
