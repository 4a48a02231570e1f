"""The daemon's event loop: one thread, epoll, timers, and a way in for signals and helper threads (architecture 11).

A turn is: wait; handle ready descriptors and due timers; take in what clients sent; write what was submitted meanwhile.
So all waiting requests are read before any command is sent, and the commands leave in one write.
"""

import signal
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any, Protocol

READABLE: int
WRITABLE: int

class Intake(Protocol):
    """A source of requests."""

    def receive(self) -> object:
        """Take available requests, up to a fair amount."""

    @property
    def pending(self) -> bool:
        """Return whether there is more than the descriptor announces."""

class Timer:
    """One callback at one time; it may be cancelled until it has run."""

    def cancel(self) -> None:
        """Cancel the callback. Idempotent, and harmless after it ran."""

class Loop:
    """The event loop: callbacks by descriptor and by time, run one after another in the thread that calls `run`.

    Everything but `call_from_thread` belongs to that thread. A callback that raises is logged, and the loop continues.
    Times are CLOCK_MONOTONIC in ns.
    """

    def __init__(self) -> None: ...
    def watch(self, descriptor: int, events: int, handler: Callable[[int], object]) -> None:
        """Call `handler(events)` whenever `descriptor` is ready for one of `events`, or is in error."""

    def change(self, descriptor: int, events: int) -> None:
        """Watch for other events from now on."""

    def forget(self, descriptor: int) -> None:
        """Stop watching. Must be called before the descriptor is closed."""

    def set_intake(self, descriptor: int, intake: Intake) -> None:
        """Take requests from `intake` at the end of every turn; `descriptor` wakes the loop for it."""

    def remove_intake(self, descriptor: int) -> None:
        """Take no more requests from it."""

    def call_at(self, when_ns: int, callback: Callable[..., object], *arguments: Any) -> Timer:
        """Run the callback once `when_ns` has come."""

    def call_later(self, delay_ms: float, callback: Callable[..., object], *arguments: Any) -> Timer:
        """Run the callback in `delay_ms`."""

    def when_idle(self, callback: Callable[[], object]) -> None:
        """Call back in a turn in which nothing else happens, or 5 ms after the last such call: one callback a turn.

        For long work in short pieces. Clients' requests go first (isolation I10).
        """

    def defer(self, callback: Callable[[], object]) -> None:
        """Run the callback once, at the end of this turn, after the intake."""

    def call_from_thread(self, callback: Callable[..., object], *arguments: Any) -> None:
        """Run the callback in the loop's thread, soon. From any thread, and from signal handlers."""

    def signals(
        self, numbers: Iterable[signal.Signals], callback: Callable[[int], object]
    ) -> AbstractContextManager[None]:
        """Have signals call `callback(number)` in the loop while the context lasts. For the main thread."""

    def run(self) -> None:
        """Run turns until `stop` is called."""

    def stop(self) -> None:
        """Let `run` return after this turn."""

    def close(self) -> None:
        """Close the loop's own descriptors. No callback runs any more."""

    def _turn(self) -> None: ...
