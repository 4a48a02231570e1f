"""Batches in a cluster: a transaction for one node, a node's part of a pipeline that may block, and long pipelines."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from glidecache_shared.protocol import ReplyError
from glidecached.upstream.call import Call
from glidecached.upstream.cluster.node_request import NodeRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from glidecached.process.loop import Loop
    from glidecached.upstream.call import BatchCall
    from glidecached.upstream.cluster.node_request import ClusterDispatcher, NodeCommand
    from glidecached.upstream.cluster.routing import Part


class NodeTransaction(NodeRequest):
    """A transaction for one node.

    If a redirect kept any of its commands from running, none ran, and the transaction is sent again as a whole.
    """

    __slots__ = ("_call", "_replies")

    def __init__(
        self, dispatcher: ClusterDispatcher, part: Part, call: BatchCall, *, blocking: bool = False
    ) -> None:
        super().__init__(dispatcher, part, call.deadline_ns, resendable=call.repeatable, blocking=blocking)
        self._call = call
        self._replies: list[Any] = []

    def is_wanted(self, now_ns: int) -> bool:
        """Implement `Call`: as the client's call does."""
        return self._call.is_wanted(now_ns)

    def replies_left(self) -> int:
        """Implement `Call`: the replies to MULTI, the commands, and EXEC."""
        return self.to_skip + len(self._call.commands) + 2 - len(self._replies)

    def pack_commands(self) -> bytes:
        """Implement `NodeRequest`: MULTI, the commands, and EXEC."""
        self._replies = []
        return self._call.pack()

    def receive_reply(self, reply: Any) -> bool:
        """Implement `NodeRequest`: the replies are passed on when EXEC's has come."""
        replies = self._replies
        replies.append(reply)
        if len(replies) < len(self._call.commands) + 2:
            return False
        if isinstance(reply, ReplyError) and self._follow(replies):
            return True
        self.finish()
        for each in replies:
            self._call.receive(each)
        return True

    def report_abandoned(self) -> None:
        """Implement `NodeRequest`."""
        self._call.abandon()

    def report_failure(self, code: int, message: str) -> None:
        """Implement `NodeRequest`."""
        self._call.fail(code, message)

    def _follow(self, replies: list[Any]) -> bool:
        """Follow a redirect if EXEC was refused: redirected itself, or because one of the commands was."""
        errors = [str(reply) for reply in (replies[-1], *replies[1:-1]) if isinstance(reply, ReplyError)]
        return any(self.dispatcher.handler.redirected(self, error) for error in errors)


class NodePipeline(Call):
    """The part of a pipeline that one node gets, when something in the pipeline may block.

    Its requests are sent together, on a dedicated connection.
    """

    __slots__ = ("_requests", "_unanswered")

    def __init__(self, requests: Sequence[NodeCommand]) -> None:
        super().__init__(requests[0].deadline_ns, repeatable=False)
        self._requests = requests
        self._unanswered = list(reversed(requests))

    def pack(self) -> bytes:
        """Implement `Call`: all requests, in one write."""
        return b"".join(request.pack() for request in self._requests)

    def receive(self, reply: Any) -> bool:
        """Implement `Call`: each request takes its own reply, and continues by itself if it was redirected."""
        if self._unanswered[-1].receive(reply):
            self._unanswered.pop()
        return not self._unanswered

    def replies_left(self) -> int:
        """Implement `Call`: the replies of all requests that are not answered."""
        return sum(request.replies_left() for request in self._unanswered)

    def is_wanted(self, now_ns: int) -> bool:
        """Implement `Call`: all requests are one client's."""
        return bool(self._requests[0].is_wanted(now_ns))

    def abandon(self) -> None:
        """Implement `Call`."""
        for request in self._requests:
            request.abandon()

    def succeed(self, reply: Any) -> None:
        """Implement `Call`: as `receive`, which is what connections call."""
        self.receive(reply)

    def fail(self, code: int, message: str) -> None:
        """Implement `Call`: each request without a reply fails."""
        for request in reversed(self._unanswered):
            request.fail(code, message)


class LongPipelines:
    """The pipelines with so many commands that splitting one by slot in one go would delay others (isolation I10).

    They are split one after another, in steps. Each step has a turn of the loop in which nothing else happens. For the
    loop's thread.
    """

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._waiting: deque[Iterator[None]] = deque()

    @property
    def busy(self) -> bool:
        """Return whether a pipeline is being split and sent: later commands that need an order wait for it."""
        return bool(self._waiting)

    def start(self, steps: Iterator[None]) -> None:
        """Do the steps, behind those of earlier pipelines."""
        self._waiting.append(steps)
        if len(self._waiting) == 1:
            self._loop.when_idle(self._step)

    def _step(self) -> None:
        steps = self._waiting.popleft()
        try:
            next(steps)
        except StopIteration:
            pass
        else:
            self._waiting.appendleft(steps)
        finally:
            # The loop logs the exceptions of a step; the other pipelines continue.
            if self._waiting:
                self._loop.when_idle(self._step)
