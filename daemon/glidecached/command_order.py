"""The order of one client's commands: those on different connections wait for each other (contract C23).

A connection keeps its own commands in order. A command for another lane than the client's open ones starts when these
are done, and all later ones wait behind it. So it costs only clients that do not await each command.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Protocol

import cython

from glidecache_shared.command_table import DEDICATED
from glidecache_shared.protocol import ERROR_REQUEST

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecached.process.loop import Loop

logger = logging.getLogger(__name__)

EACH_ITS_OWN = cython.declare(cython.int, DEDICATED)


class OrderedRequest(Protocol):
    """A request that waits for its turn (`frontend.request.Request`)."""

    @property
    def finished(self) -> bool:
        """Return whether it no longer needs its turn."""

    def fail(self, code: int, message: str) -> None:
        """Answer with an error."""


class CommandOrder:
    """The open requests of one session, and those that wait for them. For the loop's thread.

    Callers ask `may_go(lane)`; then the request takes its place (`Request.take_place`), or they call `wait`.
    """

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.open: cython.Py_ssize_t = 0
        self.lane: cython.int = 0
        self.writes = False
        self.waiting: deque[tuple[int, OrderedRequest, Callable[[], None]]] | None = None

    def may_go(self, lane: cython.int) -> cython.bint:
        """Return whether a command may start on that lane now."""
        if self.waiting is not None:
            return False
        if self.open and (lane != self.lane or lane == EACH_ITS_OWN):
            return False
        self.lane = lane
        return True

    def enter(self) -> None:
        """Count a request as open."""
        self.open += 1

    def leave(self) -> None:
        """Count a request as done; start waiting ones after the last."""
        self.open -= 1
        if self.open == 0:
            self.writes = False
            if self.waiting is not None:
                self.loop.defer(self._start_waiting)

    def has_written(self) -> cython.bint:
        """Return whether all that the client has written so far has taken effect, and nothing waits to be sent."""
        return self.waiting is None and not self.writes

    def wait_alone(self, request: OrderedRequest, start: Callable[[], None]) -> None:
        """Call `start` when all requests before it are done, unless the request has finished by then."""
        self.wait(EACH_ITS_OWN, request, start)

    def wait(self, lane: cython.int, request: OrderedRequest, start: Callable[[], None]) -> None:
        """Call `start` when the requests before it allow it, unless the request has finished by then."""
        if self.waiting is None:
            self.waiting = deque()
            if self.open == 0:
                self.loop.defer(self._start_waiting)
        self.waiting.append((lane, request, start))

    def _start_waiting(self) -> None:
        """Start waiting requests, up to the first one that has to wait for requests on another lane."""
        waiting = self.waiting
        if waiting is None:
            return
        while waiting:
            lane, request, start = waiting[0]
            if not request.finished and self.open and (lane != self.lane or lane == EACH_ITS_OWN):
                return
            waiting.popleft()
            if request.finished:
                continue
            self.lane = lane
            try:
                start()
            except Exception:
                logger.exception("a request that waited for its client's earlier ones could not be started")
                request.fail(ERROR_REQUEST, "glidecached failed on this request; its log says why")
        self.waiting = None
