"""Transactions for one node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glidecache_shared.protocol import ReplyError
from glidecached.upstream.cluster.node_request import NodeRequest

if TYPE_CHECKING:
    from glidecached.upstream.call import BatchCall
    from glidecached.upstream.cluster.node_request import RequestSender
    from glidecached.upstream.cluster.routing import Part


class NodeTransaction(NodeRequest):
    """A transaction for one node.

    If a redirection kept any of its commands from running, none ran, and the transaction is sent again as a whole.
    """

    __slots__ = ("_call", "_replies")

    def __init__(
        self, journeys: RequestSender, part: Part, call: BatchCall, *, blocking: bool = False
    ) -> None:
        super().__init__(journeys, part, call.deadline_ns, resendable=call.repeatable, blocking=blocking)
        self._call = call
        self._replies: list[Any] = []

    def is_wanted(self, now_ns: int) -> bool:
        """Implement `Call`: as the client's call does."""
        return self._call.is_wanted(now_ns)

    def replies_left(self) -> int:
        """Implement `Call`: the replies to MULTI, the commands, and EXEC."""
        return self.to_skip + len(self._call.commands) + 2 - len(self._replies)

    def _pack(self) -> bytes:
        self._replies = []
        return self._call.pack()

    def _receive(self, reply: Any) -> bool:
        replies = self._replies
        replies.append(reply)
        if len(replies) < len(self._call.commands) + 2:
            return False
        if isinstance(reply, ReplyError) and self._follow(replies):
            return True
        self._end()
        for each in replies:
            self._call.receive(each)
        return True

    def _abandon(self) -> None:
        self._call.abandon()

    def _give_up(self, code: int, message: str) -> None:
        self._call.fail(code, message)

    def _follow(self, replies: list[Any]) -> bool:
        """Follow a redirection if EXEC was refused: redirected itself, or because one of the commands was."""
        errors = [str(reply) for reply in (replies[-1], *replies[1:-1]) if isinstance(reply, ReplyError)]
        return any(self._journeys.redirected(self, error) for error in errors)
