"""What the service manager hears of a daemon: ready in time, alive, and what it is doing."""

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
"""How long the first attempts to reach the upstreams keep `READY=1` back at most; the daemon serves meanwhile."""

_STATUS_INTERVAL_MS = 3_000
_TRY_INTERVAL_MS = 3_000
"""How often upstreams that are not reached and that nobody uses are tried."""
_BEATS_PER_WATCHDOG = 3

_STOP_SECONDS = 10.0
"""What the end takes at most besides the requests that are waited for."""

_TAKE_OVER_SECONDS = 30.0
_TAKE_OVER_BYTES_PER_SECOND = 50e6
"""What verifying reaches where pools were swapped out to a slow disk; in memory it does some twenty times that."""


def allow_for_take_over(manager: ServiceManager, pool_dir: Path) -> None:
    """Ask for as much time to start as verifying the pools of the daemon before may take."""
    size_bytes = sum(path.stat().st_size for path in pool_dir.glob("*.pool"))
    if size_bytes:
        manager.allow(_TAKE_OVER_SECONDS + size_bytes / _TAKE_OVER_BYTES_PER_SECOND)


class Supervision:
    """Speaks to the manager at the right times, from the loop's own thread: a loop that hangs is silent.

    `status` gives the line for `systemctl status`; it is asked every few seconds, and told on when it has changed.
    `upstreams` gives those of the configuration. They are tried at the start, and again until they are reached where no
    client has them come back: what an operator sees is then how they are, and not how they were when last used.
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
        """Begin, once the socket answers. READY=1 follows when each upstream was reached, or was not."""
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
        """Say that the daemon stops, and waits so long for open requests; from now on only signs of life."""
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
    """Asks an upstream for a sign of life. Whatever comes of it, the attempt is decided."""

    __slots__ = ("_decided",)

    def __init__(self, decided: Callable[[], object]) -> None:
        deadline_ns = time.monotonic_ns() + _FIRST_ATTEMPTS_MS * 1_000_000
        super().__init__((b"PING",), deadline_ns, repeatable=False)
        self._decided = decided

    def abandon(self) -> None:
        """Connected, but too late to ask."""
        self._decided()

    def succeed(self, reply: Any) -> None:
        """Reached, whether or not it lets the user ping."""
        del reply
        self._decided()

    def fail(self, code: int, message: str) -> None:
        """Not reached; the upstream has logged why."""
        del code, message
        self._decided()
