"""One request of a client (see request.pyi)."""

from libc.stdint cimport int64_t

from cpython.bytes cimport PyBytes_GET_SIZE

from glidecache_shared.wire.packing cimport pack_reply

from glidecached.command_order cimport CommandOrder

from glidecache_shared.protocol import (
    ERROR_REQUEST,
    ERROR_TIMEOUT,
    TOO_LATE,
    STATUS_ERROR,
    STATUS_OK,
    ReplyError,
    pack,
    pack_around,
)

cdef enum:
    # From here on a string is handed to the kernel as it came, without a copy in between.
    LARGE_BYTES = 65_536

cdef tuple NO_REPLY = (ERROR_TIMEOUT, "no reply from the server in time")
cdef int64_t OK = STATUS_OK


cdef class Request:
    def __init__(self, front, bytes identity not None, peer, int64_t request_id, int64_t deadline_ns):
        self.front = front
        self.identity = identity
        self.peer = peer
        self.request_id = request_id
        self.deadline_ns = deadline_ns
        self.expiry = NO_REPLY

    cpdef object refusal(self, Py_ssize_t reply_bytes):
        return self.front.why_full(self.identity, reply_bytes)

    cpdef int take_place(self, CommandOrder order) except -1:
        order.enter()
        self.order = order
        return 0

    cpdef int reply(self, object value) except -1:
        if self.finished:
            return 0
        if type(value) is bytes and PyBytes_GET_SIZE(value) >= LARGE_BYTES:
            around, value = pack_around((self.request_id, STATUS_OK), value)
            return self.finish(around, value)
        if isinstance(value, ReplyError):
            return self.fail(ERROR_TIMEOUT if value is TOO_LATE else ERROR_REQUEST, str(value))
        message = pack_reply(self.request_id, OK, value)
        if message is None:
            # Large replies, and those with rare types: sets, floating-point numbers, errors.
            self.front.pack_later(self, value)
            return 0
        return self.finish(message)

    cpdef int fail(self, int code, str message) except -1:
        if self.finished:
            return 0
        return self.finish(pack((self.request_id, STATUS_ERROR, (code, message))))

    cpdef int expire(self) except -1:
        return self.fail(self.expiry[0], self.expiry[1])

    cpdef int cancel(self) except -1:
        if self.finished:
            return 0
        self.leave()
        self.front.finished(self)
        return 0

    cdef int leave(self) except -1:
        """End: leave the deadlines and the client's order, and release its resources."""
        self.finished = True
        if self.slot is not None:
            self.slot.discard(self)
        if self.order is not None:
            self.order.leave()
        return self.release()

    cdef int release(self) except -1:
        """Give back the bounded resources of the daemon that it holds."""
        if self.account is not None:
            self.account.give(self.cost_bytes)
            self.account = None
        if self.lane is not None:
            self.lane.leave(self)
            self.lane = None
        if self.ballast is not None:
            ballast, self.ballast = self.ballast, None
            self.front.turns.release(ballast)
        if self.on_finish is not None:
            on_finish, self.on_finish = self.on_finish, None
            on_finish()
        return 0

    cpdef int finish(self, bytes message, bytes rest=None) except -1:
        # First: its answer may need the room that it held.
        self.leave()
        if rest is None:
            self.front.answer(self.identity, message)
        else:
            self.front.answer(self.identity, message, rest)
        self.front.finished(self)
        return 0
