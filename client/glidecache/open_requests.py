"""How many requests of one blocking client may be open at once, in all threads (`inflight_requests_limit`)."""

from __future__ import annotations

import sys
from threading import get_ident

from glidecache.blocking_channel import run_blocking
from glidecache.outcomes import too_many

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class OpenRequests:
    """The threads that wait for a client's requests. A dict's own methods are atomic, so there is no lock.

    A thread counts once, also for a call inside a call, from a signal handler. What an exception at an unlucky moment
    leaves behind ends with the thread's next call, or with the thread; a forked child has none of its parent's threads.
    """

    __slots__ = ("_limit", "_open")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: dict[int, None] = {}

    def run(self, function: Any, *arguments: Any, **named: Any) -> Any:
        """Return what `run_blocking` does. Raises `RequestError` where the request is one too many."""
        threads, thread = self._open, get_ident()
        try:
            threads[thread] = None
            # It counts before it asks, so that of several threads at the limit none slips through.
            if len(threads) > self._limit and self._is_full():
                if not callable(function):
                    function.close()  # a coroutine that will not run
                raise too_many(self._limit)
            return run_blocking(function, *arguments, **named)
        finally:
            threads.pop(thread, None)

    def _is_full(self) -> bool:
        """Return whether there are too many threads, without those that have ended."""
        alive = sys._current_frames()
        for thread in list(self._open):
            if thread not in alive:
                self._open.pop(thread, None)
        return len(self._open) > self._limit
