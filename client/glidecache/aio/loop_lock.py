"""The lock of one event loop's calls that connect; the loop's own work does not use up deadlines (contract C28)."""

from __future__ import annotations

import asyncio
import time
from collections import deque

from glidecache.core.transport_errors import NoDaemonError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_TICK_SECONDS = 0.002
_TICK_NS = 2_000_000
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

    __slots__ = ("before_ns", "future", "is_ready", "is_resumed", "task")

    def __init__(
        self,
        before_ns: int,
        task: asyncio.Task[object] | None,
        is_ready: Callable[[], bool],
        future: asyncio.Future[None],
    ) -> None:
        self.before_ns = before_ns
        """The lag when it began to wait."""
        self.task = task
        self.future = future
        self.is_ready = is_ready
        self.is_resumed = False
        """True once it was resumed because nothing was left to do for it; it keeps its place until it runs."""

    @property
    def is_abandoned(self) -> bool:
        """Return whether its task has ended: an exception from outside kept it from releasing the lock."""
        return self.task is not None and self.task.done()

    def resume(self) -> None:
        """Let its task go on."""
        if not self.future.done():
            self.future.set_result(None)


def _never() -> bool:
    return False


class LoopLock:
    """The right to connect and attach: one call of a loop has it, the others follow in order (contract C23).

    A task that ended without releasing it has lost it. While any call holds it or waits, a timer measures the loop's
    own work: how long the loop does not run, or how much of the processor it uses. The deadlines are extended by that.
    """

    __slots__ = ("_due_ns", "_lag_ns", "_loop", "_ticking", "_used_ns", "holder", "waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.holder: _Waiter | None = None
        self.waiting: deque[_Waiter] = deque()
        """In the order of the calls. While some are resumed, which are the first, no other gets the lock."""
        self._lag_ns = 0
        self._due_ns = 0
        self._used_ns = 0
        """The processor time of the loop's thread when the timer was last set."""
        self._ticking = False

    @property
    def has_waiters(self) -> bool:
        """Return whether a call holds the lock or waits for it."""
        return (self.holder is not None and not self.holder.is_abandoned) or bool(self.waiting)

    @property
    def lag_ns(self) -> int:
        """Return how long the loop has worked since the holder asked for the lock."""
        return 0 if self.holder is None else self._total_ns() - self.holder.before_ns

    async def acquire(self, deadline_ns: int, is_ready: Callable[[], bool] = _never) -> None:
        """Wait for the lock. Raises `NoDaemonError` at the deadline.

        `is_ready` returns whether the caller would find nothing to do. All such callers get the lock in one turn of
        the loop: a turn for each would use up the deadlines of the last.
        """
        self._measure()
        task = asyncio.current_task()
        waiter = _Waiter(self._total_ns(), task, is_ready, self._loop.create_future())
        holder = self.holder
        if holder is None or holder.is_abandoned or (task is not None and holder.task is task):
            self._drop_abandoned()
            if not self.waiting:
                self.holder = waiter
                return
        self.waiting.append(waiter)
        if holder is None or holder.is_abandoned:
            self._pass_on()
        while self.holder is not waiter:
            await self._wait(waiter, deadline_ns)

    def release(self) -> None:
        """Pass the lock on to the next call."""
        self._pass_on()

    async def _wait(self, waiter: _Waiter, deadline_ns: int) -> None:
        """Wait until the waiter has the lock, or was resumed in vain."""
        future = waiter.future
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
                if self.holder is None:
                    self._pass_on()
            raise
        finally:
            alarm.cancel()
        if waiter.is_resumed:
            waiter.is_resumed = False
            if self.holder is None and self.waiting[0] is waiter:
                self.waiting.popleft()
                self.holder = waiter
            else:
                waiter.future = self._loop.create_future()

    def _pass_on(self) -> None:
        self.holder = None
        self._drop_abandoned()
        if not self.waiting or self.waiting[0].is_resumed:
            return
        for waiter in self.waiting:
            if not waiter.is_ready():
                break
            waiter.is_resumed = True
            waiter.resume()
        if not self.waiting[0].is_resumed:
            self.holder = self.waiting.popleft()
            self.holder.resume()

    def _drop_abandoned(self) -> None:
        while self.waiting and self.waiting[0].is_abandoned:
            self.waiting.popleft()

    def _total_ns(self) -> int:
        """Return the lag so far, including that of the loop's current turn."""
        if not self._ticking:
            return self._lag_ns
        late_ns = time.monotonic_ns() - self._due_ns
        return self._lag_ns + max(0, late_ns, time.thread_time_ns() - self._used_ns)

    def _measure(self) -> None:
        if not self._ticking:
            self._ticking = True
            self._start()

    def _start(self) -> None:
        self._due_ns = time.monotonic_ns() + _TICK_NS
        self._used_ns = time.thread_time_ns()
        self._loop.call_later(_TICK_SECONDS, self._tick)

    def _tick(self) -> None:
        self._lag_ns = self._total_ns()
        if self.holder is not None and self.holder.is_abandoned:
            self._pass_on()
        elif self.holder is None and self.waiting:
            self._pass_on()  # one that was resumed may have been abandoned
        if self.holder is None and not self.waiting:
            self._ticking = False
        else:
            self._start()


def _time_out(future: asyncio.Future[None]) -> None:
    if not future.done():
        message = "glidecached does not answer: another call is still waiting for it"
        future.set_exception(NoDaemonError(message))
