"""A connection to the test instead of a server: the test reads what was written, and chooses the replies."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from glidecached.process.loop import Loop
from glidecached.upstream.call import BatchCall, SingleCall
from glidecached.upstream.call_queue import CallQueue
from glidecached.upstream.connection import Connection
from glidecached.upstream.latency_histogram import LatencyHistogram
from glidecached.upstream.resp import INCOMPLETE, Reader
from support.upstream_calls import open_channel

if TYPE_CHECKING:
    from collections.abc import Callable

FAR_NS = 2**62


class Outcome:
    """The outcome of a call: `None` until it has ended."""

    result: Any = None

    def abandon(self) -> None:
        self.result = "abandoned"

    def succeed(self, reply: Any) -> None:
        self.result = ("reply", reply)

    def fail(self, code: int, message: str) -> None:
        self.result = ("error", code, message)


class Single(Outcome, SingleCall):
    """One command."""

    def __init__(self, *arguments: bytes, deadline_ns: int = FAR_NS) -> None:
        SingleCall.__init__(self, arguments, deadline_ns, repeatable=False)


class Batch(Outcome, BatchCall):
    """Several commands."""

    def __init__(self, *commands: list[bytes], atomic: bool = False) -> None:
        BatchCall.__init__(self, commands, FAR_NS, atomic=atomic, repeatable=False)


class Wire:
    """A connection whose other end the test controls, and the loop that it runs in."""

    def __init__(self, marker: bytes | None = b"ECHO") -> None:
        self.loop = Loop()
        channel, self.server = open_channel(marker)
        self._requests = Reader()
        self.server.setblocking(False)
        self.lost: list[str] = []
        self.drained = 0
        self.latencies = LatencyHistogram()
        self.connection = Connection(self.loop, channel, self, self.latencies)

    def error_replied(self, text: str) -> None:
        """Implement `ConnectionHandler`."""

    def reply_is_long(self) -> None:
        """Implement `ConnectionHandler`."""

    def connection_drained(self) -> None:
        self.drained += 1

    def connection_lost(self, reason: str) -> None:
        self.lost.append(reason)

    def send(self, *calls: Any) -> deque[Any]:
        """Send; return what was not taken."""
        queue = CallQueue(calls)
        self.connection.send(queue)
        return deque(queue)

    def reply(self, data: bytes, until: Callable[[], object]) -> None:
        """Reply as the server, and turn the loop until the condition holds."""
        self.server.sendall(data)
        self.turn_until(until)

    def requests(self) -> list[list[bytes]]:
        """Return the commands that were written since the last time."""
        with contextlib.suppress(BlockingIOError):
            while data := self.server.recv(2**20):
                self._requests.feed(data)
        commands: list[list[bytes]] = []
        while (command := self._requests.gets()) is not INCOMPLETE:
            commands.append(command)
        return commands

    def turns(self, count: int = 3) -> None:
        """Turn the loop the given number of times."""
        for _ in range(count):
            self.loop.call_later(0, lambda: None)
            self.loop._turn()

    def turn_until(self, condition: Callable[[], object]) -> None:
        limit = time.monotonic() + 5
        while not condition():
            assert time.monotonic() < limit
            self.loop.call_later(1, lambda: None)
            self.loop._turn()

    def close(self) -> None:
        self.connection.close()
        self.server.close()
        self.loop.close()
