from libc.stdint cimport int64_t, uint8_t

from glidecached.process.loop cimport EventHandler, Loop
from glidecached.upstream.call cimport Call
from glidecached.upstream.call_queue cimport CallQueue
from glidecached.upstream.resp cimport Reader
from glidecached.upstream.latency_histogram cimport LatencyHistogram
from glidecached.upstream.reply_order cimport ReplyOrder


cdef class Connection(EventHandler):
    cdef Loop loop
    cdef object channel
    cdef object socket
    cdef int descriptor
    cdef bint is_tls
    cdef object handler
    # Called when a call has its last reply; None where the handler does not count them.
    cdef public object on_reply
    cdef LatencyHistogram latencies
    cdef Reader reader
    # What the socket has not taken, from `written` on; None when there is nothing.
    cdef bytes unwritten
    # Bytes to be written behind it: long pieces, which are not copied.
    cdef object behind
    cdef Py_ssize_t written
    cdef int events
    cdef readonly CallQueue waiting
    cdef readonly int64_t last_received_ns
    cdef readonly int64_t oldest_sent_ns
    # How much of the reply at the head had arrived when it last counted as progress.
    cdef int64_t progress_bytes
    # Data before this place in the stream answers no call that waits now.
    cdef int64_t floor_bytes
    # Work left for the next turn: calls to pack, replies to pass on, bytes to read.
    cdef bint resuming
    cdef bint paused
    cdef bint reading_on
    # True while it does not read because there is no room for the reply at the head.
    cdef bint roomless
    cdef str server
    cdef bint dispatching
    # Whose replies they are, where that is in doubt (rule I4).
    cdef ReplyOrder order

    cpdef object send(self, CallQueue calls)
    cpdef object doubt(self)
    cpdef object close(self)
    cdef int begin_idle(self) except -1
    cdef int write_more(self, bytes data) except -1
    cdef bint write(self) except -1
    cdef Py_ssize_t send_some(self, Py_ssize_t most_bytes) except -1
    cdef Py_ssize_t write_pieces(self, list before, list pieces) except -1
    cdef int watch(self, int events) except -1
    cdef int find_room(self) except -1
    cdef int read(self) except -1
    cdef int read_into(self, bytearray buffer) except -1
    cdef int read_on(self) except -1
    cdef Py_ssize_t receive_some(self, bytearray buffer) except -2
    cdef Py_ssize_t receive(self, uint8_t *place, Py_ssize_t room) except -2
    cdef bint dispatch_replies(self, int64_t began_ns) except -1
    cdef bint dispatch_all(self, int64_t began_ns) except -1
    cdef int deliver(self, Call call, object reply, int64_t received_ns, LatencyHistogram latencies) except -1
    cdef int fail_protocol(self, str reason) except -1
    cdef int lose(self, str reason) except -1
    cdef int prove(self) except -1
    cdef int park(self, object reply) except -1
    cdef int deliver_proved(self) except -1
    cdef int deliver_certain(self, str error) except -1
