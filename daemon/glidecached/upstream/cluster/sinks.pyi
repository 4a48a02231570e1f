"""Where legs' replies go: straight to a client's call, or into a collection until all of them have come."""

from collections.abc import Sequence
from typing import Any

from glidecached.command_order import CommandOrder
from glidecached.upstream.call import Call
from glidecached.upstream.cluster.response_policy import Combine
from glidecached.upstream.cluster.routing import Part

class ReplyCollector:
    """Whoever waits for legs' replies; subclasses say who. For the loop's thread."""

    def is_wanted(self, now_ns: int) -> bool:
        """Whether somebody still waits."""

    def abandon(self) -> None:
        """A leg was not sent, because nobody wants the reply any more."""

    def take(self, place: int, reply: Any) -> None:
        """The reply to the leg of that place."""

    def fail(self, place: int, code: int, message: str) -> None:
        """The leg of that place will have no reply."""

    def clients(self) -> list[CommandOrder]:
        """`Call`."""

    def refusal(self, reply_bytes: int) -> str | None:
        """`Call`."""

    def travel(self, way: int) -> None:
        """`Call`."""

    def divide(self, pinned: set[CommandOrder]) -> Call | None:
        """`Call`."""

class SingleReply(ReplyCollector):
    """A call that waits for one reply. The first outcome counts: it may be the parent of several legs."""

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
