"""The wire protocol by hand: what a client of any make may send to the daemon (docs/protocol.md)."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Any, Self

import zmq

from glidecache_shared import protocol

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from glidecache import ClientSideCache

DEFAULT_TIMEOUT_MS = 5_000


class ReplyRefused(Exception):  # noqa: N818 - named like the reply's status
    """The daemon's answer was an error: `code` as in the protocol's table, `message` as sent."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


class WireClient:
    """A DEALER socket at a daemon's endpoint, and the few bytes around a message.

    A context manager; one thread at a time. `request` sends and waits; `send` and `receive` do half of it each.
    """

    def __init__(self, runtime_dir: Path) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.connect(f"ipc://{runtime_dir}/glidecached.sock")
        self._ids = itertools.count(1)
        self._early: dict[int, list[Any]] = {}
        self.instance_id = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()
        self._context.term()

    def send_frames(self, *frames: bytes) -> None:
        """Send anything at all."""
        self._socket.send_multipart(frames)

    def send(
        self,
        operation: int,
        *body: object,
        instance_id: int | None = None,
        timeout_ms: float = DEFAULT_TIMEOUT_MS,
    ) -> int:
        """Send one request and return its id."""
        request_id = next(self._ids)
        meant_for = self.instance_id if instance_id is None else instance_id
        deadline_ns = time.monotonic_ns() + int(timeout_ms * 1e6)
        self.send_frames(protocol.pack([operation, request_id, meant_for, deadline_ns, *body]))
        return request_id

    def receive(self, timeout_ms: float = DEFAULT_TIMEOUT_MS) -> list[Any]:
        """The next reply, `[request_id, status, body]`; raises `TimeoutError`."""
        if not self._socket.poll(int(timeout_ms)):
            message = f"no reply within {timeout_ms:g} ms"
            raise TimeoutError(message)
        reply: list[Any] = protocol.unpack(self._socket.recv())
        return reply

    def drain(self) -> list[list[Any]]:
        """The replies that have come already."""
        replies = []
        while self._socket.poll(0):
            replies.append(self.receive())
        return replies

    def result(self, request_id: int, timeout_ms: float = DEFAULT_TIMEOUT_MS) -> Any:
        """The body of the reply to `request_id`; raises `ReplyRefused`. Replies to others wait for their turn."""
        while request_id not in self._early:
            reply = self.receive(timeout_ms)
            self._early[reply[0]] = reply
        _, status, body = self._early.pop(request_id)
        if status == protocol.STATUS_ERROR:
            raise ReplyRefused(*body)
        return body

    def request(self, operation: int, *body: object, **options: Any) -> Any:
        """Send one request and return its result."""
        return self.result(self.send(operation, *body, **options))

    def hello(self) -> dict[str, Any]:
        """Introduce this client; later requests are meant for the daemon that answered."""
        answer: dict[str, Any] = self.request(
            protocol.HELLO, protocol.PROTOCOL_VERSION, "test", instance_id=0
        )
        self.instance_id = answer["instance_id"]
        return answer

    def attach(self, **spec: object) -> dict[str, Any]:
        """Introduce this client and open a session; the spec's keys are the protocol's."""
        self.hello()
        session: dict[str, Any] = self.request(protocol.ATTACH, {"mode": "standalone", **spec})
        return session


def answers(runtime_dir: Path, timeout_ms: float = 200) -> bool:
    """Whether a daemon answers a ping at this runtime directory."""
    if not (runtime_dir / "glidecached.sock").exists():
        return False
    with WireClient(runtime_dir) as wire:
        wire.send(protocol.PING)
        try:
            wire.receive(timeout_ms)
        except TimeoutError:
            return False
        return True


def attach_all(wires: Iterable[WireClient], cache: ClientSideCache, mode: str = "standalone") -> list[int]:
    """A session of its own on one pool for each of these clients, at the upstream `default`."""
    settings = {
        "max_cache_kb": cache.max_cache_kb,
        "entry_ttl_ms": cache.entry_ttl_ms,
        "eviction_policy": "LRU",
        "enable_metrics": cache.enable_metrics,
    }
    spec = {"upstream": "default", "mode": mode, "cache": {"id": cache.cache_id, "settings": settings}}
    return [wire.attach(**spec)["session_id"] for wire in wires]


def accepted(wire: WireClient) -> None:
    """Wait until the daemon has taken what this client has sent: requests of one client are read in order."""
    wire.request(protocol.PING)
