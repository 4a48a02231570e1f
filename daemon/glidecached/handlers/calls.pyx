"""Calls made for one request (see calls.pyi)."""

from libc.stdint cimport int64_t

from glidecached.frontend.request cimport Request
from glidecached.upstream.call cimport BatchCall, SingleCall

from glidecache_shared.protocol import KIND_COMMANDS
from glidecached.single_flight import as_kind


cdef class CommandCall(SingleCall):
    def __init__(self, Request request not None, arguments, *, bint repeatable, route=None, settled=None):
        self.request = request
        self.arguments = arguments
        self.deadline_ns = request.deadline_ns
        self.repeatable = repeatable
        self.route = route
        self.settled = settled

    cpdef bint is_wanted(self, int64_t now_ns) except -1:
        return not self.request.finished and now_ns < self.request.deadline_ns

    cpdef object abandon(self):
        self.request.expire()

    cpdef object succeed(self, object reply):
        if self.settled is not None:
            self.settled()
        self.request.reply(reply)

    cpdef object fail(self, int code, str message):
        if self.settled is not None:
            self.settled()
        self.request.fail(code, message)

    cpdef object refusal(self, Py_ssize_t reply_bytes):
        return self.request.refusal(reply_bytes)

    cpdef list clients(self):
        return [] if self.request.order is None else [self.request.order]


cdef class ReadCall(CommandCall):
    def __init__(self, Request request not None, int kind, bytes key not None):
        CommandCall.__init__(self, request, (KIND_COMMANDS[kind], key), repeatable=True)
        self.kind = kind

    cpdef object succeed(self, object reply):
        self.request.reply(as_kind(self.kind, reply))


cdef class BatchRequestCall(BatchCall):
    def __init__(
        self, Request request not None, commands, *, bint atomic, bint repeatable, route=None, settled=None
    ):
        BatchCall.__init__(self, commands, request.deadline_ns, atomic=atomic, repeatable=repeatable)
        self.request = request
        self.route = route
        self.settled = settled

    cpdef bint is_wanted(self, int64_t now_ns) except -1:
        return not self.request.finished and now_ns < self.request.deadline_ns

    cpdef object abandon(self):
        self.request.expire()

    cpdef object succeed(self, object reply):
        if self.settled is not None:
            self.settled()
        self.request.reply(reply)

    cpdef object fail(self, int code, str message):
        if self.settled is not None:
            self.settled()
        self.request.fail(code, message)

    cpdef object refusal(self, Py_ssize_t reply_bytes):
        return self.request.refusal(reply_bytes)

    cpdef list clients(self):
        return [] if self.request.order is None else [self.request.order]
