"""The daemon's event loop: one thread, epoll, timers, and a way in for signals and helper threads (architecture 11).

A turn is: wait; handle what became readable or writable, and the timers that are due; take in what clients sent; write
what was submitted meanwhile. So all requests that wait are read before anything is sent, and leave in one write.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import logging
import os
import select
import signal
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

logger = logging.getLogger(__name__)

READABLE = select.EPOLLIN
WRITABLE = select.EPOLLOUT

_LONGEST_WAIT_SECONDS = 3600.0


class Intake(Protocol):
    """Where requests come in."""

    def receive(self) -> object:
        """Take what is there, up to a fair amount."""

    @property
    def pending(self) -> bool:
        """Whether there is more than the descriptor announces."""


class Timer:
    """One callback at one time; `cancel` it as long as it has not run."""

    __slots__ = ("arguments", "callback", "cancelled")

    def __init__(self, callback: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        self.callback = callback
        self.arguments = arguments
        self.cancelled = False

    def cancel(self) -> None:
        """Do not run it. Idempotent, and harmless after it ran."""
        self.cancelled = True


class Loop:
    """Callbacks by descriptor and by time, run one after another in the thread that calls `run`.

    Everything but `call_from_thread` belongs to that thread. A callback that raises is logged, and the loop goes on.
    Times are CLOCK_MONOTONIC in ns.
    """

    def __init__(self) -> None:
        self._poller = select.epoll()
        self._handlers: dict[int, Callable[[int], object]] = {}
        self._timers: list[tuple[int, int, Timer]] = []
        self._timer_numbers = itertools.count()
        self._deferred: list[Callable[[], object]] = []
        self._from_threads: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._intake: Intake | None = None
        self._intake_announced = False
        self._running = False
        self._wake_reader, self._wake_writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.watch(self._wake_reader, READABLE, self._woken)

    def watch(self, descriptor: int, events: int, handler: Callable[[int], object]) -> None:
        """Call `handler(events)` whenever `descriptor` is ready for one of `events`, or is in error."""
        self._handlers[descriptor] = handler
        self._poller.register(descriptor, events)

    def change(self, descriptor: int, events: int) -> None:
        """Watch for other events from now on."""
        self._poller.modify(descriptor, events)

    def forget(self, descriptor: int) -> None:
        """Stop watching; to be called before the descriptor is closed."""
        if self._handlers.pop(descriptor, None) is not None:
            self._poller.unregister(descriptor)

    def set_intake(self, descriptor: int, intake: Intake) -> None:
        """Take requests from `intake` at the end of every turn; `descriptor` wakes the loop for it."""
        self._intake = intake
        self.watch(descriptor, READABLE, self._announce_intake)

    def remove_intake(self, descriptor: int) -> None:
        """Take no more requests."""
        self._intake = None
        self.forget(descriptor)

    def call_at(self, when_ns: int, callback: Callable[..., object], *arguments: Any) -> Timer:
        """Run the callback once `when_ns` has come."""
        timer = Timer(callback, arguments)
        heapq.heappush(self._timers, (when_ns, next(self._timer_numbers), timer))
        return timer

    def call_later(self, delay_ms: float, callback: Callable[..., object], *arguments: Any) -> Timer:
        """Run the callback in `delay_ms`."""
        return self.call_at(time.monotonic_ns() + int(delay_ms * 1e6), callback, *arguments)

    def defer(self, callback: Callable[[], object]) -> None:
        """Run the callback once, at the end of this turn, after the intake."""
        self._deferred.append(callback)

    def call_from_thread(self, callback: Callable[..., object], *arguments: Any) -> None:
        """Run the callback in the loop's thread, soon. From any thread, and from signal handlers."""
        self._from_threads.append((callback, arguments))
        # A full pipe wakes the loop as well as one byte more would; a closed one has no loop to wake.
        with contextlib.suppress(OSError):
            os.write(self._wake_writer, b"\0")

    @contextlib.contextmanager
    def signals(self, numbers: Iterable[signal.Signals], callback: Callable[[int], object]) -> Any:
        """While the context lasts, signals call `callback(number)` in the loop. For the main thread."""
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
        self._running = True
        while self._running:
            self._turn()

    def stop(self) -> None:
        """Let `run` return after this turn."""
        self._running = False

    def close(self) -> None:
        """Close the loop's own descriptors. Nothing runs any more."""
        self._poller.close()
        # A helper thread may still come: it must not write to whatever has this number by then.
        writer, self._wake_writer = self._wake_writer, -1
        os.close(self._wake_reader)
        os.close(writer)

    def _turn(self) -> None:
        for descriptor, events in self._poller.poll(self._wait_seconds()):
            handler = self._handlers.get(descriptor)
            if handler is not None:  # an earlier handler of this turn may have forgotten it
                self._run(handler, events)
        self._run_timers()
        if self._intake is not None and (self._intake_announced or self._intake.pending):
            self._intake_announced = False
            self._run(self._intake.receive)
        if self._deferred:
            deferred, self._deferred = self._deferred, []
            for callback in deferred:
                self._run(callback)

    def _wait_seconds(self) -> float:
        if self._deferred or (self._intake is not None and self._intake.pending):
            return 0.0
        timers = self._timers
        while timers and timers[0][2].cancelled:
            heapq.heappop(timers)
        if not timers:
            return _LONGEST_WAIT_SECONDS
        return min(max(0.0, (timers[0][0] - time.monotonic_ns()) / 1e9), _LONGEST_WAIT_SECONDS)

    def _announce_intake(self, _events: int) -> None:
        self._intake_announced = True

    def _run_timers(self) -> None:
        timers = self._timers
        if not timers:
            return
        now = time.monotonic_ns()
        while timers and timers[0][0] <= now:
            timer = heapq.heappop(timers)[2]
            if not timer.cancelled:
                self._run(timer.callback, *timer.arguments)

    def _woken(self, _events: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_reader, 4096)
        while self._from_threads:
            callback, arguments = self._from_threads.popleft()
            self._run(callback, *arguments)

    @staticmethod
    def _run(callback: Callable[..., object], *arguments: Any) -> None:
        try:
            callback(*arguments)
        except Exception:
            logger.exception("%r failed; the loop goes on", callback)
