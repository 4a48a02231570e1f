"""Dispatch of a message (see dispatcher.pyi)."""

import collections
import logging

from libc.stdint cimport int64_t, uint8_t

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE

from glidecache_shared.pool.clock cimport monotonic_ns
from glidecache_shared.wire.packing cimport (
    UNREADABLE, Header, peek_signed, read_header, reply_id, unpack_body, unpack_from)
from glidecached.process.deadlines cimport Deadlines
from glidecached.frontend.client_connection cimport IN_WORK, ClientConnection
from glidecached.peers cimport OpenRequests
from glidecached.frontend.request cimport Request
from glidecached.frontend.slicing cimport Packer, Scanner, Unpacker
from glidecached.frontend.connections cimport ConnectionSet

from glidecache_shared import protocol
from glidecache_shared.wire.zmtp import TooLongError, ZmtpError
from glidecached.frontend.cancellations import Cancellations
from glidecached.formatting import shown

cdef extern from "Python.h":
    int64_t PyLong_AsLongLongAndOverflow(object number, int *overflow) except? -1

logger = logging.getLogger(__name__)

cdef enum:
    MESSAGES_PER_TURN = 1_000
    HEADER_LENGTH = 4
    # The longest time in which one turn takes messages; the next turn takes the rest.
    TURN_NS = 1_000_000
    LOOKS_AT_CLOCK_AFTER = 4
    # Longer messages are decoded in slices.
    SMALL_BYTES = 32_768
    # The memory that each value of a request takes besides its bytes.
    OBJECT_BYTES = 64
    # The memory of an open request besides its message. Shares of the budget so bound waiting requests, too.
    REQUEST_BYTES = 1_024
    # The most arguments that a server takes, and the lists around them.
    MOST_OBJECTS = 1_048_704
    MOST_ATTACH_BYTES = 4_194_304
    # The size of one step of sliced work: about a quarter of a millisecond.
    STEP_OBJECTS = 4_000
    ROOM_POLL_MS = 20
    ROOM_POLLS = 50

cdef int64_t WARNING_INTERVAL_NS = 10_000_000_000

_WITHOUT_INSTANCE = frozenset((protocol.HELLO, protocol.PING))
# Operations with long messages, and those of them whose body begins with a session's number.
_OF_SESSIONS = frozenset((
    protocol.COMMAND, protocol.READ, protocol.GET_MANY, protocol.BATCH, protocol.WATCH, protocol.EXEC))
_LONG = _OF_SESSIONS | {protocol.ATTACH}
_CAUSES = {
    protocol.ERROR_PROTOCOL: "malformed",
    protocol.ERROR_STALE_INSTANCE: "stale_instance",
    protocol.ERROR_OVERDUE: "overdue",
    protocol.ERROR_BUSY: "busy",
    protocol.ERROR_UNKNOWN_SESSION: "unknown_session",
}

REFUSAL_CAUSES = (
    *_CAUSES.values(), "unknown_session", "unreadable", "too_long", "unfinished", "unread_answer", "unroutable_answer")


class MalformedError(Exception):
    """A message that violates the protocol: `args[0]` says what was wrong and what would be right."""


cdef inline int64_t positive(object value) except -1:
    """Return the value, if it is a positive integer of 64 bits; else 0."""
    cdef int overflow = 0
    cdef int64_t number
    if type(value) is not int:
        return 0
    number = PyLong_AsLongLongAndOverflow(value, &overflow)
    return number if number > 0 and not overflow else 0


cdef class Dispatcher:
    def __init__(
        self, socket, Deadlines deadlines not None, *, instance_id, Py_ssize_t max_requests_per_peer,
        Py_ssize_t max_message_bytes, turns=None, knows_session=None,
    ):
        self.socket = socket
        # None only in unit tests of this class: then there is no budget, and nothing is held back.
        self.traffic = socket if isinstance(socket, ConnectionSet) else None
        self.turns = turns
        self.knows_session = knows_session
        self.deadlines = deadlines
        self.instance_id = instance_id
        self.instance_number = instance_id
        self.max_message_bytes = max_message_bytes
        self.operations = {}
        self.open = OpenRequests(max_requests_per_peer)
        self.cancellations = Cancellations(deadlines, self.open)
        self.refused = collections.Counter()
        if self.traffic is not None:
            socket.refused = self.refused

    def limit_requests(self, Py_ssize_t max_requests_per_peer):
        self.open.max_per_peer = max_requests_per_peer

    def serve(self, operations):
        self.operations = dict(operations)

    @property
    def open_requests(self) -> int:
        return self.open.total

    @property
    def pending(self) -> bool:
        return not self.socket.settled

    def receive(self) -> bool:
        cdef int64_t now_ns = monotonic_ns()
        cdef bint nothing = True
        cdef int taken = 0
        for identity, peer, frame in self.socket.receive(MESSAGES_PER_TURN):
            nothing = False
            self.take(identity, peer, frame, now_ns)
            taken += 1
            if taken % LOOKS_AT_CLOCK_AFTER == 0 and monotonic_ns() - now_ns > TURN_NS:
                break
        return nothing

    def answer(self, identity, *parts):
        outcome = self.socket.send(identity, *parts)
        if outcome is True:
            return
        if outcome is False:
            self.refused["unroutable_answer"] += 1
            return
        self.refused["unread_answer"] += 1
        text = f"the answer was dropped: {outcome}; the command may have run"
        message = protocol.pack((reply_id(parts[0]), protocol.STATUS_ERROR, (protocol.ERROR_BUSY, text[:400])))
        if self.socket.send(identity, message) is not True:
            self.refused["unroutable_answer"] += 1

    def why_full(self, bytes identity not None, Py_ssize_t size_bytes):
        return None if self.traffic is None else self.traffic.why_full(identity, size_bytes)

    def pack_later(self, Request request not None, value):
        """Pack a large reply in slices, then answer."""
        if self.turns is None:
            for _ in self._pack(request, value):
                pass
        else:
            self.turns.start(self._pack(request, value))

    def finished(self, Request request not None):
        self.open.leave(request.identity)

    cdef int take(self, bytes identity, object peer, object frame, int64_t now_ns) except -1:
        cdef Header header
        cdef Request request
        cdef Py_ssize_t objects, cost
        cdef ClientConnection connection
        if type(frame) is not bytes:
            if isinstance(frame, ZmtpError):
                return self.refuse_unreadable(str(frame), "too_long" if isinstance(frame, TooLongError) else "unreadable")
            frame = bytes(frame)
        cdef const uint8_t *message = <const uint8_t *>PyBytes_AS_STRING(<bytes>frame)
        cdef Py_ssize_t length = PyBytes_GET_SIZE(<bytes>frame)
        connection = None if self.traffic is None else self.traffic.current
        if not read_header(message, length, &header) or header.fields[1] <= 0:
            return self.take_odd(
                connection, identity, peer, frame, header.fields[1] if 2 <= header.body_fields < 4 else 0, now_ns)
        refusal = self.judge(&header, now_ns)
        if refusal is None and connection is not None and connection.refused is not None:
            refusal = (protocol.ERROR_BUSY, connection.refused)
        request = Request(self, identity, peer, header.fields[1], header.fields[3])
        request.frame_bytes = length
        if refusal is not None:
            if length > SMALL_BYTES and connection is not None:
                connection.release_frame()
            return self.refuse(request, refusal[0], refusal[1])
        operation = header.fields[0]
        if length > SMALL_BYTES:
            return self.take_large(connection, request, frame, &header)
        body = unpack_body(message + header.body_bytes, length - header.body_bytes, header.body_fields, &objects)
        if body is UNREADABLE:
            return self.refuse(request, protocol.ERROR_PROTOCOL, fault_of(frame, header.body_bytes, header.body_fields))
        if not self.open.enter(identity):
            return self.refuse(
                request, protocol.ERROR_BUSY, f"{self.open.max_per_peer} requests of this connection are open already")
        if connection is not None:
            cost = REQUEST_BYTES + length + OBJECT_BYTES * objects
            if not connection.account.take(cost):
                self.open.leave(identity)
                return self.refuse(request, protocol.ERROR_BUSY, connection.account.full)
            request.account = connection.account
            request.cost_bytes = cost
        return self.accept(connection, request, operation, body, now_ns)

    cdef int accept(self, ClientConnection connection, Request request, object operation, list body, int64_t now_ns) except -1:
        """Run a request that is counted already, and send its answer."""
        self.accepted += 1
        request.slot = self.deadlines.slot_for(request.deadline_ns, now_ns)
        request.slot.add(request)
        return self.run(connection, self.operations[operation], request, body)

    cdef int take_odd(
        self, ClientConnection connection, bytes identity, object peer, bytes frame, int64_t request_id,
        int64_t now_ns
    ) except -1:
        """Refuse a message whose header is not four integers; answer if it is small and has a request id."""
        cdef list message
        if connection is not None and len(frame) > SMALL_BYTES:
            connection.release_frame()
        content = None
        if len(frame) <= SMALL_BYTES:
            content = unpack_from(<const uint8_t *>PyBytes_AS_STRING(frame), PyBytes_GET_SIZE(frame))
        message = content if type(content) is list and len(<list>content) >= HEADER_LENGTH else None
        if message is None and request_id > 0:
            request = Request(self, identity, peer, request_id, 0)
            return self.refuse(request, protocol.ERROR_PROTOCOL, "the header is not of four 64-bit integers")
        if message is None or positive(message[1]) == 0:
            return self.refuse_unreadable("not [op, request_id, instance_id, deadline_ns, …]")
        request = Request(self, identity, peer, positive(message[1]), positive(message[3]))
        refusal = self.check(message, now_ns) or (protocol.ERROR_PROTOCOL, "the header is not of four integers")
        return self.refuse(request, refusal[0], refusal[1])

    cdef tuple judge(self, Header *header, int64_t now_ns):
        """Return the code and text of the refusal of a header of four integers, or None."""
        operation = header.fields[0]
        if operation not in self.operations:
            return unknown_operation(operation)
        if header.fields[3] <= 0:
            return protocol.ERROR_PROTOCOL, "the deadline is not a positive 64-bit integer"
        if header.fields[2] != self.instance_number and operation not in _WITHOUT_INSTANCE:
            return protocol.ERROR_STALE_INSTANCE, "meant for an earlier daemon; attach again"
        if header.fields[3] <= now_ns:
            return protocol.ERROR_OVERDUE, "the deadline had passed before the daemon read the request"
        return None

    cdef tuple check(self, list message, int64_t now_ns):
        """Return the code and text of the refusal of an odd header, or None."""
        operation = message[0]
        if type(operation) is not int or operation not in self.operations:
            return unknown_operation(operation)
        if positive(message[3]) == 0:
            return protocol.ERROR_PROTOCOL, "the deadline is not a positive 64-bit integer"
        if message[2] != self.instance_id and operation not in _WITHOUT_INSTANCE:
            return protocol.ERROR_STALE_INSTANCE, "meant for an earlier daemon; attach again"
        return None

    cdef int take_large(self, ClientConnection connection, Request request, bytes frame, Header *header) except -1:
        """Check the beginning of a long message, then decode it in slices. Later messages wait behind it."""
        cdef int64_t session_id
        refusal = None
        if header.fields[0] not in _LONG:
            refusal = (protocol.ERROR_PROTOCOL, f"a message of {len(frame)} bytes; this operation has short ones")
        elif header.fields[0] == protocol.ATTACH:
            if len(frame) > MOST_ATTACH_BYTES:
                refusal = (protocol.ERROR_PROTOCOL, f"ATTACH has {len(frame)} bytes; at most {MOST_ATTACH_BYTES} are allowed")
        elif self.knows_session is not None:
            session_id = peek_signed(
                <const uint8_t *>PyBytes_AS_STRING(frame) + header.body_bytes,
                PyBytes_GET_SIZE(frame) - header.body_bytes, -1)
            if session_id >= 0 and not self.knows_session(session_id, request.peer.uid):
                refusal = (
                    protocol.ERROR_UNKNOWN_SESSION, "this session is not known here (any more); attach again")
        if refusal is None and not self.open.enter(request.identity):
            refusal = (protocol.ERROR_BUSY, f"{self.open.max_per_peer} requests of this connection are open already")
        if refusal is not None:
            if connection is not None:
                connection.release_frame()
            return self.refuse(request, refusal[0], refusal[1])
        if connection is not None:
            self.traffic.hold(connection)
        steps = self._decode(
            connection, request, frame, header.fields[0], header.body_bytes, header.body_fields)
        if self.turns is None or connection is None:
            for _ in steps:
                pass
        else:
            self.turns.start(steps)
        return 0

    def _decode(
        self, ClientConnection connection, Request request, bytes frame, object operation, Py_ssize_t begin,
        Py_ssize_t count,
    ):
        """Decode a long message, then run it. It is counted as open already."""
        cdef Py_ssize_t length = PyBytes_GET_SIZE(frame)
        cdef Scanner scanner
        cdef Unpacker unpacker
        cdef Py_ssize_t objects
        cdef bint counted = True
        try:
            if operation == protocol.ATTACH:
                # Its maps are small, so all its bytes are unpacked at once.
                body = unpack_body(
                    <const uint8_t *>PyBytes_AS_STRING(frame) + begin, length - begin, count, &objects)
                fault = None if body is not UNREADABLE else "the body is not what ATTACH has"
            else:
                scanner = Scanner(frame, begin, count, MOST_OBJECTS)
                while not scanner.step(4 * STEP_OBJECTS):
                    yield None
                fault = scanner.fault
                objects = scanner.objects
            if fault is not None:
                self.refuse(request, protocol.ERROR_PROTOCOL, fault)
                return
            if connection is not None:
                for _ in range(ROOM_POLLS):
                    if connection.descriptor < 0 or self.move_charge(connection, request, length, OBJECT_BYTES * objects):
                        break
                    yield float(ROOM_POLL_MS)
                else:
                    self.refuse(request, protocol.ERROR_BUSY, connection.account.full)
                    return
                if connection.descriptor < 0:
                    return
            if operation != protocol.ATTACH:
                unpacker = Unpacker(frame, begin, count)
                try:
                    while not unpacker.step(STEP_OBJECTS):
                        yield None
                except ValueError as error:
                    self.refuse(request, protocol.ERROR_PROTOCOL, str(error))
                    return
                body = unpacker.value
            unpacker = scanner = frame = None
            if connection is not None:
                connection.release_frame()
                if connection.descriptor < 0:
                    return
            now_ns = monotonic_ns()
            if request.deadline_ns <= now_ns:
                self.refuse(
                    request, protocol.ERROR_OVERDUE, "the deadline had passed before the daemon had decoded the request")
                return
            if self.turns is not None and objects > STEP_OBJECTS:
                request.ballast = body
            counted = False
            self.accept(connection, request, operation, body, now_ns)
        finally:
            frame = None
            if counted:
                self.open.leave(request.identity)
                request.release()
            if connection is not None:
                connection.release_frame()
                self.traffic.resume(connection, IN_WORK)

    cdef bint move_charge(self, ClientConnection connection, Request request, Py_ssize_t length, Py_ssize_t more) except -1:
        """Charge the request for its decoded form. Return False when there is no room now."""
        if connection.frame_in_lane:
            connection.frame_in_lane = False
            connection.budget.lane.leave(connection)
            connection.budget.lane.enter_now(request)
            request.lane = connection.budget.lane
            return True
        # Room for twice the length was found when the message began; its header came before it.
        if connection.frame_charge < length:
            more += length
        elif connection.frame_charge >= 2 * length:
            connection.frame_charge -= length
            request.account = connection.account
            request.cost_bytes += length
        else:
            more += length
        if connection.account.take(more):
            request.account = connection.account
            request.cost_bytes += more
            return True
        if length + more > connection.budget.memory.share and connection.budget.lane.enter_now(request):
            request.lane = connection.budget.lane
            return True
        return False

    def _pack(self, Request request, value):
        cdef Packer packer = Packer(request.request_id, protocol.STATUS_OK, value)
        try:
            while not request.finished and not packer.measure(STEP_OBJECTS):
                yield None
            message = None
            while not request.finished and message is None:
                message = packer.write(STEP_OBJECTS)
                if message is None:
                    yield None
        except (TypeError, ValueError, OverflowError) as error:
            # Only a script's reply can have this form.
            request.fail(protocol.ERROR_REQUEST, f"the server's reply cannot be passed on: {error}")
        else:
            if not request.finished:
                request.finish(message)
        packer = None
        if self.turns is not None and (
            type(value) is list or type(value) is dict or type(value) is set) and len(value) > STEP_OBJECTS:
            self.turns.release(value)

    cdef int run(self, ClientConnection connection, object operation, Request request, list body) except -1:
        try:
            steps = operation(request, body)
            if steps is not None:
                self.go_on(connection, steps, request)
        except MalformedError as error:
            self.refused["malformed"] += 1
            request.fail(protocol.ERROR_PROTOCOL, str(error))
        except Exception:
            logger.exception("request %d of %s failed inside the daemon", request.request_id, request.peer)
            request.fail(protocol.ERROR_REQUEST, "glidecached failed on this request; its log says why")
        return 0

    cdef int go_on(self, ClientConnection connection, object steps, Request request) except -1:
        """Do work in slices; later messages of the same connection wait for it."""
        if self.turns is None:
            for _ in steps:
                pass
            return 0
        try:
            next(steps)
        except StopIteration:
            return 0
        if connection is not None:
            self.traffic.hold(connection)
        self.turns.start(self._continue(connection, steps, request))
        return 0

    def _continue(self, ClientConnection connection, steps, Request request):
        try:
            yield from steps
        except MalformedError as error:
            self.refused["malformed"] += 1
            request.fail(protocol.ERROR_PROTOCOL, str(error))
        except Exception:
            logger.exception("request %d of %s failed inside the daemon", request.request_id, request.peer)
            request.fail(protocol.ERROR_REQUEST, "glidecached failed on this request; its log says why")
        finally:
            if connection is not None:
                self.traffic.resume(connection, IN_WORK)

    cdef int refuse(self, Request request, int code, str message) except -1:
        self.refused[_CAUSES[code]] += 1
        logger.debug("refused request %d of %s: %s", request.request_id, request.peer, message)
        self.answer(request.identity, protocol.pack((request.request_id, protocol.STATUS_ERROR, (code, message))))
        return 0

    cdef int refuse_unreadable(self, str reason, str cause="unreadable") except -1:
        """Count a message without a request id, which cannot be answered, and log it now and then."""
        cdef int64_t now_ns = monotonic_ns()
        self.refused[cause] += 1
        if now_ns - self.warned_ns >= WARNING_INTERVAL_NS:
            self.warned_ns = now_ns
            logger.warning(
                "%s message dropped: %.200s (%d so far)", cause.replace("_", " "), reason, self.refused[cause])
        return 0


cdef tuple unknown_operation(object operation):
    return (
        protocol.ERROR_PROTOCOL,
        f"unknown operation {shown(operation)}; this is protocol {protocol.PROTOCOL_VERSION}",
    )


cdef str fault_of(bytes frame, Py_ssize_t begin, Py_ssize_t count):
    """Return the reason why a small message cannot be read."""
    cdef Scanner scanner = Scanner(frame, begin, count, PyBytes_GET_SIZE(frame))
    while not scanner.step(PyBytes_GET_SIZE(frame)):
        pass
    return scanner.fault or "a text in it is not UTF-8, or a map in it has too many keys"
