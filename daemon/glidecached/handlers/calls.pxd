from glidecached.frontend.request cimport Request
from glidecached.upstream.call cimport BatchCall, SingleCall


cdef class CommandCall(SingleCall):
    cdef readonly Request request
    cdef object on_outcome


cdef class ReadCall(CommandCall):
    cdef int kind


cdef class BatchRequestCall(BatchCall):
    cdef readonly Request request
    cdef object on_outcome
