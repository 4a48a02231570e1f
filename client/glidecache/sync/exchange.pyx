"""One thread's requests to the daemon (see exchange.pyi)."""

import select
from types import BuiltinFunctionType

from libc.errno cimport EINTR, errno
from libc.stdint cimport int64_t, uint8_t

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_CheckSignals, PyErr_SetFromErrno

from glidecache.core.request_deadlines cimport reply_deadline_ns
from glidecache_shared.pool.clock cimport monotonic_ns
from glidecache_shared.wire.dealer cimport Dealer
from glidecache_shared.wire.packing cimport unpack_from

from glidecache.core.transport_errors import DaemonLostError, NoReplyError, NotSentError
from glidecache.errors import ClosingError

cdef extern from "<poll.h>" nogil:
    enum:
        POLLIN
        POLLOUT
    struct pollfd:
        int fd
        short events
    int poll(pollfd *descriptors, unsigned long count, int milliseconds)

cdef enum:
    READABLE = 1
    WRITABLE = 2
    NS_PER_MS = 1_000_000
    # The longest single wait. Signal handlers' calls may take the awaited reply and the sign of it; other threads may
    # close the client, or send an exception.
    LONGEST_WAIT_MS = 50

# gevent and its like replace Python's poll: then a wait must let their other tasks run.
_select_names = vars(select)
_native_poll = select.poll if type(select.poll) is BuiltinFunctionType else object()


cdef class Closing:
    pass


cdef class Exchange:
    def __init__(self, Closing closing not None):
        self.closing = closing
        self.open_ids = set()
        self.replies = {}

    def request(
        self, connection, Dealer dealer not None, int64_t request_id, bytes message not None, int64_t deadline_ns):
        return self.ask(connection, dealer, request_id, message, deadline_ns)

    cdef tuple ask(self, object connection, Dealer dealer, int64_t request_id, bytes message, int64_t deadline_ns):
        cdef object number = request_id
        cdef int64_t until_ns
        cdef tuple reply = None
        try:
            # Before it is sent: from then on a call in a signal handler may take the reply at any moment.
            self.open_ids.add(number)
            self.busy = True
            dealer.send_one(message)
            self.sent_ns = monotonic_ns()
            until_ns = reply_deadline_ns(deadline_ns, self.sent_ns)
            while reply is None:
                if not dealer.has_arrived() and not dealer.ended:
                    self.wait(connection, dealer, until_ns)
                reply = self.take(connection, dealer, number)
            return reply
        except NoReplyError:
            raise
        except BaseException:
            connection.drop_if_current(dealer)
            raise
        finally:
            self.busy = False
            self.open_ids.discard(number)
            if self.replies:
                self.replies.pop(number, None)

    cdef int wait(self, object connection, Dealer dealer, int64_t until_ns) except -1:
        """Wait for a while; calls inside this one may use the dealer. Raises `NoReplyError` when the time is over.

        A reply that has arrived by then counts, however late the system ran this thread (contract C28).
        """
        cdef int64_t remaining_ns = until_ns - <int64_t>monotonic_ns()
        cdef int64_t wait_ms = min(max((remaining_ns + NS_PER_MS - 1) // NS_PER_MS, 0), LONGEST_WAIT_MS)
        cdef bint changed
        if self.closing.closed:
            raise ClosingError("the client was closed")
        self.busy = False
        if _select_names.get("poll") is _native_poll:
            changed = wait_without_the_gil(dealer.descriptor, dealer.has_unsent(), <int>wait_ms)
        else:
            changed = dealer.wait(wait_ms)
        if not changed:
            connection.interruption_point()
            if remaining_ns <= 0:
                raise NoReplyError
        self.busy = True
        if dealer.has_unsent():
            dealer.flush()
        return 0

    cdef tuple take(self, object connection, Dealer dealer, object number):
        """Return the reply to this request if it has come, also if a call inside took it; None if it has not."""
        cdef bytes message
        cdef int events
        if self.replies:
            reply = self.replies.pop(number, None)
            if reply is not None:
                return reply
        events = dealer.events()
        if not events & (READABLE | WRITABLE):
            raise DaemonLostError
        if not events & READABLE:
            return None
        message = dealer.receive()
        if message is None:
            return None
        parts = unpack_from(<const uint8_t *>PyBytes_AS_STRING(message), PyBytes_GET_SIZE(message))
        if type(parts) is not list or len(<list>parts) != 3:  # a set, a float, nonsense
            parts = connection.read_reply(message)
        request_id, status, body = parts
        if request_id == number:
            return status, body
        if request_id in self.open_ids:  # other replies come too late for their requests
            self.replies[request_id] = status, body
        return None


cdef bint wait_without_the_gil(int descriptor, bint for_writing, int milliseconds) except -1:
    """Return False when the time is over, True when something may have changed."""
    cdef pollfd watched
    cdef int ready
    watched.fd = descriptor
    watched.events = POLLIN | POLLOUT if for_writing else POLLIN
    with nogil:
        ready = poll(&watched, 1, milliseconds)
    if ready < 0:
        if errno != EINTR:
            PyErr_SetFromErrno(OSError)
        PyErr_CheckSignals()
        return True
    return ready != 0
