"""Dispatch of a message: read, check, find the operation, answer once."""

from __future__ import annotations

import collections
import logging
from typing import TYPE_CHECKING, Any

import cython
from cython.cimports.glidecache_shared.pool.clock import monotonic_ns
from cython.cimports.glidecached.frontend.dispatcher import OPERATIONS
from cython.cimports.glidecached.frontend.long_messages import OBJECT_BYTES

from glidecache_shared import protocol
from glidecache_shared.wire.zmtp import TooLongError
from glidecached.budget import OpenRequests
from glidecached.formatting import shown
from glidecached.frontend.answers import AnswerSender
from glidecached.frontend.long_messages import decode
from glidecached.frontend.messages import MessageHeader
from glidecached.frontend.operations import CallbackOperation, Operation
from glidecached.frontend.request import Cancellations, Request
from glidecached.process.loop import Intake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from glidecached.frontend.client_connection import ClientConnection
    from glidecached.frontend.connections import ConnectionSet
    from glidecached.process.deadlines import Deadlines
    from glidecached.process.sliced_work import SlicedWork

logger = logging.getLogger(__name__)

MESSAGES_PER_TURN = cython.declare(cython.int, 1_000)
# The longest time in which one turn takes messages; the next turn takes the rest.
TURN_NS = cython.declare(cython.longlong, 1_000_000)
LOOKS_AT_CLOCK_AFTER = cython.declare(cython.int, 4)
# Longer messages are decoded in slices.
SMALL_BYTES = cython.declare(cython.Py_ssize_t, 32_768)
# The memory of an open request besides its message. Shares of the budget so bound waiting requests, too.
REQUEST_BYTES = cython.declare(cython.Py_ssize_t, 1_024)
MOST_ATTACH_BYTES = cython.declare(cython.Py_ssize_t, 4_194_304)
WARNING_INTERVAL_NS = cython.declare(cython.longlong, 10_000_000_000)

_HEADER_LENGTH = 4
_LARGEST_NUMBER = 2**63 - 1
NO_REPLY = cython.declare(tuple, (protocol.ERROR_TIMEOUT, "no reply from the server in time"))
_FAILED = "glidecached failed on this request; its log says why"

_WITHOUT_INSTANCE = frozenset((protocol.HELLO, protocol.PING))
# Operations with long messages. The body of each but ATTACH begins with a session's number.
_LONG = frozenset(
    (
        protocol.ATTACH,
        protocol.COMMAND,
        protocol.READ,
        protocol.GET_MANY,
        protocol.BATCH,
        protocol.WATCH,
        protocol.EXEC,
        protocol.FORGET,
    )
)
_CAUSES = {
    protocol.ERROR_PROTOCOL: "malformed",
    protocol.ERROR_STALE_INSTANCE: "stale_instance",
    protocol.ERROR_OVERDUE: "overdue",
    protocol.ERROR_BUSY: "busy",
    protocol.ERROR_UNKNOWN_SESSION: "unknown_session",
}

_OTHER_CAUSES = ("unreadable", "too_long", "unfinished", "unread_answer", "unroutable_answer")
REFUSAL_CAUSES = (*_CAUSES.values(), "unknown_session", *_OTHER_CAUSES)
"""All keys that `Dispatcher.refused` can have."""


class MalformedError(Exception):
    """A message that violates the protocol: `args[0]` says what was wrong and what would be right."""


class Dispatcher(AnswerSender):
    """The dispatcher: takes requests from connections, passes accepted ones to their operation, and sends the answers.

    For the loop's thread.
    """

    def __init__(
        self,
        connections: ConnectionSet,
        deadlines: Deadlines,
        *,
        instance_id: cython.longlong,
        max_requests_per_peer: int,
        sliced_work: SlicedWork,
        knows_session: Callable[[int, int], bool],
        refused: collections.Counter[str] | None = None,
    ) -> None:
        """Serve requests. `knows_session` returns whether there is a session with this number for this uid."""
        self.connections = connections
        self.sliced_work = sliced_work
        self.knows_session = knows_session
        self.deadlines = deadlines
        self.instance_id = instance_id
        self.operations: list[Operation | None] = [None] * OPERATIONS
        self.open = OpenRequests(max_requests_per_peer)
        self.cancellations = Cancellations(deadlines)
        """The object that ends requests whose callers no longer wait."""
        self.refused: collections.Counter[str] = collections.Counter() if refused is None else refused
        """The numbers of refused messages and dropped answers, by cause."""
        self.accepted = 0
        """The number of accepted requests."""
        self.header = MessageHeader()
        self.warned_ns = 0

    def limit_requests(self, max_requests_per_peer: int) -> None:
        """Set the limit of open requests per connection; requests that are open already stay."""
        self.open.max_per_peer = max_requests_per_peer

    def serve(
        self,
        operations: Mapping[int, Callable[[Request, list[Any]], Iterator[float | None] | None] | Operation],
    ) -> None:
        """Set the operations, by the protocol's numbers."""
        for number, operation in operations.items():
            self.operations[number] = (
                operation if isinstance(operation, Operation) else CallbackOperation(operation)
            )

    @property
    def open_requests(self) -> int:
        """Return the number of accepted requests without an answer so far."""
        return self.open.total

    @property
    def pending(self) -> bool:
        """Return whether there is more than the connections' descriptor announces."""
        return self.connections.has_messages

    def receive(self) -> cython.bint:
        """Take received messages, up to a fair amount. Return whether there were none."""
        connection: ClientConnection | None
        now_ns: cython.longlong = monotonic_ns()
        taken: cython.int = 0
        self.connections.read()
        while taken < MESSAGES_PER_TURN:
            message = self.connections.next_message()
            connection = self.connections.current
            if message is None or connection is None:
                break
            if type(message) is bytes:
                self.dispatch(connection, message, now_ns)
            else:
                self.refuse_unreadable(
                    str(message), "too_long" if isinstance(message, TooLongError) else "unreadable"
                )
            taken += 1
            if taken % LOOKS_AT_CLOCK_AFTER == 0 and monotonic_ns() - now_ns > TURN_NS:
                break
        return taken == 0

    def operation_of(self, number: cython.longlong) -> Operation | None:
        """Return the operation with that number, or None."""
        return self.operations[number] if 0 <= number < OPERATIONS else None

    def dispatch(self, connection: ClientConnection, message: bytes, now_ns: cython.longlong) -> None:
        """Check one message, and run its operation."""
        request: Request
        header: MessageHeader = self.header
        length: cython.Py_ssize_t = len(message)
        if not header.read(message):
            self.refuse_odd(connection, message)
            return
        # Without an operation there is a refusal.
        operation: Operation = cython.cast("Operation", self.operation_of(header.operation))
        refusal = self.judge(operation, now_ns)
        if refusal is None and connection.refusal is not None:
            refusal = (protocol.ERROR_BUSY, connection.refusal)
        request = Request.__new__(Request)
        request.dispatcher = self
        request.caller = connection
        request.request_id = header.request_id
        request.deadline_ns = header.deadline_ns
        request.expiry = NO_REPLY
        request.frame_bytes = length
        if refusal is not None:
            if length > SMALL_BYTES:
                connection.release_frame()
            self.refuse(request, refusal[0], refusal[1])
            return
        if length > SMALL_BYTES:
            self.dispatch_large(connection, request, message)
            return
        body: list[Any] | None = None
        is_usual: cython.bint = (operation.reads_one_key and header.unpack_read(message)) or (
            operation.is_command and header.unpack_command(message)
        )
        if not is_usual:
            body = header.unpack_body(message)
            if body is None:
                self.refuse(request, protocol.ERROR_PROTOCOL, header.fault_of(message))
                return
        if self.enter(connection, request, REQUEST_BYTES + length + OBJECT_BYTES * header.objects):
            self.accept(request, now_ns)
            self.run(connection, operation, request, body)

    def enter(
        self, connection: ClientConnection, request: Request, size_bytes: cython.Py_ssize_t
    ) -> cython.bint:
        """Count a request and its bytes. Return False if it was refused, because there is no room for it."""
        if not self.open.enter(connection):
            self.refuse(request, protocol.ERROR_BUSY, self._too_many())
            return False
        if not request.charge(connection.account, size_bytes):
            self.open.leave(connection)
            self.refuse(request, protocol.ERROR_BUSY, connection.account.full)
            return False
        return True

    def accept(self, request: Request, now_ns: cython.longlong) -> None:
        """Accept a request that is counted already: it is answered, at its deadline at the latest."""
        self.accepted += 1
        self.deadlines.slot_for(request.deadline_ns, now_ns).put(request)

    def run(
        self, connection: ClientConnection, operation: Operation, request: Request, body: list[Any] | None
    ) -> None:
        """Run an accepted request's operation, and continue it in slices if it returns steps.

        Without a body the header has read it: what a read has, or a command.
        """
        header: MessageHeader = self.header
        try:
            if body is None:
                if operation.is_command:
                    operation.run_command(request, header.session_id, header.take_arguments())
                else:
                    operation.run_read(request, header.session_id, header.kind, header.key)
                return
            steps = operation.run(request, body)
            if steps is not None:
                self.continue_in_slices(connection, steps, request)
        except MalformedError as error:
            self.refused["malformed"] += 1
            request.fail(protocol.ERROR_PROTOCOL, str(error))
        except Exception:
            logger.exception(
                "a request failed inside the daemon",
                extra={"request_id": request.request_id, "peer": request.peer},
            )
            request.fail(protocol.ERROR_REQUEST, _FAILED)

    def continue_in_slices(
        self, connection: ClientConnection, steps: Iterator[float | None], request: Request
    ) -> None:
        """Do work in slices; later messages of the same connection wait for it."""
        try:
            next(steps)
        except StopIteration:
            return
        self.connections.begin_work(connection)
        self.sliced_work.start(self._continue(connection, steps, request))

    def _continue(
        self, connection: ClientConnection, steps: Iterator[float | None], request: Request
    ) -> Iterator[float | None]:
        try:
            yield from steps
        except MalformedError as error:
            self.refused["malformed"] += 1
            request.fail(protocol.ERROR_PROTOCOL, str(error))
        except Exception:
            logger.exception(
                "a request failed inside the daemon",
                extra={"request_id": request.request_id, "peer": request.peer},
            )
            request.fail(protocol.ERROR_REQUEST, _FAILED)
        finally:
            self.connections.end_work(connection)

    def judge(self, operation: Operation | None, now_ns: cython.longlong) -> tuple[int, str] | None:
        """Return the code and text of the refusal of a header of four integers, or None."""
        header: MessageHeader = self.header
        if operation is None:
            return _unknown_operation(header.operation)
        if header.deadline_ns <= 0:
            return protocol.ERROR_PROTOCOL, "the deadline is not a positive 64-bit integer"
        if header.instance_id != self.instance_id and header.operation not in _WITHOUT_INSTANCE:
            return protocol.ERROR_STALE_INSTANCE, "meant for an earlier daemon; attach again"
        if header.deadline_ns <= now_ns:
            return protocol.ERROR_OVERDUE, "the deadline had passed before the daemon read the request"
        return None

    def judge_odd(self, header: list[Any]) -> tuple[int, str] | None:
        """Return the code and text of the refusal of an odd header, or None."""
        operation = header[0]
        if (
            type(operation) is not int
            or not 0 <= operation < OPERATIONS
            or self.operations[operation] is None
        ):
            return _unknown_operation(operation)
        if not _is_positive(header[3]):
            return protocol.ERROR_PROTOCOL, "the deadline is not a positive 64-bit integer"
        if header[2] != self.instance_id and operation not in _WITHOUT_INSTANCE:
            return protocol.ERROR_STALE_INSTANCE, "meant for an earlier daemon; attach again"
        return None

    def judge_large(
        self, request: Request, length: cython.Py_ssize_t, session_id: cython.longlong
    ) -> tuple[int, str] | None:
        """Return the code and text of the refusal of a long message, by its beginning, or None."""
        operation = self.header.operation
        if operation not in _LONG:
            return protocol.ERROR_PROTOCOL, f"a message of {length} bytes; this operation has short ones"
        if operation == protocol.ATTACH:
            if length > MOST_ATTACH_BYTES:
                reason = f"ATTACH has {length} bytes; at most {MOST_ATTACH_BYTES} are allowed"
                return protocol.ERROR_PROTOCOL, reason
        elif session_id >= 0 and not self.knows_session(session_id, request.caller.uid):
            return protocol.ERROR_UNKNOWN_SESSION, "this session is not known here (any more); attach again"
        if not self.open.enter(request.caller):
            return protocol.ERROR_BUSY, self._too_many()
        return None

    def dispatch_large(self, connection: ClientConnection, request: Request, message: bytes) -> None:
        """Check the beginning of a long message, then decode it in slices. Later messages wait behind it."""
        header: MessageHeader = self.header
        refusal = self.judge_large(request, len(message), header.peek_session_id(message))
        if refusal is not None:
            connection.release_frame()
            self.refuse(request, refusal[0], refusal[1])
            return
        self.connections.begin_work(connection)
        steps = self._receive_large(
            connection, request, message, header.operation, header.body_bytes, header.body_fields
        )
        self.sliced_work.start(steps)

    def _receive_large(
        self,
        connection: ClientConnection,
        request: Request,
        message: bytes | None,
        operation: int,
        begin: cython.Py_ssize_t,
        count: cython.Py_ssize_t,
    ) -> Iterator[float | None]:
        """Decode a long message, then run it. It is counted as open already."""
        counted: cython.bint = True
        try:
            decoded = yield from decode(connection, request, message, operation, begin, count)
            message = None
            connection.release_frame()
            if decoded.refusal is not None:
                self.refuse(request, decoded.refusal[0], decoded.refusal[1])
                return
            body = decoded.body
            if body is None or connection.descriptor < 0:
                return
            now_ns: cython.longlong = monotonic_ns()
            if request.deadline_ns <= now_ns:
                reason = "the deadline had passed before the daemon had decoded the request"
                self.refuse(request, protocol.ERROR_OVERDUE, reason)
                return
            if decoded.is_large:
                request.ballast = body
            del decoded
            counted = False
            self.accept(request, now_ns)
            self.run(connection, cython.cast("Operation", self.operations[operation]), request, body)
        finally:
            message = None
            if counted:
                self.open.leave(request.caller)
                request.release()
            connection.release_frame()
            self.connections.end_work(connection)

    def refuse(self, request: Request, code: cython.int, reason: str) -> None:
        """Answer with an error, and count it; the request was not accepted."""
        self.refused[_CAUSES[code]] += 1
        logger.debug(
            "a request was refused",
            extra={"request_id": request.request_id, "peer": request.peer, "reason": reason},
        )
        self.answer(
            request.caller, protocol.pack((request.request_id, protocol.STATUS_ERROR, (code, reason))), None
        )

    def refuse_odd(self, connection: ClientConnection, message: bytes) -> None:
        """Refuse a message whose header is not four integers; answer if it is small and has a request id."""
        content: Any = None
        request_id: cython.longlong = self.header.request_id
        if len(message) > SMALL_BYTES:
            connection.release_frame()
        else:
            content = self.header.unpack_whole(message)
        header = content if type(content) is list and len(content) >= _HEADER_LENGTH else None
        if header is None and request_id > 0:
            request = self.request_without_deadline(connection, request_id)
            self.refuse(request, protocol.ERROR_PROTOCOL, "the header is not of four 64-bit integers")
        elif header is None or not _is_positive(header[1]):
            self.refuse_unreadable("not [op, request_id, instance_id, deadline_ns, …]")
        else:
            request = self.request_without_deadline(connection, header[1])
            refusal = self.judge_odd(header) or (
                protocol.ERROR_PROTOCOL,
                "the header is not of four integers",
            )
            self.refuse(request, refusal[0], refusal[1])

    def request_without_deadline(self, connection: ClientConnection, request_id: cython.longlong) -> Request:
        """Return a request that is only refused."""
        request: Request = Request.__new__(Request)
        request.dispatcher = self
        request.caller = connection
        request.request_id = request_id
        return request

    def refuse_unreadable(self, reason: str, cause: str = "unreadable") -> None:
        """Count a message without a request id, which cannot be answered, and log it now and then."""
        now_ns: cython.longlong = monotonic_ns()
        self.refused[cause] += 1
        if now_ns - self.warned_ns >= WARNING_INTERVAL_NS:
            self.warned_ns = now_ns
            logger.warning(
                "a message was dropped",
                extra={"cause": cause, "reason": reason[:200], "so_far": self.refused[cause]},
            )

    def _too_many(self) -> str:
        return f"{self.open.max_per_peer} requests of this connection are open already"


class MessageIntake(Intake):
    """The clients' messages, for the loop to take them in."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.dispatcher = dispatcher

    def receive(self) -> None:
        """Implement `Intake`."""
        self.dispatcher.receive()

    def has_pending(self) -> cython.bint:
        """Implement `Intake`."""
        return self.dispatcher.connections.backlog.first is not None


def _is_positive(value: Any) -> bool:
    """Return whether the value is a positive integer of 64 bits."""
    return type(value) is int and 0 < value <= _LARGEST_NUMBER


def _unknown_operation(operation: Any) -> tuple[int, str]:
    return (
        protocol.ERROR_PROTOCOL,
        f"unknown operation {shown(operation)}; this is protocol {protocol.PROTOCOL_VERSION}",
    )
