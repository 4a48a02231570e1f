"""One request of a client, from the moment it is accepted until its one answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from glidecache_shared.protocol import (
    ERROR_REQUEST,
    ERROR_TIMEOUT,
    STATUS_ERROR,
    STATUS_OK,
    ReplyError,
    pack,
    pack_around,
)

if TYPE_CHECKING:
    from glidecached.front.peers import Peer


_LARGE_BYTES = 64 * 1024
"""From here on a string is handed to the kernel as it came, without a copy in between."""

_NO_REPLY = (ERROR_TIMEOUT, "no reply from the server in time")


class Answering(Protocol):
    """Where answers go."""

    def answer(self, identity: bytes, *parts: bytes) -> None:
        """Send one packed reply, the parts of which make one message."""

    def finished(self, request: Request) -> None:
        """The request has had its answer."""


class Request:
    """An accepted request. The first of `reply`, `fail` and `expire` answers it, the others then do nothing."""

    __slots__ = ("_front", "deadline_ns", "expiry", "finished", "identity", "peer", "request_id", "slot")

    def __init__(
        self, front: Answering, identity: bytes, peer: Peer, request_id: int, deadline_ns: int
    ) -> None:
        self._front = front
        self.identity = identity
        self.peer = peer
        self.request_id = request_id
        self.deadline_ns = deadline_ns
        self.finished = False
        self.slot: set[Any] | None = None
        self.expiry = _NO_REPLY

    def reply(self, value: Any) -> None:
        """Answer with the server's reply or a result; a `ReplyError` is the server's refusal."""
        if self.finished:
            return
        if isinstance(value, ReplyError):
            self.fail(ERROR_REQUEST, str(value))
            return
        if type(value) is bytes and len(value) >= _LARGE_BYTES:
            self._finish(*pack_around((self.request_id, STATUS_OK), value))
            return
        try:
            message = pack((self.request_id, STATUS_OK, value))
        except (TypeError, ValueError, OverflowError) as error:
            # Nested more deeply than msgpack goes: only a script's reply can be.
            self.fail(ERROR_REQUEST, f"the server's reply cannot be handed on: {error}")
            return
        self._finish(message)

    def fail(self, code: int, message: str) -> None:
        """Answer with one of the protocol's errors."""
        if not self.finished:
            self._finish(pack((self.request_id, STATUS_ERROR, (code, message))))

    def expire(self) -> None:
        """The deadline has passed without an answer: fail with `expiry`, a code and a message."""
        self.fail(*self.expiry)

    def _finish(self, *parts: bytes) -> None:
        self.finished = True
        if self.slot is not None:
            self.slot.discard(self)
        self._front.answer(self.identity, *parts)
        self._front.finished(self)
