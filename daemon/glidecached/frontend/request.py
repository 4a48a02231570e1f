"""One request of a client, from the moment it is accepted until its one answer, or until it is cancelled (I1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import cython
from cython.cimports.glidecached.frontend.messages import reply_frame

from glidecache_shared.protocol import (
    ERROR_CLOSING,
    ERROR_REQUEST,
    ERROR_TIMEOUT,
    STATUS_ERROR,
    STATUS_OK,
    TOO_LATE,
    ReplyError,
    pack,
    pack_around,
)
from glidecached.frontend.caller import Caller
from glidecached.process.deadlines import Expiring

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecached.access import Peer
    from glidecached.budget import Account, OversizeLane
    from glidecached.command_order import CommandOrder
    from glidecached.process.deadlines import Deadlines
    from glidecached.upstream.interface import Upstream

# From here on a string is handed to the kernel as it came, without a copy in between.
LARGE_BYTES = cython.declare(cython.Py_ssize_t, 65_536)
OK = cython.declare(cython.longlong, STATUS_OK)
NO_REPLY = cython.declare(tuple, (ERROR_TIMEOUT, "no reply from the server in time"))

CLOSED = "the client was closed"


def is_plain(value: Any) -> cython.bint:
    """Return whether a reply is certainly no error: a byte string, an integer, or none."""
    return value is None or type(value) is bytes or type(value) is int


class Answering:
    """The receiver of answers: the dispatcher. Its methods are implemented by subclasses."""

    def answer(self, caller: Caller, message: bytes, rest: bytes | None) -> None:
        """Send one packed reply, in one part or two."""
        raise NotImplementedError

    def answer_framed(self, caller: Caller, frame: bytes) -> None:
        """Send one packed reply that is in its frame."""
        raise NotImplementedError

    def finished(self, request: Request) -> None:
        """Note that the request has had its answer."""
        raise NotImplementedError

    def why_full(self, caller: Caller, size_bytes: cython.Py_ssize_t) -> str | None:
        """Return the reason why a connection takes no answers now, or none of this length; or None."""
        raise NotImplementedError

    def pack_later(self, request: Request, value: Any) -> None:
        """Pack a reply that is large or contains rare types, and `finish` the request with it."""
        raise NotImplementedError

    def free_later(self, values: list[Any]) -> None:
        """Free a large body in slices."""
        raise NotImplementedError


class RequestSession(Protocol):
    """The session that a request names (`client_session.ClientSession`)."""

    @property
    def upstream(self) -> Upstream:
        """Return the upstream that drops the calls of cancelled requests."""


class Request(Expiring):
    """An accepted request. The first call of `reply`, `fail`, `expire` or `cancel` ends it; later calls do nothing."""

    finished: bool
    session: RequestSession | None
    """The session that it names, once its operation has looked it up."""
    expiry: tuple[int, str]
    """The code and the message of the error when its deadline passes."""
    frame_bytes: int
    """The length of its message."""
    behind: Request | None
    """The next one of the requests that wait for the same flight."""
    order: CommandOrder | None
    """The order that it belongs to once it is on its way upstream."""
    account: Account | None
    cost_bytes: int
    lane: OversizeLane | None
    ballast: list[Any] | None
    on_finish: Callable[[], object] | None
    """Called once it is finished: gives back the units that were counted for it."""

    def __init__(
        self,
        dispatcher: Answering,
        identity: bytes,
        peer: Peer,
        request_id: cython.longlong,
        deadline_ns: cython.longlong,
    ) -> None:
        self.dispatcher = dispatcher
        self.caller = Caller(identity, peer)
        self.request_id = request_id
        self.deadline_ns = deadline_ns
        self.expiry = NO_REPLY

    @property
    def identity(self) -> bytes:
        """Return the identity of its connection."""
        return self.caller.identity

    @property
    def peer(self) -> Peer:
        """Return the process that sent it."""
        return self.caller.peer

    def refusal(self, reply_bytes: cython.Py_ssize_t) -> str | None:
        """Return the reason why there is no room for an answer of this length: earlier ones have not been read."""
        return self.dispatcher.why_full(self.caller, reply_bytes)

    def charge(self, account: Account, size: cython.Py_ssize_t) -> cython.bint:
        """Charge its connection's account with this many bytes more until it ends. Return False without room."""
        if not account.charge(size):
            return False
        self.assume(account, size)
        return True

    def assume(self, account: Account, size: cython.Py_ssize_t) -> None:
        """Give back this many bytes of the account, which it already holds, at the end."""
        self.account = account
        self.cost_bytes += size

    def take_place(self, order: CommandOrder) -> None:
        """Take a place in its client's order, until it ends."""
        order.enter()
        self.order = order

    def reply(self, value: Any) -> None:
        """Answer with the server's reply or a result; a `ReplyError` is the server's refusal."""
        if self.finished:
            return
        if type(value) is bytes and len(cython.cast(bytes, value)) >= LARGE_BYTES:
            around, value = pack_around((self.request_id, STATUS_OK), value)
            self.finish(around, value)
            return
        if not is_plain(value) and isinstance(value, ReplyError):
            self.fail(ERROR_TIMEOUT if value is TOO_LATE else ERROR_REQUEST, str(value))
            return
        frame: bytes | None = reply_frame(self.request_id, OK, value)
        if frame is None:
            # Large replies, and those with rare types: sets, floating-point numbers, errors.
            self.dispatcher.pack_later(self, value)
        else:
            self.finish_framed(frame)

    def fail(self, code: cython.int, message: str) -> None:
        """Answer with one of the protocol's errors."""
        if not self.finished:
            self.finish(pack((self.request_id, STATUS_ERROR, (code, message))))

    def expire(self) -> None:
        """Fail with `expiry`, a code and a message: the deadline has passed without an answer."""
        self.fail(self.expiry[0], self.expiry[1])

    def cancel(self) -> None:
        """End without an answer: the caller no longer waits."""
        if not self.finished:
            self.end()
            self.dispatcher.finished(self)

    def finish(self, message: bytes, rest: bytes | None = None) -> None:
        """Answer with an already packed message, in one part or two. Only while it is not `finished`."""
        # First: its answer may need the room that it held.
        self.end()
        self.dispatcher.answer(self.caller, message, rest)
        self.dispatcher.finished(self)

    def finish_framed(self, frame: bytes) -> None:
        """Do what `finish` does, with a message that is in its frame."""
        self.end()
        self.dispatcher.answer_framed(self.caller, frame)
        self.dispatcher.finished(self)

    def end(self) -> None:
        """Leave the deadlines and the client's order, and release its resources."""
        self.finished = True
        if self.slot is not None:
            self.slot.discard(self)
        if self.order is not None:
            self.order.leave()
        self.release()

    def release(self) -> None:
        """Give back the bounded resources of the daemon that it holds."""
        if self.account is not None:
            self.account.credit(self.cost_bytes)
            self.account = None
        if self.lane is not None:
            self.lane.leave(self)
            self.lane = None
        if self.ballast is not None:
            ballast, self.ballast = self.ballast, None
            self.dispatcher.free_later(ballast)
        if self.on_finish is not None:
            on_finish, self.on_finish = self.on_finish, None
            on_finish()


class Cancellations:
    """The cancellations: of open requests without a peer, and of requests that a client cancels. For the loop's thread.

    Requests have no index by peer: every request would pay for it. The open requests are in `deadlines`. They are
    scanned once per turn in which something was cancelled, however many cancellations there were. Then the upstreams
    concerned drop commands that were sent or queued for these requests alone.
    """

    def __init__(self, deadlines: Deadlines) -> None:
        self.deadlines = deadlines
        self.peers: set[bytes] = set()
        self.named: dict[bytes, set[int]] = {}
        self.sessions: list[tuple[RequestSession, Request]] = []
        self.planned = False
        self.cancelled = 0
        """The number of cancelled requests."""

    def peer_ended(self, caller: Caller) -> None:
        """End all requests of a connection that has ended."""
        if caller.open_requests:
            self.peers.add(caller.identity)
            self.plan()

    def cancel(self, caller: Caller, request_id: int) -> None:
        """End one request of a connection without an answer. A request that is not open is ignored."""
        if caller.open_requests:
            self.named.setdefault(caller.identity, set()).add(request_id)
            self.plan()

    def session_ended(self, session: RequestSession, detach: Request) -> None:
        """End the requests that the detaching process still has open in the session: they fail with `CLOSING`.

        Forked children share the session with the process that made it; their requests continue.
        """
        self.sessions.append((session, detach))
        self.plan()

    def plan(self) -> None:
        """Arrange for the scan at the end of this turn."""
        if not self.planned:
            self.planned = True
            self.deadlines.loop.defer(self._carry_out)

    def _carry_out(self) -> None:
        request: Request
        cancelled: list[Request] = []
        closed: list[Request] = []
        self.planned = False
        for request in self.deadlines:
            if self.is_cancelled(request):
                cancelled.append(request)
            elif self.sessions and self.is_closed_with_session(request):
                closed.append(request)
        self.peers.clear()
        self.named.clear()
        self.sessions = []
        for request in cancelled:
            request.cancel()
        for request in closed:
            request.fail(ERROR_CLOSING, CLOSED)
        sessions = [request.session for request in cancelled + closed if request.session is not None]
        self.cancelled += len(cancelled) + len(closed)
        for upstream in {session.upstream for session in sessions}:
            upstream.drop_unwanted()

    def is_cancelled(self, request: Request) -> bool:
        """Return whether its connection has ended, or a CANCEL names it."""
        if self.peers and request.caller.identity in self.peers:
            return True
        if not self.named:
            return False
        ids = self.named.get(request.caller.identity)
        return ids is not None and request.request_id in ids

    def is_closed_with_session(self, request: Request) -> bool:
        """Return whether a DETACH of the request's own process ended the session that the request names."""
        detach: Request
        for session, detach in self.sessions:
            if session is not request.session or request is detach:
                continue
            # The kernel may not show a process's number; then it is 0, as for all such processes.
            if request.identity == detach.identity or (
                request.peer.pid and request.peer.pid == detach.peer.pid
            ):
                return True
        return False
