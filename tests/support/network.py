"""A standalone upstream whose attempts to connect end as the test says."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any

from glidecached.process.loop import Loop
from glidecached.upstream import reconnector, standalone
from glidecached.upstream.connector import Channel, ConnectError
from glidecached.upstream.standalone import StandaloneUpstream
from glidecached.upstream.target import Target, UpstreamOptions
from support.upstream_calls import ADDRESS, open_channel

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from support.upstream_calls import Recorded

OPTIONS = UpstreamOptions(
    reconnect_initial_ms=20, reconnect_max_ms=40, stall_timeout_ms=100, max_waiting_requests=10
)


class Network:
    """Attempts to connect end as the test says: by `accept` or `refuse`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.loop = Loop()
        self.open: list[Callable[[Channel | ConnectError], object]] = []
        self.attempts = 0
        self.server: socket.socket | None = None
        monkeypatch.setattr(reconnector, "Attempt", self._attempt)
        monkeypatch.setattr(standalone, "Attempt", self._attempt)
        self.upstream = StandaloneUpstream(
            self.loop, Target(mode="standalone", addresses=(ADDRESS,)), OPTIONS
        )
        self.upstream.sessions = 1

    def _attempt(self, _loop: Loop, _target: Target, _timeout_ms: int, done: Any) -> Network:
        self.attempts += 1
        self.open.append(done)
        return self

    def abandon(self) -> None:
        self.open.clear()

    def accept(self, *, marker: bytes | None = b"ECHO") -> None:
        """The server answers: what it gets and sends is `server`'s."""
        channel, self.server = open_channel(marker)
        self.open.pop()(channel)
        self.turns()
        assert b"SETNAME" in self.server.recv(1000, socket.MSG_PEEK)

    def refuse(self, message: str = "refused", *, refused: bool = False) -> None:
        self.open.pop()(ConnectError(message, refused=refused))

    def turns(self, until: Callable[[], object] = lambda: True) -> None:
        limit = time.monotonic() + 5
        while True:
            self.loop.call_later(1, lambda: None)
            self.loop._turn()
            if until():
                return
            assert time.monotonic() < limit

    def age_connection(self) -> None:
        """Let the connection have existed for a while."""
        self.upstream.lanes.shared.main.reconnector.connected_ns -= 2_000_000_000

    def submit(self, *calls: Recorded) -> None:
        for call in calls:
            self.upstream.submit(call)

    def received(self) -> bytes:
        assert self.server is not None
        return self.server.recv(100_000)

    def reply(self, data: bytes, until: Callable[[], object]) -> None:
        assert self.server is not None
        self.server.sendall(data)
        self.turns(until)

    def hang_up(self) -> None:
        assert self.server is not None
        self.server.close()
        self.turns(lambda: not self.upstream.connected)
