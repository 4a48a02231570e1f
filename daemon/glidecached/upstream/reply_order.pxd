from libc.stdint cimport int64_t

from glidecached.upstream.call cimport Call
from glidecached.upstream.call_queue cimport CallQueue

cdef int PARKED
cdef int PROVED
cdef int NOT_NOW
cdef int BROKEN


cdef bint is_over(Call call, int64_t received_ns) except -1


cdef class Marker(Call):
    cdef bytes _command
    cdef readonly bytes nonce


cdef class ReplyOrder:
    # True while replies are parked.
    cdef readonly bint in_doubt
    # The marker that was sent, and is not answered; None where none could be sent yet.
    cdef readonly Marker marker
    cdef readonly object fault
    cdef object _command
    cdef CallQueue _waiting
    cdef list _parked
    cdef int64_t _parked_bytes
    # The number of replies before the marker's.
    cdef Py_ssize_t _expected
    # The waiting call that the next parked reply belongs to, and how many more replies are that call's.
    cdef Py_ssize_t _place
    cdef Py_ssize_t _left

    cdef bint doubt(self) except -1
    cdef bytes send_marker(self)
    cdef int park(self, object reply, int64_t received_ns, int64_t weight_bytes) except -1
    cdef list take_proved(self)
    cdef tuple take_certain(self, str error)
    cdef object find_place(self)
    cdef object close(self)
    cdef bint _is_unheard(self, int64_t received_ns) except -1
