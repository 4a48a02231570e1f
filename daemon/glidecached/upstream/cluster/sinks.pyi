"""Reply collectors: they pass a reply to a client's call, or keep replies until all of them have come."""

from collections.abc import Sequence
from typing import Any

from glidecached.command_order import CommandOrder
from glidecached.upstream.call import Call
from glidecached.upstream.cluster.response_policy import Combine
from glidecached.upstream.cluster.routing import Part

class ReplyCollector:
    """The receiver of replies to node requests; subclasses define which. For the loop's thread."""

    def is_wanted(self, now_ns: int) -> bool:
        """Return whether a client still waits."""

    def abandon(self) -> None:
        """Handle a request that was not sent, because no client wants the reply any more."""

    def take(self, place: int, reply: Any) -> None:
        """Take the reply to the request of that place."""

    def fail(self, place: int, code: int, message: str) -> None:
        """Handle that the request of that place will have no reply."""

    def clients(self) -> list[CommandOrder]:
        """Implement `Call`."""

    def refusal(self, reply_bytes: int) -> str | None:
        """Implement `Call`."""

    def travel(self, way: int) -> None:
        """Implement `Call`."""

    def divide(self, pinned: set[CommandOrder]) -> Call | None:
        """Implement `Call`."""

class SingleReply(ReplyCollector):
    """A single reply for a call. The first outcome counts: it may be the parent of several requests."""

    def __init__(self, call: Call) -> None: ...

class Replies(ReplyCollector):
    """The replies to a pipeline's commands, in their order; errors of single commands are among them."""

    def __init__(self, count: int, parent: ReplyCollector) -> None: ...

class AggregatedReply(ReplyCollector):
    """The parts of one command; when the last reply has come they become one, for `parent`.

    A part that fails fails all of it, unless other nodes may still know the answer.
    """

    def __init__(
        self, parts: Sequence[Part], combine: Combine, parent: ReplyCollector, place: int
    ) -> None: ...
