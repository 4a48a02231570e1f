"""The daemon's event loop (see loop.pyi)."""

import contextlib
import heapq
import logging
import os
import select
import signal
from collections import deque

from libc.errno cimport EINTR, errno
from libc.stdint cimport int64_t

from cpython.exc cimport PyErr_CheckSignals

from glidecache_shared.pool.clock cimport monotonic_ns
from glidecached.epoll cimport epoll_event, epoll_wait

logger = logging.getLogger(__name__)

READABLE = select.EPOLLIN
WRITABLE = select.EPOLLOUT

cdef enum:
    # The most events handled in one turn; in the next, the kernel begins with the others.
    EVENTS_PER_TURN = 256
    LONGEST_WAIT_MS = 3_600_000
    # The longest time that work for idle turns waits for one.
    LONGEST_BUSY_NS = 5_000_000


cdef class Timer:
    def __init__(self, callback, tuple arguments):
        self.callback = callback
        self.arguments = arguments

    def cancel(self):
        self.cancelled = True


cdef class Loop:
    def __init__(self):
        self.poller = select.epoll()
        self.descriptor = self.poller.fileno()
        self.handlers = {}
        self.timers = []
        self.deferred = []
        self.from_threads = deque()
        self.idle = deque()
        self.wake_reader, self.wake_writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.watch(self.wake_reader, READABLE, self._woken)

    def watch(self, int descriptor, events, handler):
        self.handlers[descriptor] = handler
        self.poller.register(descriptor, events)

    def change(self, int descriptor, events):
        self.poller.modify(descriptor, events)

    def forget(self, int descriptor):
        if self.handlers.pop(descriptor, None) is not None:
            self.poller.unregister(descriptor)

    def set_intake(self, int descriptor, intake):
        self.intake = intake
        self.watch(descriptor, READABLE, self._announce_intake)

    def remove_intake(self, int descriptor):
        self.intake = None
        self.forget(descriptor)

    def call_at(self, int64_t when_ns, callback, *arguments):
        timer = Timer(callback, arguments)
        self.timer_number += 1
        heapq.heappush(self.timers, (when_ns, self.timer_number, timer))
        return timer

    def call_later(self, double delay_ms, callback, *arguments):
        return self.call_at(monotonic_ns() + <int64_t>(delay_ms * 1e6), callback, *arguments)

    cpdef object defer(self, object callback):
        self.deferred.append(callback)

    cpdef object when_idle(self, object callback):
        self.idle.append(callback)

    def call_from_thread(self, callback, *arguments):
        self.from_threads.append((callback, arguments))
        # A full pipe wakes the loop as well as one byte more would; a closed one has no loop to wake.
        with contextlib.suppress(OSError):
            os.write(self.wake_writer, b"\0")

    @contextlib.contextmanager
    def signals(self, numbers, callback):
        before = {
            number: signal.signal(number, lambda got, _frame: self.call_from_thread(callback, got))
            for number in numbers
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def run(self):
        self.running = True
        while self.running:
            self._turn()

    def stop(self):
        self.running = False

    def close(self):
        self.poller.close()
        # A helper thread may still call: it must not write to another file that has this number by then.
        writer, self.wake_writer = self.wake_writer, -1
        os.close(self.wake_reader)
        os.close(writer)

    def _turn(self):
        events = self.handle_events()
        self.run_timers()
        if self.intake is not None and (self.intake_announced or self.intake.pending):
            self.intake_announced = False
            try:
                self.intake.receive()
            except Exception:
                log_failure(self.intake)
        if self.deferred:
            deferred, self.deferred = self.deferred, []
            for callback in deferred:
                try:
                    callback()
                except Exception:
                    log_failure(callback)
        if self.idle:
            self.run_idle(events)

    cdef int run_idle(self, int events) except -1:
        """Do one piece of work that can wait, unless something happened just now; after a while, do it anyway."""
        cdef int64_t now_ns = monotonic_ns()
        if events and now_ns - self.idled_ns < LONGEST_BUSY_NS:
            return 0
        run(self.idle.popleft(), ())
        self.idled_ns = monotonic_ns()
        return 0

    cdef int handle_events(self) except -1:
        cdef epoll_event events[EVENTS_PER_TURN]
        cdef int count, index
        cdef int timeout_ms, fault
        # Compiled code is not interrupted by a signal: its handler runs here, and may add work.
        PyErr_CheckSignals()
        timeout_ms = self.wait_ms()
        with nogil:
            count = epoll_wait(self.descriptor, events, EVENTS_PER_TURN, timeout_ms)
            fault = errno
        if count < 0 and fault != EINTR:
            raise OSError(fault, os.strerror(fault))
        for index in range(count):
            handler = self.handlers.get(events[index].data.fd)
            if handler is None:
                continue  # an earlier handler of this turn has forgotten it
            try:
                handler(events[index].events)
            except Exception:
                log_failure(handler)
        return max(count, 0)

    cdef int wait_ms(self) except -1:
        """Return the time until something is due, in whole milliseconds for the kernel, rounded up."""
        cdef int64_t left_ns
        if self.deferred or self.idle or self.from_threads or (self.intake is not None and self.intake.pending):
            return 0
        while self.timers and (<Timer>self.timers[0][2]).cancelled:
            heapq.heappop(self.timers)
        if not self.timers:
            return LONGEST_WAIT_MS
        left_ns = <int64_t>self.timers[0][0] - monotonic_ns()
        return 0 if left_ns <= 0 else <int>min((left_ns + 999_999) // 1_000_000, LONGEST_WAIT_MS)

    cdef int run_timers(self) except -1:
        cdef int64_t now_ns
        cdef Timer timer
        if not self.timers:
            return 0
        now_ns = monotonic_ns()
        while self.timers and <int64_t>self.timers[0][0] <= now_ns:
            timer = heapq.heappop(self.timers)[2]
            if not timer.cancelled:
                run(timer.callback, timer.arguments)
        return 0

    def _announce_intake(self, events):
        self.intake_announced = True

    def _woken(self, events):
        with contextlib.suppress(BlockingIOError):
            os.read(self.wake_reader, 4096)
        while self.from_threads:
            callback, arguments = self.from_threads.popleft()
            run(callback, arguments)


cdef int run(object callback, tuple arguments) except -1:
    try:
        callback(*arguments)
    except Exception:
        log_failure(callback)
    return 0


cdef object log_failure(object callback):
    logger.exception("%r failed; the loop continues", callback)
