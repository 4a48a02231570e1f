# cython: boundscheck=True, wraparound=False
"""The daemon's event loop: one thread, epoll, timers, and a way in for signals and helper threads (architecture 11).

A turn is: wait; handle ready descriptors and due timers; take in what clients sent; write what was submitted meanwhile.
So all waiting requests are read before any command is sent, and the commands leave in one write.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
from collections import deque
from typing import TYPE_CHECKING, Any

import cython
from cython.cimports.cpython.exc import PyErr_CheckSignals
from cython.cimports.glidecache_shared.pool.clock import monotonic_ns

from glidecached.process.epoll import EventPoll
from glidecached.process.timers import Timers
from glidecached.process.turn_end import DeferredCall, TurnEnd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from glidecached.process.timers import TimedTask, Timer

logger = logging.getLogger(__name__)

READABLE = select.EPOLLIN
WRITABLE = select.EPOLLOUT

LONGEST_WAIT_MS = cython.declare(cython.int, 3_600_000)
# The longest time that work for idle turns waits for one.
LONGEST_BUSY_NS = cython.declare(cython.longlong, 5_000_000)


class EventHandler:
    """A compiled object that the loop calls when its descriptor is ready."""

    def ready(self, events: cython.int) -> None:
        """Handle these events. Implemented by subclasses."""
        raise NotImplementedError


class CallbackHandler(EventHandler):
    """A callback that is called with the events."""

    def __init__(self, callback: Callable[[int], object]) -> None:
        self._callback = callback

    def __repr__(self) -> str:
        return repr(self._callback)

    def ready(self, events: cython.int) -> None:
        """Implement `EventHandler`."""
        self._callback(events)


class Intake:
    """A source of requests."""

    def receive(self) -> None:
        """Take available requests, up to a fair amount. Implemented by subclasses."""
        raise NotImplementedError

    def has_pending(self) -> cython.bint:
        """Return whether there is more than the descriptor announces. Implemented by subclasses."""
        raise NotImplementedError


class IntakeWatch(EventHandler):
    """The descriptor that wakes the loop for its intake."""

    loop: Loop

    def __init__(self, loop: Loop) -> None:
        self.loop = loop

    def ready(self, _events: cython.int) -> None:
        """Implement `EventHandler`."""
        self.loop.intake_announced = True


class Loop:
    """The event loop: callbacks by descriptor and by time, run one after another in the thread that calls `run`.

    Everything but `call_from_thread` belongs to that thread. A callback that raises is logged, and the loop continues.
    Times are CLOCK_MONOTONIC in ns.
    """

    def __init__(self) -> None:
        self.poll = EventPoll()
        self.handlers: list[EventHandler | None] = []
        self.timers = Timers()
        self.turn_end = TurnEnd()
        """The tasks for the end of this turn, after the intake."""
        self.from_threads: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self.idle: deque[Callable[[], object]] = deque()
        self.idle_count: cython.Py_ssize_t = 0
        self.idled_ns = 0
        self.intake: Intake | None = None
        self.intake_announced = False
        self.running = False
        self.wake_reader, self.wake_writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.watch(self.wake_reader, READABLE, self._woken)

    def watch(
        self, descriptor: cython.int, events: int, handler: Callable[[int], object] | EventHandler
    ) -> None:
        """Call `handler(events)` whenever `descriptor` is ready for one of `events`, or is in error."""
        while descriptor >= len(self.handlers):
            self.handlers.append(None)
        self.handlers[descriptor] = handler if isinstance(handler, EventHandler) else CallbackHandler(handler)
        self.poll.add(descriptor, events)

    def change(self, descriptor: int, events: int) -> None:
        """Watch for other events from now on."""
        self.poll.change(descriptor, events)

    def forget(self, descriptor: cython.int) -> None:
        """Stop watching. Must be called before the descriptor is closed."""
        if 0 <= descriptor < len(self.handlers) and self.handlers[descriptor] is not None:
            self.handlers[descriptor] = None
            self.poll.remove(descriptor)

    def set_intake(self, descriptor: int, intake: Intake) -> None:
        """Take requests from `intake` at the end of every turn; `descriptor` wakes the loop for it."""
        self.intake = intake
        self.watch(descriptor, READABLE, IntakeWatch(self))

    def remove_intake(self, descriptor: int) -> None:
        """Take no more requests from it."""
        self.intake = None
        self.forget(descriptor)

    def call_at(self, when_ns: cython.longlong, callback: Callable[..., object], *arguments: Any) -> Timer:
        """Run the callback once `when_ns` has come."""
        return self.timers.add(when_ns, callback, arguments)

    def call_later(self, delay_ms: cython.double, callback: Callable[..., object], *arguments: Any) -> Timer:
        """Run the callback in `delay_ms`."""
        delay_ns: cython.longlong = cython.cast(cython.longlong, delay_ms * 1e6)
        return self.timers.add(monotonic_ns() + delay_ns, callback, arguments)

    def run_later(self, delay_ns: cython.longlong, task: TimedTask) -> None:
        """Run the task in `delay_ns`."""
        self.timers.add_task(monotonic_ns() + delay_ns, task)

    def when_idle(self, callback: Callable[[], object]) -> None:
        """Call back in a turn in which nothing else happens, or 5 ms after the last such call: one callback a turn.

        For long work in short pieces. Clients' requests go first (isolation I10).
        """
        self.idle.append(callback)
        self.idle_count += 1

    def defer(self, callback: Callable[[], object]) -> None:
        """Run the callback once, at the end of this turn, after the intake."""
        self.turn_end.add(DeferredCall(callback))

    def call_from_thread(self, callback: Callable[..., object], *arguments: Any) -> None:
        """Run the callback in the loop's thread, soon. From any thread, and from signal handlers."""
        self.from_threads.append((callback, arguments))
        # A full pipe wakes the loop as well as one byte more would; a closed one has no loop to wake.
        with contextlib.suppress(OSError):
            os.write(self.wake_writer, b"\0")

    @contextlib.contextmanager
    def signals(self, numbers: Iterable[signal.Signals], callback: Callable[[int], object]) -> Iterator[None]:
        """Have signals call `callback(number)` in the loop while the context lasts. For the main thread."""
        before = {
            number: signal.signal(number, lambda got, _frame: self.call_from_thread(callback, got))
            for number in numbers
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def run(self) -> None:
        """Run turns until `stop` is called."""
        self.running = True
        while self.running:
            self.turn()

    def stop(self) -> None:
        """Let `run` return after this turn."""
        self.running = False

    def close(self) -> None:
        """Close the loop's own descriptors. No callback runs any more."""
        self.poll.close()
        # A helper thread may still call: it must not write to another file that has this number by then.
        writer, self.wake_writer = self.wake_writer, -1
        os.close(self.wake_reader)
        os.close(writer)

    def _turn(self) -> None:
        """Do one turn: for tests, which look at what is between two turns."""
        self.turn()

    def turn(self) -> None:
        """Wait, handle what is ready and due, take requests in, and let what they submitted leave."""
        events: cython.int = self.handle_events()
        self.run_timers()
        if self.intake is not None and (self.intake_announced or self.intake.has_pending()):
            self.intake_announced = False
            try:
                self.intake.receive()
            except Exception:
                logger.exception(
                    "a callback failed; the loop continues", extra={"callback": repr(self.intake)}
                )
        if self.turn_end.first is not None:
            self.turn_end.carry_out()
        if self.idle_count:
            self.run_idle(events)

    def run_idle(self, events: cython.int) -> None:
        """Do one piece of work that can wait, unless something happened just now; after a while, do it anyway."""
        now_ns: cython.longlong = monotonic_ns()
        if events and now_ns - self.idled_ns < LONGEST_BUSY_NS:
            return
        self.idle_count -= 1
        call_back(self.idle.popleft(), ())
        self.idled_ns = monotonic_ns()

    def handle_events(self) -> cython.int:
        """Wait for events or the next timer, and call the handlers. Return the number of events."""
        # Compiled code is not interrupted by a signal: its handler runs here, and may add work.
        PyErr_CheckSignals()
        count: cython.int = self.poll.wait(self.wait_ms())
        descriptor: cython.int
        index: cython.int
        handler: EventHandler | None
        for index in range(count):
            descriptor = self.poll.descriptor_at(index)
            handler = self.handlers[descriptor] if descriptor < len(self.handlers) else None
            if handler is None:
                continue  # an earlier handler of this turn has forgotten it
            try:
                handler.ready(self.poll.events_at(index))
            except Exception:
                logger.exception("a callback failed; the loop continues", extra={"callback": repr(handler)})
        return count

    def wait_ms(self) -> cython.int:
        """Return the time until something is due, in whole milliseconds for the kernel, rounded up."""
        # A callback from another thread has made the wake descriptor readable.
        if self.turn_end.first is not None or self.idle_count:
            return 0
        if self.intake is not None and self.intake.has_pending():
            return 0
        timer: Timer | None = self.timers.first()
        if timer is None:
            return LONGEST_WAIT_MS
        left_ms: cython.longlong = (
            timer.when_ns - cython.cast(cython.longlong, monotonic_ns()) + 999_999
        ) // 1_000_000
        if left_ms <= 0:
            return 0
        return cython.cast(cython.int, min(left_ms, LONGEST_WAIT_MS))

    def run_timers(self) -> None:
        """Run the callbacks of timers that are due."""
        timer: Timer | None = self.timers.first()
        if timer is None:
            return
        now_ns: cython.longlong = monotonic_ns()
        while timer is not None and timer.when_ns <= now_ns:
            self.timers.take_first()
            if timer.task is None:
                call_back(timer.callback, timer.arguments)
            else:
                run_task(timer.task)
            timer = self.timers.first()

    def _woken(self, _events: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self.wake_reader, 4096)
        while self.from_threads:
            callback, arguments = self.from_threads.popleft()
            call_back(callback, arguments)


def run_task(task: TimedTask) -> None:
    """Run a task whose time has come; log an exception."""
    try:
        task.run_timer()
    except Exception:
        logger.exception("a callback failed; the loop continues", extra={"callback": repr(task)})


def call_back(callback: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    """Call back; log an exception."""
    try:
        if arguments:
            callback(*arguments)
        else:
            callback()
    except Exception:
        logger.exception("a callback failed; the loop continues", extra={"callback": repr(callback)})
