"""The daemon's messages to the service manager: ready in time, alive, and its status."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from glidecached.upstream.call import SingleCall

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from glidecached.process.loop import Loop
    from glidecached.process.sd_notify import ServiceManager
    from glidecached.upstream.interface import Upstream

_FIRST_ATTEMPTS_MS = 5_000
"""The longest time that first attempts to reach the upstreams delay `READY=1`; the daemon serves meanwhile."""

_STATUS_INTERVAL_MS = 3_000
_TRY_INTERVAL_MS = 3_000
"""The interval of attempts to reach unused upstreams that are not connected."""
_BEATS_PER_WATCHDOG = 3

_STOP_SECONDS = 10.0
"""The longest time that the end takes, besides waiting for open requests."""

_TAKE_OVER_SECONDS = 30.0
_TAKE_OVER_BYTES_PER_SECOND = 50e6
"""The speed of verifying pools that were swapped out to a slow disk; in memory it is some twenty times that."""


def allow_for_take_over(manager: ServiceManager, pool_dir: Path) -> None:
    """Ask for as much time to start as verifying the previous daemon's pools may take."""
    size_bytes = sum(path.stat().st_size for path in pool_dir.glob("*.pool"))
    if size_bytes:
        manager.allow(_TAKE_OVER_SECONDS + size_bytes / _TAKE_OVER_BYTES_PER_SECOND)


class Supervision:
    """The messages to the manager at the right times, from the loop's own thread: a loop that hangs is silent.

    `status` returns the line for `systemctl status`. It is called every few seconds, and sent when it has changed.
    `upstreams` returns those of the configuration. They are tried at the start. Unused ones are tried again until they
    are reached, so that an operator sees their present state, and not that of their last use.
    Without a manager that listens nothing happens, and upstreams connect when they are first used.
    """

    def __init__(
        self,
        manager: ServiceManager,
        loop: Loop,
        upstreams: Callable[[], Iterable[Upstream]],
        status: Callable[[], str],
    ) -> None:
        self._manager = manager
        self._loop = loop
        self._upstreams = upstreams
        self._status = status
        self._shown = ""
        self._undecided = 0
        self._is_ready = False
        self._silent = not manager.listens

    def start(self) -> None:
        """Begin, once the socket answers. READY=1 follows when each first attempt has succeeded or failed."""
        if self._silent:
            return
        if self._manager.watchdog_ms is not None:
            self._beat(self._manager.watchdog_ms / _BEATS_PER_WATCHDOG)
        self._undecided = 1  # this loop over the upstreams: an attempt may be decided at once
        for upstream in self._upstreams():
            self._undecided += 1
            upstream.submit(_Attempt(self._attempted))
        self._loop.call_later(_FIRST_ATTEMPTS_MS, self._ready)
        self._loop.call_later(_TRY_INTERVAL_MS, self._try_unused)
        self._attempted()

    def stop(self, drain_seconds: float) -> None:
        """Report that the daemon stops, and waits this long for open requests. Only signs of life follow."""
        self._silent = True
        self._manager.stopping()
        self._manager.allow(drain_seconds + _STOP_SECONDS)

    def _attempted(self) -> None:
        self._undecided -= 1
        if not self._undecided:
            self._ready()

    def _ready(self) -> None:
        if self._silent or self._is_ready:
            return
        self._is_ready = True
        self._show_status()
        self._manager.ready()

    def _show_status(self) -> None:
        if self._silent:
            return
        status = self._status()
        if status != self._shown and self._manager.show(status):
            self._shown = status
        self._loop.call_later(_STATUS_INTERVAL_MS, self._show_status)

    def _try_unused(self) -> None:
        if self._silent:
            return
        for upstream in self._upstreams():
            if not upstream.sessions and not upstream.busy and upstream.stats()["connected_to"] is None:
                upstream.submit(_Attempt(lambda: None))
        self._loop.call_later(_TRY_INTERVAL_MS, self._try_unused)

    def _beat(self, interval_ms: float) -> None:
        self._manager.alive()
        self._loop.call_later(interval_ms, self._beat, interval_ms)


class _Attempt(SingleCall):
    """A PING to an upstream. Any outcome decides the attempt."""

    __slots__ = ("_decided",)

    def __init__(self, decided: Callable[[], object]) -> None:
        deadline_ns = time.monotonic_ns() + _FIRST_ATTEMPTS_MS * 1_000_000
        super().__init__((b"PING",), deadline_ns, repeatable=False)
        self._decided = decided

    def abandon(self) -> None:
        """Decide the attempt: connected, but too late to ask."""
        self._decided()

    def succeed(self, reply: Any) -> None:
        """Decide the attempt: reached, even if the user may not PING."""
        del reply
        self._decided()

    def fail(self, code: int, message: str) -> None:
        """Decide the attempt: not reached; the upstream has logged why."""
        del code, message
        self._decided()
