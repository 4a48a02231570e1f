"""The way of an answer from its request to its connection: packed in slices if it is long, counted if it is dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cython
from cython.cimports.glidecache_shared.wire.packing import reply_id
from cython.cimports.glidecache_shared.wire.zmtp import message_in
from cython.cimports.glidecached.frontend.answers import STEP_OBJECTS

from glidecache_shared import protocol
from glidecached.frontend.reply_packer import Packer
from glidecached.frontend.request import Answering

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator

    from glidecached.budget import OpenRequests
    from glidecached.frontend.caller import Caller
    from glidecached.frontend.client_connection import ClientConnection
    from glidecached.frontend.connections import ConnectionSet
    from glidecached.frontend.request import Request
    from glidecached.process.sliced_work import SlicedWork


class AnswerSender(Answering):
    """The sender of all answers. For the loop's thread."""

    connections: ConnectionSet
    sliced_work: SlicedWork
    open: OpenRequests
    refused: Counter[str]
    """The numbers of refused messages and dropped answers, by cause."""

    def answer(self, caller: Caller, message: bytes, rest: bytes | None) -> None:
        """Implement `Answering`: send an answer, or count it as dropped."""
        connection: ClientConnection = cython.cast("ClientConnection", caller)
        outcome = self.connections.send(connection, message, rest)
        if outcome is not True:
            self.not_sent(connection, message, outcome)

    def answer_framed(self, caller: Caller, frame: bytes) -> None:
        """Implement `Answering`: do what `answer` does, with a message that is in its frame."""
        connection: ClientConnection = cython.cast("ClientConnection", caller)
        outcome = self.connections.send_framed(connection, frame)
        if outcome is not True:
            self.not_sent(connection, message_in(frame), outcome)

    def not_sent(self, connection: ClientConnection, message: bytes, outcome: bool | str) -> None:
        """Count an answer that was dropped; if there was no room for it, answer with an error that says so."""
        if outcome is False:
            self.refused["unroutable_answer"] += 1
            return
        self.refused["unread_answer"] += 1
        text = f"the answer was dropped: {outcome}; the command may have run"
        message = protocol.pack((reply_id(message), protocol.STATUS_ERROR, (protocol.ERROR_BUSY, text[:400])))
        if self.connections.send(connection, message) is not True:
            self.refused["unroutable_answer"] += 1

    def why_full(self, caller: Caller, size_bytes: cython.Py_ssize_t) -> str | None:
        """Implement `Answering`: return why a connection takes no answers now."""
        return self.connections.why_full(cython.cast("ClientConnection", caller), size_bytes)

    def pack_later(self, request: Request, value: Any) -> None:
        """Implement `Answering`: pack a large reply in slices, then answer."""
        self.sliced_work.start(self._pack(request, value))

    def finished(self, request: Request) -> None:
        """Implement `Answering`: count one open request less for that peer."""
        self.open.leave(request.caller)

    def free_later(self, values: list[Any]) -> None:
        """Implement `Answering`: free a large body in slices."""
        self.sliced_work.release(values)

    def _pack(self, request: Request, value: Any) -> Iterator[float | None]:
        packer: Packer = Packer(request.request_id, protocol.STATUS_OK, value)
        message: bytes | None = None
        try:
            while not request.finished and not packer.measure(STEP_OBJECTS):
                yield None
            while not request.finished and message is None:
                message = packer.write(STEP_OBJECTS)
                if message is None:
                    yield None
        except (TypeError, ValueError, OverflowError) as error:
            # Only a script's reply can have this form.
            request.fail(protocol.ERROR_REQUEST, f"the server's reply cannot be passed on: {error}")
        else:
            if message is not None and not request.finished:
                request.finish(message)
        del packer  # it refers to the value, which is freed in slices
        if type(value) in (list, dict, set) and len(value) > STEP_OBJECTS:
            self.sliced_work.release(value)
