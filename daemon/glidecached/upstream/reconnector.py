"""The attempts to connect of one pipeline: one beside another if it hangs, and later ones with back-off and jitter."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Protocol

from glidecached.upstream.connector import Attempt, Channel, ConnectError

if TYPE_CHECKING:
    from glidecached.process.loop import Loop
    from glidecached.process.timers import Timer
    from glidecached.upstream.target import Target, UpstreamOptions

_STEADY_NS = 1_000_000_000
_SECOND_ATTEMPT_MS = 500
_MAX_PARALLEL_ATTEMPTS = 4


class ReconnectHandler(Protocol):
    """The pipeline that needs the connection."""

    @property
    def wants_connection(self) -> bool:
        """Return whether to try again after a failure."""

    def connection_made(self, channel: Channel) -> None:
        """Use the connection."""

    def connection_failed(self, error: ConnectError) -> None:
        """Handle attempts that all failed. The next one is planned afterwards."""


class Reconnector:
    """Makes a pipeline's connection, and makes it again. Belongs to the loop's thread.

    If an attempt hangs, another one begins beside it: by then the name may lead elsewhere. After a failure the next
    attempt follows with exponential back-off, while the handler wants a connection.
    """

    def __init__(
        self, loop: Loop, target: Target, options: UpstreamOptions, handler: ReconnectHandler
    ) -> None:
        self._loop = loop
        self._target = target
        self._options = options
        self._handler = handler
        self.connected_ns = 0
        """The time at which the present connection was made, or the last one."""
        self._failures = 0
        self._attempts: list[Attempt] = []
        self._another: Timer | None = None
        self._retry: Timer | None = None
        self._retry_ns = 0

    @property
    def next_attempt_ns(self) -> int:
        """Return the time of the planned attempt; 0 if none is planned."""
        return 0 if self._retry is None else self._retry_ns

    def connect(self) -> None:
        """Begin an attempt, unless one is under way or planned."""
        if not self._attempts and self._retry is None:
            self._start()

    def reconfigure(self, target: Target, options: UpstreamOptions) -> None:
        """Use these from now on. With other credentials, start an attempt that is under way or planned again."""
        renewed = target.credentials != self._target.credentials
        self._target = target
        self._options = options
        if renewed and (self._attempts or self._retry is not None):
            self.close()
            self._start()

    def excuse_loss(self) -> None:
        """Note that the daemon itself ends the connection: try again at once if there were failures before it."""
        if self._failures:
            self.connected_ns = 0

    def connection_lost(self, *, again: bool) -> None:
        """Handle a lost connection. `again`: try again at once, if the connection was steady."""
        if time.monotonic_ns() - self.connected_ns < _STEADY_NS:
            # The server accepted the connection and dropped it at once: treat it as no server.
            self._back_off()
            return
        self._failures = 0
        if again:
            self._start()

    def close(self) -> None:
        """Abandon what is under way or planned. Idempotent."""
        self._abandon_attempts()
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    def _start(self) -> None:
        self._retry = None
        self._attempt()

    def _attempt(self) -> None:
        attempt: Attempt

        def attempted(result: Channel | ConnectError) -> None:
            self._attempted(attempt, result)

        attempt = Attempt(self._loop, self._target, self._options.connect_timeout_ms, attempted)
        self._attempts.append(attempt)
        self._cancel_another()
        if len(self._attempts) < _MAX_PARALLEL_ATTEMPTS:
            self._another = self._loop.call_later(_SECOND_ATTEMPT_MS, self._attempt)

    def _attempted(self, attempt: Attempt, result: Channel | ConnectError) -> None:
        self._attempts.remove(attempt)
        if isinstance(result, Channel):
            self._abandon_attempts()
            self.connected_ns = time.monotonic_ns()
            self._handler.connection_made(result)
        elif not self._attempts:
            self._cancel_another()
            self._handler.connection_failed(result)
            self._back_off()

    def _abandon_attempts(self) -> None:
        attempts, self._attempts = self._attempts, []
        for attempt in attempts:
            attempt.abandon()
        self._cancel_another()

    def _cancel_another(self) -> None:
        if self._another is not None:
            self._another.cancel()
            self._another = None

    def _back_off(self) -> None:
        """Plan the next attempt if the handler wants it. Half of the delay is fixed, half is random."""
        self._failures += 1
        if not self._handler.wants_connection:
            return
        options = self._options
        delay_ms = min(
            options.reconnect_max_ms, options.reconnect_initial_ms * 2 ** min(self._failures - 1, 16)
        )
        delay_ms *= 0.5 + 0.5 * random.random()  # noqa: S311 - spreads attempts, protects nothing
        self._retry_ns = time.monotonic_ns() + int(delay_ms * 1e6)
        self._retry = self._loop.call_at(self._retry_ns, self._start)
