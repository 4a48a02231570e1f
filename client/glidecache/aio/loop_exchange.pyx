"""One event loop's requests to the daemon (see loop_exchange.pyi)."""

import weakref

from libc.stdint cimport int64_t, uint8_t

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE

from glidecache.core.request_deadlines cimport reply_deadline_ns, with_deadline
from glidecache_shared.pool.clock cimport monotonic_ns
from glidecache_shared.wire.dealer cimport Dealer
from glidecache_shared.wire.packing cimport unpack_from

from glidecache.aio.loop_lock import seconds_until
from glidecache.core.transport_errors import DaemonLostError, NoReplyError, NotSentError, too_many

cdef enum:
    READABLE = 1
    # A request that is sent within this time keeps its original deadline.
    PROMPT_NS = 1_000_000


cdef class OpenCall:
    pass


cdef class LoopExchange:
    def __init__(self, connection, loop, Py_ssize_t inflight_requests):
        self.connection_of = weakref.ref(connection)
        self.loop = loop
        self.create_future = loop.create_future
        self.inflight_requests = inflight_requests
        self.open_calls = {}
        self.queue = []

    async def request(
        self, connection, Dealer dealer not None, int64_t request_id, bytes message not None, int64_t deadline_ns):
        cdef OpenCall call = self.begin(connection, dealer, request_id, message, deadline_ns)
        cdef bint answered = False
        try:
            reply = await call.future
            answered = True
            return reply
        finally:
            self.end(connection, call, answered)

    cdef OpenCall begin(
        self, object connection, Dealer dealer, int64_t request_id, bytes message, int64_t deadline_ns):
        """Send a message, or queue it behind open requests. Raises `NotSentError`, `RequestError`."""
        cdef OpenCall call
        cdef int64_t now_ns = monotonic_ns()
        if len(self.open_calls) >= self.inflight_requests:
            raise too_many(self.inflight_requests)
        call = OpenCall.__new__(OpenCall)
        call.number = request_id
        call.dealer = dealer
        call.deadline_ns = deadline_ns
        call.asked_ns = now_ns
        call.until_ns = reply_deadline_ns(deadline_ns, now_ns)
        call.future = self.create_future()
        if self.open_calls:
            if not self.queue:
                self.loop.call_soon(self.send_queued, connection, dealer)
            call.queued = message
            self.queue.append(call)
        else:
            try:
                connection.send_all(dealer, (message,))
            except NotSentError:
                raise
            except BaseException:
                connection.cancel(dealer, call.number)  # interrupted: it may have left
                raise
            connection.sent_ns = now_ns
        self.open_calls[call.number] = call
        self.watch(call.until_ns)
        return call

    cdef int end(self, object connection, OpenCall call, bint answered) except -1:
        """Forget a call. If it has no reply and no error, it was interrupted: cancel it at the daemon, too."""
        self.open_calls.pop(call.number, None)
        if answered:
            return 0
        if call.future.done() and not call.future.cancelled():
            call.future.exception()  # it may have arrived while the call was interrupted
        elif call.queued is not None:
            call.queued = None
        else:
            connection.cancel(call.dealer, call.number)
        return 0

    def send_queued(self, connection, Dealer dealer not None):
        cdef OpenCall call
        cdef int64_t now_ns, late_ns
        cdef list messages = []
        if dealer is not connection.dealer:
            return  # it was released meanwhile
        now_ns = monotonic_ns()
        for call in self.queue:
            if call.queued is None:
                continue  # cancelled
            late_ns = now_ns - call.asked_ns
            if late_ns > PROMPT_NS:
                # Its clock starts now.
                call.late_ns = late_ns
                messages.append(with_deadline(call.queued, call.deadline_ns + late_ns))
            else:
                messages.append(call.queued)
        if messages:
            connection.sent_ns = now_ns
            try:
                connection.send_all(dealer, messages)
            except NotSentError:
                pass  # releasing the dealer has failed these calls
        self.forget_queued()

    cdef int watch(self, int64_t until_ns) except -1:
        """Have the timer come by this time."""
        if self.timer is not None:
            if self.timer_ns <= until_ns:
                return 0
            self.timer.cancel()
        self.timer_ns = until_ns
        self.timer = self.loop.call_later(seconds_until(until_ns, monotonic_ns()), self.look_for_overdue)
        return 0

    def look_for_overdue(self):
        """Time calls out, unless their replies have arrived, or their clocks started later than the calls."""
        cdef OpenCall call
        cdef int64_t now_ns
        cdef int64_t next_ns = 0
        self.timer = None
        connection = self.connection_of()
        if connection is None:
            return
        if any_overdue(self.open_calls, monotonic_ns()):
            self.read_all(connection, connection.dealer)
        now_ns = monotonic_ns()
        for call in list(self.open_calls.values()):
            if call.future.done():
                continue
            if call.until_ns <= now_ns:
                if call.queued is not None:
                    # The request leaves in this turn of the loop.
                    call.until_ns = reply_deadline_ns(call.deadline_ns + now_ns - call.asked_ns, now_ns)
                else:
                    call.until_ns += call.late_ns
                    call.late_ns = 0
                if call.until_ns <= now_ns:
                    call.future.set_exception(NoReplyError())
                    continue
            if next_ns == 0 or call.until_ns < next_ns:
                next_ns = call.until_ns
        if next_ns:
            self.watch(next_ns)

    def read_next(self, connection, Dealer dealer not None):
        cdef int events = dealer.events()
        while events & READABLE:
            self.take(connection, dealer)
            if dealer is not connection.dealer or not dealer.has_arrived():
                break  # what else arrives is announced
            events = dealer.events()
        return events

    def read_all(self, connection, Dealer dealer):
        while dealer is not None and dealer is connection.dealer and dealer.events() & READABLE:
            self.take(connection, dealer)

    cdef int take(self, object connection, Dealer dealer) except -1:
        """Answer the call whose reply has arrived."""
        cdef OpenCall call
        cdef bytes message = dealer.receive()
        if message is None:
            return 0
        parts = unpack_from(<const uint8_t *>PyBytes_AS_STRING(message), PyBytes_GET_SIZE(message))
        if type(parts) is not list or len(<list>parts) != 3:  # a set, a float, nonsense
            try:
                parts = connection.read_reply(message)
            except DaemonLostError as error:
                self.fail(error)
                return 0
        request_id, status, body = parts
        call = self.open_calls.get(request_id)
        if call is not None and not call.future.done():  # other replies come too late for their requests
            call.future.set_result((status, body))
        return 0

    def fail_queued(self, error):
        cdef OpenCall call
        for call in self.queue:
            if call.queued is not None and not call.future.done():
                call.future.set_exception(error)

    def forget_queued(self):
        cdef OpenCall call
        for call in self.queue:
            call.queued = None
        self.queue.clear()

    def fail(self, error):
        cdef OpenCall call
        for call in self.open_calls.values():
            if not call.future.done():
                call.future.set_exception(error)


cdef bint any_overdue(dict open_calls, int64_t now_ns):
    cdef OpenCall call
    for call in open_calls.values():
        if call.until_ns <= now_ns and not call.future.done():
            return True
    return False
