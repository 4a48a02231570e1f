from glidecached.budget cimport OpenRequests
from glidecached.frontend.answers cimport AnswerSender
from glidecached.frontend.caller cimport Caller
from glidecached.frontend.client_connection cimport ClientConnection
from glidecached.frontend.connections cimport ConnectionSet
from glidecached.frontend.messages cimport MessageHeader
from glidecached.frontend.operations cimport Operation
from glidecached.frontend.request cimport Cancellations, Request
from glidecached.process.deadlines cimport Deadlines
from glidecached.process.loop cimport Intake

cdef enum:
    # More than the protocol's operations.
    OPERATIONS = 32


cdef class Dispatcher(AnswerSender):
    cdef Deadlines deadlines
    cdef object knows_session
    cdef long long instance_id
    # By number; None where the protocol has no such operation.
    cdef list operations
    cdef readonly Cancellations cancellations
    cdef readonly Py_ssize_t accepted
    cdef MessageHeader header
    cdef long long warned_ns

    cpdef bint receive(self) except -1
    cdef Operation operation_of(self, long long number)
    cdef object dispatch(self, ClientConnection connection, bytes message, long long now_ns)
    cdef object dispatch_large(self, ClientConnection connection, Request request, bytes message)
    cdef bint enter(self, ClientConnection connection, Request request, Py_ssize_t size_bytes) except -1
    cdef int accept(self, Request request, long long now_ns) except -1
    cdef object run(self, ClientConnection connection, Operation operation, Request request, list body)
    cdef tuple judge(self, Operation operation, long long now_ns)
    cdef tuple judge_odd(self, list header)
    cdef tuple judge_large(self, Request request, Py_ssize_t length, long long session_id)
    cdef object continue_in_slices(self, ClientConnection connection, object steps, Request request)
    cdef object refuse(self, Request request, int code, str reason)
    cdef object refuse_odd(self, ClientConnection connection, bytes message)
    cdef Request request_without_deadline(self, ClientConnection connection, long long request_id)
    cdef object refuse_unreadable(self, str reason, str cause=*)


cdef class MessageIntake(Intake):
    cdef Dispatcher dispatcher
