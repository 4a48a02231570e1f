"""The daemon's numbers for other threads: only the loop's thread may take them."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecached.process.loop import Loop
    from glidecached.process.timers import Timer

_MAX_AGE_NS = 1_000_000_000
_PATIENCE_SECONDS = 2.0
_BEAT_MS = 500


class LoopSilentError(Exception):
    """The loop did not take a snapshot within two seconds."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The map of STATS, and its time: by CLOCK_MONOTONIC in ns, and in seconds since the epoch."""

    numbers: dict[str, Any]
    taken_ns: int
    taken_at: float


class Snapshots:
    """The snapshots that the loop's thread takes and other threads read. They also show when the loop last turned.

    `stats` is called in the loop only. `get` and `silent_seconds` are for any thread, everything else for the loop's.
    """

    def __init__(self, loop: Loop, stats: Callable[[], dict[str, Any]]) -> None:
        self._loop = loop
        self._stats = stats
        self._changed = threading.Condition()
        self._asked = False
        self._latest: Snapshot | None = None
        self._beat_ns = time.monotonic_ns()
        self._timer: Timer | None = None

    def start(self) -> None:
        """Begin to record the loop's turns."""
        self._beat()

    def stop(self) -> None:
        """Stop recording the loop's turns."""
        if self._timer is not None:
            self._timer.cancel()

    @property
    def silent_seconds(self) -> float:
        """Return the seconds since the loop was last seen to turn: at most half a second, unless it is held up."""
        return (time.monotonic_ns() - self._beat_ns) / 1e9

    @property
    def latest(self) -> Snapshot | None:
        """Return the latest snapshot, of any age."""
        return self._latest

    def take(self) -> Snapshot:
        """Take a snapshot now. For the loop's thread."""
        self._asked = False  # also if this fails: the next one may ask again
        snapshot = Snapshot(self._stats(), time.monotonic_ns(), time.time())
        with self._changed:
            self._latest = snapshot
            self._changed.notify_all()
        return snapshot

    def get(self) -> Snapshot:
        """Return a snapshot of at most one second. Waits up to two seconds for the loop; raises `LoopSilentError`."""
        with self._changed:
            oldest_ns = time.monotonic_ns() - _MAX_AGE_NS
            if not self._is_from(oldest_ns) and not self._asked:
                self._asked = True
                self._loop.call_from_thread(self.take)
            if not self._changed.wait_for(lambda: self._is_from(oldest_ns), _PATIENCE_SECONDS):
                message = f"the daemon's loop has not turned for {self.silent_seconds:.1f} s"
                raise LoopSilentError(message)
            assert self._latest is not None  # noqa: S101 - for mypy: the wait ensures it
            return self._latest

    def _is_from(self, oldest_ns: int) -> bool:
        return self._latest is not None and self._latest.taken_ns >= oldest_ns

    def _beat(self) -> None:
        self._beat_ns = time.monotonic_ns()
        self._timer = self._loop.call_later(_BEAT_MS, self._beat)
