"""Calls made for one request: the server's reply answers it, and is not wanted once the request is answered.

`on_outcome`, if given, is called at the outcome.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cython
from cython.cimports.libc.stdint import int64_t

from glidecache_shared.protocol import KIND_COMMANDS
from glidecached.single_flight import as_kind
from glidecached.upstream.call import BatchCall, SingleCall

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from glidecached.command_order import CommandOrder
    from glidecached.frontend.request import Request
    from glidecached.upstream.cluster.routing import Route


class CommandCall(SingleCall):
    """A command that is passed through."""

    def __init__(
        self,
        request: Request,
        arguments: Sequence[bytes],
        *,
        repeatable: cython.bint,
        route: Route | None = None,
        on_outcome: Callable[[], object] | None = None,
    ) -> None:
        self.request = request
        self.arguments = arguments  # type: ignore[misc]
        self.deadline_ns = request.deadline_ns
        self.repeatable = repeatable
        self.route = route
        self.on_outcome = on_outcome

    def is_wanted(self, now_ns: int64_t) -> cython.bint:
        """Return whether the client still waits."""
        return not self.request.finished and now_ns < self.request.deadline_ns

    def abandon(self) -> None:
        """Let the request expire."""
        self.request.expire()

    def succeed(self, reply: Any) -> None:
        """Answer with the reply."""
        if self.on_outcome is not None:
            self.on_outcome()
        self.request.reply(reply)

    def fail(self, code: cython.int, message: str) -> None:
        """Answer with the error."""
        if self.on_outcome is not None:
            self.on_outcome()
        self.request.fail(code, message)

    def refusal(self, reply_bytes: cython.Py_ssize_t) -> str | None:
        """Return why the client has no room for such a reply."""
        return self.request.refusal(reply_bytes)

    def clients(self) -> list[CommandOrder]:
        """Return the order of the session's requests."""
        return [] if self.request.order is None else [self.request.order]


class ReadCall(CommandCall):
    """The command for a miss of one kind, for a client without a pool."""

    def __init__(self, request: Request, kind: cython.int, key: bytes) -> None:
        CommandCall.__init__(self, request, (KIND_COMMANDS[kind], key), repeatable=True)
        self.kind = kind

    def succeed(self, reply: Any) -> None:
        """Answer with the reply as the kind's own type."""
        self.request.reply(as_kind(self.kind, reply))


class BatchRequestCall(BatchCall):
    """A batch that is passed through."""

    def __init__(
        self,
        request: Request,
        commands: Sequence[Sequence[bytes]],
        *,
        atomic: cython.bint,
        repeatable: cython.bint,
        route: Route | None = None,
        on_outcome: Callable[[], object] | None = None,
    ) -> None:
        BatchCall.__init__(self, commands, request.deadline_ns, atomic=atomic, repeatable=repeatable)
        self.request = request
        self.route = route
        self.on_outcome = on_outcome

    def is_wanted(self, now_ns: int64_t) -> cython.bint:
        """Return whether the client still waits."""
        return not self.request.finished and now_ns < self.request.deadline_ns

    def abandon(self) -> None:
        """Let the request expire."""
        self.request.expire()

    def succeed(self, reply: Any) -> None:
        """Answer with the replies."""
        if self.on_outcome is not None:
            self.on_outcome()
        self.request.reply(reply)

    def fail(self, code: cython.int, message: str) -> None:
        """Answer with the error."""
        if self.on_outcome is not None:
            self.on_outcome()
        self.request.fail(code, message)

    def refusal(self, reply_bytes: cython.Py_ssize_t) -> str | None:
        """Return why the client has no room for such a reply."""
        return self.request.refusal(reply_bytes)

    def clients(self) -> list[CommandOrder]:
        """Return the order of the session's requests."""
        return [] if self.request.order is None else [self.request.order]
