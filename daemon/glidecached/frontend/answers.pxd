from glidecached.budget cimport OpenRequests
from glidecached.frontend.client_connection cimport ClientConnection
from glidecached.frontend.connections cimport ConnectionSet
from glidecached.frontend.reply_packer cimport Packer
from glidecached.frontend.request cimport Answering

cdef enum:
    # The size of one step of sliced work: about a quarter of a millisecond.
    STEP_OBJECTS = 4_000


cdef class AnswerSender(Answering):
    cdef ConnectionSet connections
    cdef readonly object sliced_work
    cdef OpenRequests open
    cdef readonly object refused

    cdef object not_sent(self, ClientConnection connection, bytes message, object outcome)
