"""CANCEL: a client no longer waits for one of its requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glidecached.frontend.dispatcher import MalformedError
from glidecached.handlers.arguments import need, need_fields

if TYPE_CHECKING:
    from glidecached.frontend.request import Cancellations, Request


class CancelHandler:
    """The operation behind CANCEL. For the loop's thread."""

    def __init__(self, cancellations: Cancellations) -> None:
        self._cancellations = cancellations

    def cancel(self, request: Request, body: list[Any]) -> None:
        """Handle CANCEL: end a request of the same connection. One that is not open was answered: no error."""
        need_fields(body, "cancelled_request_id")
        need(body[0], int, "cancelled_request_id")
        if body[0] == request.request_id:
            message = f"cancelled_request_id is {body[0]}, the CANCEL's own id; name another request"
            raise MalformedError(message)
        self._cancellations.cancel(request.caller, body[0])
        request.reply(None)
