"""Reply collectors: they pass a reply to a client's call, or keep replies until all of them have come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glidecache_shared.protocol import ReplyError
from glidecached.upstream.cluster.response_policy import TOLERANT

if TYPE_CHECKING:
    from collections.abc import Sequence

    import cython
    from cython.cimports.libc.stdint import int64_t

    from glidecached.command_order import CommandOrder
    from glidecached.upstream.call import Call
    from glidecached.upstream.cluster.response_policy import ResponsePolicy
    from glidecached.upstream.cluster.routing import Part
    from glidecached.upstream.target import Address


class ReplyCollector:
    """The receiver of replies to node requests; subclasses define which. For the loop's thread."""

    def is_wanted(self, now_ns: int64_t) -> cython.bint:
        """Return whether a client still waits."""
        raise NotImplementedError

    def abandon(self) -> None:
        """Handle a request that was not sent, because no client wants the reply any more."""
        raise NotImplementedError

    def collect(self, place: cython.Py_ssize_t, reply: Any) -> None:
        """Keep or pass on the reply to the request of that place."""
        raise NotImplementedError

    def fail(self, place: cython.Py_ssize_t, code: cython.int, message: str) -> None:
        """Handle that the request of that place will have no reply."""
        raise NotImplementedError

    def clients(self) -> list[CommandOrder]:
        """Implement `Call`."""
        raise NotImplementedError

    def refusal(self, reply_bytes: cython.Py_ssize_t) -> str | None:
        """Implement `Call`: return None, because other parts of the call may have run already."""

    def travel(self, way: cython.int) -> None:
        """Implement `Call`: do nothing, because no other client joins a call in several parts."""

    def divide(self, pinned: Any) -> Call | None:
        """Implement `Call`: return None, because no other client joins a call in several parts."""


class SingleReply(ReplyCollector):
    """A single reply for a call. The first outcome counts: it may be the parent of several requests."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.ended = False

    def is_wanted(self, now_ns: int64_t) -> cython.bint:
        """Implement `ReplyCollector`."""
        return not self.ended and self.call.is_wanted(now_ns)

    def abandon(self) -> None:
        """Implement `ReplyCollector`."""
        if not self.ended:
            self.ended = True
            self.call.abandon()

    def collect(self, place: cython.Py_ssize_t, reply: Any) -> None:  # noqa: ARG002 - a call has one place
        """Implement `ReplyCollector`."""
        if not self.ended:
            self.ended = True
            self.call.succeed(reply)

    def fail(self, place: cython.Py_ssize_t, code: cython.int, message: str) -> None:  # noqa: ARG002 - a call has one place
        """Implement `ReplyCollector`."""
        if not self.ended:
            self.ended = True
            self.call.fail(code, message)

    def clients(self) -> list[CommandOrder]:
        """Implement `ReplyCollector`."""
        return self.call.clients()

    def refusal(self, reply_bytes: cython.Py_ssize_t) -> str | None:
        """Implement `ReplyCollector`."""
        return self.call.refusal(reply_bytes)

    def travel(self, way: cython.int) -> None:
        """Implement `ReplyCollector`."""
        self.call.travel(way)

    def divide(self, pinned: Any) -> Call | None:
        """Implement `ReplyCollector`."""
        return self.call.divide(pinned)


class PipelineReplies(ReplyCollector):
    """The replies to a pipeline's commands, in their order; errors of single commands are among them."""

    def __init__(self, count: cython.Py_ssize_t, parent: ReplyCollector) -> None:
        self.parent = parent
        self.replies: list[Any] = [None] * count
        self.missing = count

    def is_wanted(self, now_ns: int64_t) -> cython.bint:
        """Implement `ReplyCollector`."""
        return self.parent.is_wanted(now_ns)

    def clients(self) -> list[CommandOrder]:
        """Implement `ReplyCollector`."""
        return self.parent.clients()

    def abandon(self) -> None:
        """Implement `ReplyCollector`."""
        self.parent.abandon()

    def collect(self, place: cython.Py_ssize_t, reply: Any) -> None:
        """Implement `ReplyCollector`."""
        self.replies[place] = reply
        self.missing -= 1
        if not self.missing:
            self.parent.collect(0, self.replies)

    def fail(self, place: cython.Py_ssize_t, code: cython.int, message: str) -> None:  # noqa: ARG002 - the pipeline fails as one
        """Implement `ReplyCollector`."""
        self.parent.fail(0, code, message)


class AggregatedReply(ReplyCollector):
    """The parts of one command; when the last reply has come they become one, for `parent`.

    A part that fails fails all of it, unless other nodes may still know the answer.
    """

    def __init__(
        self, parts: Sequence[Part], policy: ResponsePolicy, parent: ReplyCollector, place: cython.Py_ssize_t
    ) -> None:
        self.addresses: list[Address | None] = [
            None if isinstance(part.where, int) else part.where for part in parts
        ]
        self.policy = policy
        self.parent = parent
        self.place = place
        self.replies: list[Any] = [None] * len(parts)
        self.missing = len(parts)

    def is_wanted(self, now_ns: int64_t) -> cython.bint:
        """Implement `ReplyCollector`."""
        return self.parent.is_wanted(now_ns)

    def clients(self) -> list[CommandOrder]:
        """Implement `ReplyCollector`."""
        return self.parent.clients()

    def abandon(self) -> None:
        """Implement `ReplyCollector`: without one part there is no aggregated reply."""
        self.parent.abandon()

    def collect(self, place: cython.Py_ssize_t, reply: Any) -> None:
        """Implement `ReplyCollector`."""
        self.replies[place] = reply
        self.missing -= 1
        if self.missing:
            return
        try:
            aggregated = self.policy(self.addresses, self.replies)
        except (TypeError, ValueError) as error:
            aggregated = ReplyError(f"ERR the nodes' replies do not go together: {error}")
        self.parent.collect(self.place, aggregated)

    def fail(self, place: cython.Py_ssize_t, code: cython.int, message: str) -> None:
        """Implement `ReplyCollector`."""
        if self.policy in TOLERANT:
            self.collect(place, ReplyError(message))
        else:
            self.parent.fail(self.place, code, message)
