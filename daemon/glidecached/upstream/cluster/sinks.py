"""Where legs' replies go: straight to a client's call, or into a collection until all of them have come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glidecache_shared.protocol import ReplyError
from glidecached.upstream.cluster.combine import TOLERANT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from glidecached.upstream.call import Call
    from glidecached.upstream.cluster.combine import Combine
    from glidecached.upstream.cluster.leg import Sink
    from glidecached.upstream.cluster.routing import Part


class Whole:
    """A call that waits for one reply. The first outcome counts: it may be the parent of several legs."""

    __slots__ = ("_call", "_over")

    def __init__(self, call: Call) -> None:
        self._call = call
        self._over = False

    def is_wanted(self, now_ns: int) -> bool:
        """`Sink`: as the call says; not after its end."""
        return not self._over and self._call.is_wanted(now_ns)

    def abandon(self) -> None:
        """`Sink`."""
        if not self._over:
            self._over = True
            self._call.abandon()

    def take(self, _place: int, reply: Any) -> None:
        """`Sink`: that is the call's reply."""
        if not self._over:
            self._over = True
            self._call.succeed(reply)

    def fail(self, _place: int, code: int, message: str) -> None:
        """`Sink`: the call fails."""
        if not self._over:
            self._over = True
            self._call.fail(code, message)


class Gathering:
    """The parts of one command; when the last reply has come they become one, for `parent`."""

    __slots__ = ("_addresses", "_combine", "_left", "_parent", "_place", "_replies")

    def __init__(self, parts: Sequence[Part], combine: Combine, parent: Sink, place: int) -> None:
        self._addresses = [None if isinstance(part.where, int) else part.where for part in parts]
        self._combine = combine
        self._parent = parent
        self._place = place
        self._replies: list[Any] = [None] * len(parts)
        self._left = len(parts)

    def is_wanted(self, now_ns: int) -> bool:
        """`Sink`: as the parent says."""
        return self._parent.is_wanted(now_ns)

    def abandon(self) -> None:
        """`Sink`: without one part there is no whole."""
        self._parent.abandon()

    def take(self, place: int, reply: Any) -> None:
        """`Sink`: one more."""
        self._replies[place] = reply
        self._left -= 1
        if not self._left:
            try:
                whole = self._combine(self._addresses, self._replies)
            except (TypeError, ValueError) as error:
                whole = ReplyError(f"ERR the nodes' replies do not go together: {error}")
            self._parent.take(self._place, whole)

    def fail(self, place: int, code: int, message: str) -> None:
        """`Sink`: the parent fails, unless other nodes may still know the answer."""
        if self._combine in TOLERANT:
            self.take(place, ReplyError(message))
        else:
            self._parent.fail(self._place, code, message)


def in_a_list(_addresses: Sequence[Any], replies: Sequence[Any]) -> Any:
    """What a pipeline answers: all replies, errors among them."""
    return list(replies)
