"""Calls that keep their outcome, and channels whose other end is the test's: what upstreams are tested with."""

from __future__ import annotations

import socket
import time
from typing import Any

from glidecached.upstream.call import BatchCall, SingleCall
from glidecached.upstream.connector import Channel
from glidecached.upstream.target import Address

ADDRESS = Address("h", 1)
NONE_YET = "none yet"


class Recorded(SingleCall):
    """A call that keeps its outcome."""

    def __init__(self, *arguments: bytes, repeatable: bool = False, timeout_ms: float = 60_000) -> None:
        super().__init__(arguments, time.monotonic_ns() + int(timeout_ms * 1e6), repeatable=repeatable)
        self.outcome: Any = NONE_YET

    @property
    def over(self) -> bool:
        """Whether it has an outcome."""
        return bool(self.outcome != NONE_YET)

    def abandon(self) -> None:
        self.outcome = "abandoned"

    def succeed(self, reply: Any) -> None:
        assert self.outcome == NONE_YET
        self.outcome = reply

    def fail(self, code: int, message: str) -> None:
        assert self.outcome == NONE_YET
        self.outcome = (code, message)


class RecordedBatch(BatchCall):
    """A batch that keeps its outcome."""

    def __init__(self, *commands: list[bytes], atomic: bool, repeatable: bool = False) -> None:
        super().__init__(commands, time.monotonic_ns() + 60 * 10**9, atomic=atomic, repeatable=repeatable)
        self.outcome: Any = NONE_YET

    abandon = Recorded.abandon
    succeed = Recorded.succeed
    fail = Recorded.fail


def open_channel(marker: bytes | None = b"ECHO") -> tuple[Channel, socket.socket]:
    """A channel as a connector makes it, and the server's end of it."""
    end, server = socket.socketpair()
    end.setblocking(False)
    server.settimeout(5)
    return Channel(end, ADDRESS, 3, _Closer(end), marker=marker), server


class _Closer:
    """What valkey-py's connection is to a channel."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def disconnect(self) -> None:
        self._end.close()
