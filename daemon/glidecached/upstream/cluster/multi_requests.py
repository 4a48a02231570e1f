"""Node pipelines: requests that go to one node together, on a connection that is theirs alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glidecached.upstream.call import Call

if TYPE_CHECKING:
    from collections.abc import Sequence

    from glidecached.upstream.cluster.node_request import NodeCommand


class NodePipeline(Call):
    """The part of a pipeline that one node gets, when something in the pipeline may block."""

    __slots__ = ("_legs", "_unanswered")

    def __init__(self, legs: Sequence[NodeCommand]) -> None:
        super().__init__(legs[0].deadline_ns, repeatable=False)
        self._legs = legs
        self._unanswered = list(reversed(legs))

    def pack(self) -> bytes:
        """Implement `Call`: all requests, in one write."""
        return b"".join(leg.pack() for leg in self._legs)

    def receive(self, reply: Any) -> bool:
        """Implement `Call`: each request takes its own reply, and continues by itself if it was redirected."""
        if self._unanswered[-1].receive(reply):
            self._unanswered.pop()
        return not self._unanswered

    def replies_left(self) -> int:
        """Implement `Call`: the replies of all requests that are not answered."""
        return sum(leg.replies_left() for leg in self._unanswered)

    def is_wanted(self, now_ns: int) -> bool:
        """Implement `Call`: all requests are one client's."""
        return self._legs[0].is_wanted(now_ns)

    def abandon(self) -> None:
        """Implement `Call`."""
        for leg in self._legs:
            leg.abandon()

    def succeed(self, reply: Any) -> None:
        """Implement `Call`: as `receive`, which is what connections call."""
        self.receive(reply)

    def fail(self, code: int, message: str) -> None:
        """Implement `Call`: each request without a reply fails."""
        for leg in reversed(self._unanswered):
            leg.fail(code, message)
