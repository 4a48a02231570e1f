"""The way of a message (see front.pyi)."""

import collections
import logging

from libc.stdint cimport int64_t, uint8_t

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE

from glidecache_shared.pool.clock cimport monotonic_ns
from glidecache_shared.packing cimport UNREADABLE, unpack_from
from glidecached.deadlines cimport Deadlines
from glidecached.front.peers cimport OpenRequests
from glidecached.front.request cimport Request

from glidecache_shared import protocol
from glidecache_shared.zmtp import TooLongError, ZmtpError
from glidecached.front.cancellations import Cancellations
from glidecached.front.shown import shown

cdef extern from "Python.h":
    int64_t PyLong_AsLongLongAndOverflow(object number, int *overflow) except? -1

logger = logging.getLogger(__name__)

cdef enum:
    MESSAGES_PER_TURN = 1_000
    HEADER_LENGTH = 4

cdef int64_t WARNING_INTERVAL_NS = 10_000_000_000

_WITHOUT_INSTANCE = frozenset((protocol.HELLO, protocol.PING))
_CAUSES = {
    protocol.ERROR_PROTOCOL: "malformed",
    protocol.ERROR_STALE_INSTANCE: "stale_instance",
    protocol.ERROR_OVERDUE: "overdue",
    protocol.ERROR_BUSY: "busy",
}

REFUSAL_CAUSES = (*_CAUSES.values(), "unreadable", "too_long", "unroutable_answer")


class MalformedError(Exception):
    """A message that is not what the protocol says: `args[0]` says what was wrong and what would be right."""


cdef inline int64_t positive(object value) except -1:
    """The value, if it is a positive integer of 64 bits; 0 for everything else."""
    cdef int overflow = 0
    cdef int64_t number
    if type(value) is not int:
        return 0
    number = PyLong_AsLongLongAndOverflow(value, &overflow)
    return number if number > 0 and not overflow else 0


cdef class Front:
    def __init__(
        self, socket, Deadlines deadlines not None, *, instance_id, Py_ssize_t max_requests_per_peer,
        Py_ssize_t max_message_bytes,
    ):
        self.socket = socket
        self.deadlines = deadlines
        self.instance_id = instance_id
        self.max_message_bytes = max_message_bytes
        self.operations = {}
        self.open = OpenRequests(max_requests_per_peer)
        self.cancellations = Cancellations(deadlines, self.open)
        self.refused = collections.Counter()

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
        for identity, peer, frame in self.socket.receive(MESSAGES_PER_TURN):
            nothing = False
            self.take(identity, peer, frame, now_ns)
        return nothing

    def answer(self, identity, *parts):
        if not self.socket.send(identity, *parts):
            self.refused["unroutable_answer"] += 1

    def finished(self, Request request not None):
        self.open.leave(request.identity)

    cdef int take(self, bytes identity, object peer, object frame, int64_t now_ns) except -1:
        cdef list message
        cdef Request request
        cdef int64_t request_id
        if isinstance(frame, ZmtpError):
            return self.refuse_unreadable(str(frame), "too_long" if isinstance(frame, TooLongError) else "unreadable")
        content = UNREADABLE
        if type(frame) is bytes:
            content = unpack_from(<const uint8_t *>PyBytes_AS_STRING(frame), PyBytes_GET_SIZE(frame))
        if content is UNREADABLE:
            try:
                content = protocol.unpack(frame, self.max_message_bytes)
            except ValueError as error:
                return self.refuse_unreadable(str(error) or type(error).__name__)
        message = content if type(content) is list and len(<list>content) >= HEADER_LENGTH else None
        request_id = 0 if message is None else positive(message[1])
        if request_id == 0:
            return self.refuse_unreadable("not [op, request_id, instance_id, deadline_ns, …]")
        refusal = self.check(message, now_ns)
        request = Request(self, identity, peer, request_id, positive(message[3]))
        request.frame_bytes = len(frame)
        if refusal is not None:
            return self.refuse(request, refusal[0], refusal[1])
        if not self.open.enter(identity):
            return self.refuse(
                request, protocol.ERROR_BUSY, f"{self.open.max_per_peer} requests of this connection are open already")
        self.accepted += 1
        request.slot = self.deadlines.slot_for(request.deadline_ns, now_ns)
        request.slot.add(request)
        return self.run(self.operations[message[0]], request, message[HEADER_LENGTH:])

    cdef tuple check(self, list message, int64_t now_ns):
        """Why the header is refused: a code and a text, or None."""
        operation = message[0]
        if type(operation) is not int or operation not in self.operations:
            return (
                protocol.ERROR_PROTOCOL,
                f"unknown operation {shown(operation)}; this is protocol {protocol.PROTOCOL_VERSION}",
            )
        cdef int64_t deadline_ns = positive(message[3])
        if deadline_ns == 0:
            return protocol.ERROR_PROTOCOL, "the deadline is not a positive 64-bit integer"
        if message[2] != self.instance_id and operation not in _WITHOUT_INSTANCE:
            return protocol.ERROR_STALE_INSTANCE, "meant for an earlier daemon; attach again"
        if deadline_ns <= now_ns:
            return protocol.ERROR_OVERDUE, "the deadline had passed before the daemon read the request"
        return None

    cdef int run(self, object operation, Request request, list body) except -1:
        try:
            operation(request, body)
        except MalformedError as error:
            self.refused["malformed"] += 1
            request.fail(protocol.ERROR_PROTOCOL, str(error))
        except Exception:
            logger.exception("request %d of %s failed inside the daemon", request.request_id, request.peer)
            request.fail(protocol.ERROR_REQUEST, "glidecached failed on this request; its log says why")
        return 0

    cdef int refuse(self, Request request, int code, str message) except -1:
        self.refused[_CAUSES[code]] += 1
        logger.debug("refused request %d of %s: %s", request.request_id, request.peer, message)
        self.answer(request.identity, protocol.pack((request.request_id, protocol.STATUS_ERROR, (code, message))))
        return 0

    cdef int refuse_unreadable(self, str reason, str cause="unreadable") except -1:
        """There is no request id to answer: count, and say so now and then."""
        cdef int64_t now_ns = monotonic_ns()
        self.refused[cause] += 1
        if now_ns - self.warned_ns >= WARNING_INTERVAL_NS:
            self.warned_ns = now_ns
            logger.warning(
                "%s message dropped: %.200s (%d so far)", cause.replace("_", " "), reason, self.refused[cause])
        return 0
