"""The way of a message: read, check, find the operation, answer once."""

from __future__ import annotations

import collections
import logging
import time
from typing import TYPE_CHECKING, Any

from glidecache_shared import protocol
from glidecache_shared.zmtp import TooLongError, ZmtpError
from glidecached.front.peers import OpenRequests
from glidecached.front.request import Request
from glidecached.front.shown import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from glidecached.deadlines import Deadlines
    from glidecached.front.peers import Peer
    from glidecached.front.router import RouterSocket

    Operation = Callable[[Request, list[Any]], object]

logger = logging.getLogger(__name__)

_MESSAGES_PER_TURN = 1_000
_HEADER_LENGTH = 4
_MAX_NUMBER = 2**63 - 1
_WARNING_INTERVAL_NS = 10_000_000_000

_WITHOUT_INSTANCE = frozenset((protocol.HELLO, protocol.PING))


class MalformedError(Exception):
    """A message that is not what the protocol says: `args[0]` says what was wrong and what would be right."""


class Front:
    """Takes requests from the socket, hands accepted ones to their operation, and sends the answers.

    Operations get the request and the body of the message, as a list; they raise `MalformedError` for a wrong body, and
    may answer at once or later. For the loop's thread; an `Intake` of the loop.
    """

    def __init__(
        self,
        socket: RouterSocket,
        deadlines: Deadlines,
        *,
        instance_id: int,
        max_requests_per_peer: int,
        max_message_bytes: int,
    ) -> None:
        self._socket = socket
        self._deadlines = deadlines
        self._instance_id = instance_id
        self._max_requests_per_peer = max_requests_per_peer
        self._max_message_bytes = max_message_bytes
        self._operations: Mapping[int, Operation] = {}
        self._open = OpenRequests(max_requests_per_peer)
        self._warned_ns = 0
        self.accepted = 0
        self.refused: collections.Counter[str] = collections.Counter()
        """Messages and answers that went nowhere, by cause."""

    def limit_requests(self, max_requests_per_peer: int) -> None:
        """How many requests a connection may have open from now on; what is open already stays."""
        self._max_requests_per_peer = self._open.max_per_peer = max_requests_per_peer

    def serve(self, operations: Mapping[int, Operation]) -> None:
        """Set the operations, by the protocol's numbers."""
        self._operations = operations

    @property
    def open_requests(self) -> int:
        """How many accepted requests have had no answer yet."""
        return self._open.total

    @property
    def pending(self) -> bool:
        """`loop.Intake`: whether there is more than the socket's descriptor announces."""
        return not self._socket.settled

    def receive(self) -> bool:
        """`loop.Intake`: take what came, up to a fair amount; whether nothing had come."""
        now_ns = time.monotonic_ns()
        taken = 0
        for identity, peer, frame in self._socket.receive(_MESSAGES_PER_TURN):
            taken += 1
            self._take(identity, peer, frame, now_ns)
        return not taken

    def answer(self, identity: bytes, *parts: bytes) -> None:
        """`request.Answering`: send, or count what cannot be sent."""
        if not self._socket.send(identity, *parts):
            self.refused["unroutable_answer"] += 1

    def finished(self, request: Request) -> None:
        """`request.Answering`: one place more for that peer."""
        self._open.leave(request.identity)

    def _take(self, identity: bytes, peer: Peer, frame: memoryview | ZmtpError, now_ns: int) -> None:
        if isinstance(frame, ZmtpError):
            self._refuse_unreadable(
                str(frame), "too_long" if isinstance(frame, TooLongError) else "unreadable"
            )
            return
        try:
            message = protocol.unpack(frame, self._max_message_bytes)
        except ValueError as error:
            self._refuse_unreadable(str(error) or type(error).__name__)
            return
        if type(message) is not list or len(message) < _HEADER_LENGTH or not _is_number(message[1]):
            self._refuse_unreadable("not [op, request_id, instance_id, deadline_ns, …]")
            return
        code, cause = self._check(message, now_ns)
        request = Request(self, identity, peer, message[1], message[3])
        if cause:
            self._refuse(request, code, cause)
        elif not self._open.enter(identity):
            bound = self._max_requests_per_peer
            self._refuse(
                request, protocol.ERROR_BUSY, f"{bound} requests of this connection are open already"
            )
        else:
            self.accepted += 1
            request.slot = self._deadlines.add(request, now_ns)
            self._run(self._operations[message[0]], request, message[_HEADER_LENGTH:])

    def _check(self, message: list[Any], now_ns: int) -> tuple[int, str]:
        """The header: why the request is refused, or nothing."""
        operation, _, instance_id, deadline_ns = message[:_HEADER_LENGTH]
        if type(operation) is not int or operation not in self._operations:
            return (
                protocol.ERROR_PROTOCOL,
                f"unknown operation {shown(operation)}; this is protocol {protocol.PROTOCOL_VERSION}",
            )
        if not _is_number(deadline_ns):
            return protocol.ERROR_PROTOCOL, "the deadline is not a positive 64-bit integer"
        if operation not in _WITHOUT_INSTANCE and instance_id != self._instance_id:
            return protocol.ERROR_STALE_INSTANCE, "meant for an earlier daemon; attach again"
        if deadline_ns <= now_ns:
            return protocol.ERROR_OVERDUE, "the deadline had passed before the daemon read the request"
        return 0, ""

    def _run(self, operation: Operation, request: Request, body: list[Any]) -> None:
        try:
            operation(request, body)
        except MalformedError as error:
            self.refused["malformed"] += 1
            request.fail(protocol.ERROR_PROTOCOL, str(error))
        except Exception:
            logger.exception("request %d of %s failed inside the daemon", request.request_id, request.peer)
            request.fail(protocol.ERROR_REQUEST, "glidecached failed on this request; its log says why")

    def _refuse(self, request: Request, code: int, message: str) -> None:
        self.refused[_CAUSES[code]] += 1
        logger.debug("refused request %d of %s: %s", request.request_id, request.peer, message)
        self.answer(
            request.identity, protocol.pack((request.request_id, protocol.STATUS_ERROR, (code, message)))
        )

    def _refuse_unreadable(self, reason: str, cause: str = "unreadable") -> None:
        """There is no request id to answer: count, and say so now and then."""
        self.refused[cause] += 1
        now_ns = time.monotonic_ns()
        if now_ns - self._warned_ns >= _WARNING_INTERVAL_NS:
            self._warned_ns = now_ns
            logger.warning(
                "%s message dropped: %.200s (%d so far)", cause.replace("_", " "), reason, self.refused[cause]
            )


_CAUSES = {
    protocol.ERROR_PROTOCOL: "malformed",
    protocol.ERROR_STALE_INSTANCE: "stale_instance",
    protocol.ERROR_OVERDUE: "overdue",
    protocol.ERROR_BUSY: "busy",
}

REFUSAL_CAUSES = (*_CAUSES.values(), "unreadable", "too_long", "unroutable_answer")
"""All keys that `Front.refused` can have."""


def _is_number(value: Any) -> bool:
    return type(value) is int and 0 < value <= _MAX_NUMBER
