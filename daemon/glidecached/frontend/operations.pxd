from glidecached.frontend.request cimport Request


cdef class Operation:
    cdef readonly bint reads_one_key
    cdef readonly bint is_command

    cpdef object run(self, Request request, list body)
    cdef object run_command(self, Request request, long long session_id, list arguments)
    cdef object run_read(self, Request request, long long session_id, int kind, bytes key)
