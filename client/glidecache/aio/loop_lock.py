"""The lock of one event loop's calls that connect; the loop's own work does not use up deadlines (contract C28)."""

from __future__ import annotations

import asyncio
import time
from collections import deque

from glidecache.core.transport_errors import NoDaemonError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_TICK_SECONDS = 0.01
_TICK_NS = 10_000_000
_LONGEST_WAIT_SECONDS = 86_400.0


def seconds_until(deadline_ns: int, now_ns: int) -> float:
    """Return the time until a deadline in seconds, as event loops take it."""
    return min(max(0.0, (deadline_ns - now_ns) / 1e9), _LONGEST_WAIT_SECONDS)


class Alarm:
    """A timer for a deadline that may become later while it runs; calls back once."""

    __slots__ = ("_callback", "_deadline_ns", "_loop", "_timer")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, deadline_ns: Callable[[], int], callback: Callable[[], object]
    ) -> None:
        """Start the timer. `deadline_ns` returns the deadline as it is at that moment."""
        self._loop = loop
        self._deadline_ns = deadline_ns
        self._callback = callback
        self._timer = self._start()

    def cancel(self) -> None:
        """Stop the timer."""
        self._timer.cancel()

    def _start(self) -> asyncio.TimerHandle:
        return self._loop.call_later(seconds_until(self._deadline_ns(), time.monotonic_ns()), self._ring)

    def _ring(self) -> None:
        if self._deadline_ns() > time.monotonic_ns():
            self._timer = self._start()
        else:
            self._callback()


class _Waiter:
    """One call that holds the lock or waits for it."""

    __slots__ = ("before_ns", "future", "task")

    def __init__(self, before_ns: int, task: asyncio.Task[object] | None) -> None:
        self.before_ns = before_ns
        """The lag when it began to wait."""
        self.task = task
        self.future: asyncio.Future[None] | None = None

    @property
    def is_abandoned(self) -> bool:
        """Return whether its task has ended: an exception from outside kept it from releasing the lock."""
        return self.task is not None and self.task.done()


class LoopLock:
    """The right to connect and attach: one call of a loop has it, the others follow in order (contract C23).

    A task that ended without releasing it has lost it. While any call holds it or waits, a timer measures how long the
    loop does not run; the deadlines are extended by that time.
    """

    __slots__ = ("_due_ns", "_lag_ns", "_loop", "_ticking", "holder", "waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.holder: _Waiter | None = None
        self.waiting: deque[_Waiter] = deque()
        self._lag_ns = 0
        self._due_ns = 0
        self._ticking = False

    @property
    def has_waiters(self) -> bool:
        """Return whether a call holds the lock or waits for it."""
        return (self.holder is not None and not self.holder.is_abandoned) or bool(self.waiting)

    @property
    def lag_ns(self) -> int:
        """Return how long the loop has not run since the holder asked for the lock."""
        return 0 if self.holder is None else self._total_ns() - self.holder.before_ns

    async def acquire(self, deadline_ns: int) -> None:
        """Wait for the lock. Raises `NoDaemonError` at the deadline."""
        self._measure()
        task = asyncio.current_task()
        waiter = _Waiter(self._total_ns(), task)
        holder = self.holder
        if holder is None or holder.is_abandoned or (task is not None and holder.task is task):
            self.waiting = deque(other for other in self.waiting if not other.is_abandoned)
            if not self.waiting:
                self.holder = waiter
                return
        future = waiter.future = self._loop.create_future()
        self.waiting.append(waiter)
        if holder is None or holder.is_abandoned:
            self._pass_on()
        alarm = Alarm(
            self._loop, lambda: deadline_ns + self._total_ns() - waiter.before_ns, lambda: _time_out(future)
        )
        try:
            await future
        except BaseException:
            if self.holder is waiter:
                self._pass_on()  # cancelled just as it got the lock
            elif waiter in self.waiting:
                self.waiting.remove(waiter)
            raise
        finally:
            alarm.cancel()

    def release(self) -> None:
        """Pass the lock on to the next call."""
        self._pass_on()

    def _pass_on(self) -> None:
        self.holder = None
        while self.waiting:
            waiter = self.waiting.popleft()
            if waiter.future is not None and not waiter.future.done() and not waiter.is_abandoned:
                self.holder = waiter
                waiter.future.set_result(None)
                return

    def _total_ns(self) -> int:
        """Return the lag so far, including that of the loop's current turn."""
        return self._lag_ns + max(0, time.monotonic_ns() - self._due_ns) if self._ticking else self._lag_ns

    def _measure(self) -> None:
        if not self._ticking:
            self._ticking = True
            self._start()

    def _start(self) -> None:
        self._due_ns = time.monotonic_ns() + _TICK_NS
        self._loop.call_later(_TICK_SECONDS, self._tick)

    def _tick(self) -> None:
        self._lag_ns = self._total_ns()
        holder = self.holder
        if holder is not None and holder.is_abandoned:
            self._pass_on()
        if self.holder is None and not self.waiting:
            self._ticking = False
        else:
            self._start()


def _time_out(future: asyncio.Future[None]) -> None:
    if not future.done():
        message = "glidecached does not answer: another call is still waiting for it"
        future.set_exception(NoDaemonError(message))
