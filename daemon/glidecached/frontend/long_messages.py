"""The body of a long message: counted, charged, and decoded in slices, so that other clients' messages come between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import cython
from cython.cimports.glidecached.frontend.answers import STEP_OBJECTS
from cython.cimports.glidecached.frontend.long_messages import OBJECT_BYTES

from glidecache_shared import protocol
from glidecached.frontend.messages import MessageHeader, Scanner, Unpacker

if TYPE_CHECKING:
    from collections.abc import Generator

    from glidecached.frontend.client_connection import ClientConnection
    from glidecached.frontend.request import Request

# The most arguments that a server takes, and the lists around them.
MOST_OBJECTS = cython.declare(cython.Py_ssize_t, 1_048_704)

_ROOM_POLL_MS = 20.0
_ROOM_POLLS = 50


class DecodedBody(NamedTuple):
    """A body, or why there is none: a `refusal` of code and text, or without one a connection that has ended."""

    body: list[Any] | None
    is_large: bool = False
    """True if it is large enough to be freed in slices."""
    refusal: tuple[int, str] | None = None


def decode(
    connection: ClientConnection,
    request: Request,
    message: Any,
    operation: int,
    begin: cython.Py_ssize_t,
    count: cython.Py_ssize_t,
) -> Generator[float | None, None, DecodedBody]:
    """Decode the `count` fields of a long message from the byte `begin`, in slices, within its client's share."""
    body: list[Any] | None = None
    scanner: Scanner
    unpacker: Unpacker
    objects: cython.Py_ssize_t
    if operation == protocol.ATTACH:
        # Its maps are small, so all its bytes are unpacked at once.
        header: MessageHeader = MessageHeader()
        header.read(message)
        body = header.unpack_body(message)
        objects = header.objects
        fault = None if body is not None else "the body is not what ATTACH has"
    else:
        scanner = Scanner(message, begin, count, MOST_OBJECTS)
        while not scanner.step(4 * STEP_OBJECTS):
            yield None
        objects = scanner.objects
        fault = scanner.fault
    if fault is not None:
        return DecodedBody(None, refusal=(protocol.ERROR_PROTOCOL, fault))
    for _ in range(_ROOM_POLLS):
        if connection.descriptor < 0:
            return DecodedBody(None)
        if connection.charge_request(request, request.frame_bytes, OBJECT_BYTES * objects):
            break
        yield _ROOM_POLL_MS
    else:
        return DecodedBody(None, refusal=(protocol.ERROR_BUSY, connection.account.full))
    if body is None:
        unpacker = Unpacker(message, begin, count)
        try:
            while not unpacker.step(STEP_OBJECTS):
                yield None
        except ValueError as error:
            return DecodedBody(None, refusal=(protocol.ERROR_PROTOCOL, str(error)))
        body = unpacker.value
    return DecodedBody(body, is_large=objects > STEP_OBJECTS)
