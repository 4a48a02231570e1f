"""Dispatch of a message: read, check, find the operation, answer once."""

import collections
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from glidecached.frontend.cancellations import Cancellations
from glidecached.frontend.listener import Listener
from glidecached.frontend.request import Request
from glidecached.process.deadlines import Deadlines
from glidecached.process.sliced_work import SlicedWork

Operation = Callable[[Request, list[Any]], Iterator[float | None] | None]

REFUSAL_CAUSES: tuple[str, ...]
"""All keys that `Dispatcher.refused` can have."""

class MalformedError(Exception):
    """A message that violates the protocol: `args[0]` says what was wrong and what would be right."""

class Dispatcher:
    """The dispatcher: takes requests from the socket, passes accepted ones to their operation, and sends the answers.

    Operations get the request and the body of the message, as a list. They raise `MalformedError` for a wrong body, and
    may answer at once or later. Long work is returned as steps. For the loop's thread; an `Intake` of the loop.
    """

    def __init__(
        self,
        socket: Listener,
        deadlines: Deadlines,
        *,
        instance_id: int,
        max_requests_per_peer: int,
        max_message_bytes: int,
        turns: SlicedWork | None = None,
        knows_session: Callable[[int, int], bool] | None = None,
    ) -> None:
        """Serve requests. `turns` is the sliced work; without it, all work is done at once.

        `knows_session` returns whether there is a session with this number for this uid.
        """

    @property
    def turns(self) -> SlicedWork | None: ...
    @property
    def accepted(self) -> int:
        """Return the number of accepted requests."""

    @property
    def refused(self) -> collections.Counter[str]:
        """Return the numbers of refused messages and dropped answers, by cause."""

    @property
    def open_requests(self) -> int:
        """Return the number of accepted requests without an answer so far."""

    @property
    def cancellations(self) -> Cancellations:
        """Return the object that ends requests whose callers no longer wait."""

    @property
    def pending(self) -> bool:
        """Return whether there is more than the socket's descriptor announces (`loop.Intake`)."""

    def limit_requests(self, max_requests_per_peer: int) -> None:
        """Set the limit of open requests per connection; requests that are open already stay."""

    def serve(self, operations: Mapping[int, Operation]) -> None:
        """Set the operations, by the protocol's numbers."""

    def receive(self) -> bool:
        """Take received messages, up to a fair amount. Return whether there were none (`loop.Intake`)."""

    def answer(self, identity: bytes, *parts: bytes) -> None:
        """Send an answer, or count it as dropped (`request.Answering`)."""

    def why_full(self, identity: bytes, size_bytes: int) -> str | None:
        """Return why a connection takes no answers now (`request.Answering`)."""

    def pack_later(self, request: Request, value: Any) -> None:
        """Pack a large reply in slices, then answer (`request.Answering`)."""

    def finished(self, request: Request) -> None:
        """Count one open request less for that peer (`request.Answering`)."""
