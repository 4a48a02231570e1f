"""Calls made for one request: its reply is the server's, and nobody wants it once the request is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glidecache_shared.kinds import COMMANDS
from glidecached.flights import as_kind
from glidecached.upstream.call import BatchCall, SingleCall

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from glidecached.front.request import Request
    from glidecached.upstream.cluster.route import Route


class _ForRequest:
    """What single commands and batches have in common; `settled`, if given, is called at the outcome."""

    __slots__ = ()

    request: Request
    settled: Callable[[], object] | None

    def is_wanted(self, now_ns: int) -> bool:
        return not self.request.finished and now_ns < self.request.deadline_ns

    def abandon(self) -> None:
        self.request.expire()

    def succeed(self, reply: Any) -> None:
        if self.settled is not None:
            self.settled()
        self.request.reply(reply)

    def fail(self, code: int, message: str) -> None:
        if self.settled is not None:
            self.settled()
        self.request.fail(code, message)


class CommandCall(_ForRequest, SingleCall):
    """A command that is passed through."""

    __slots__ = ("request", "settled")

    def __init__(
        self,
        request: Request,
        arguments: Sequence[bytes],
        *,
        repeatable: bool,
        route: Route | None = None,
        settled: Callable[[], object] | None = None,
    ) -> None:
        SingleCall.__init__(self, arguments, request.deadline_ns, repeatable=repeatable)
        self.route = route
        self.request = request
        self.settled = settled


class ReadCall(CommandCall):
    """The command of one kind's miss, for a client that has no pool."""

    __slots__ = ("_kind",)

    def __init__(self, request: Request, kind: int, key: bytes) -> None:
        super().__init__(request, (COMMANDS[kind], key), repeatable=True)
        self._kind = kind

    def succeed(self, reply: Any) -> None:
        """`Call`: the reply, as the kind's own type."""
        self.request.reply(as_kind(self._kind, reply))


class BatchRequestCall(_ForRequest, BatchCall):
    """A batch that is passed through."""

    __slots__ = ("request", "settled")

    def __init__(
        self,
        request: Request,
        commands: Sequence[Sequence[bytes]],
        *,
        atomic: bool,
        repeatable: bool,
        route: Route | None = None,
        settled: Callable[[], object] | None = None,
    ) -> None:
        BatchCall.__init__(self, commands, request.deadline_ns, atomic=atomic, repeatable=repeatable)
        self.route = route
        self.request = request
        self.settled = settled
