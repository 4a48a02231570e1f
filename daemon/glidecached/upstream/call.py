"""What is handed to an upstream: one command or a batch, until when it is wanted, and what becomes of the reply."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from libvalkey import pack_command

from glidecache_shared.protocol import ERROR_EXEC_ABORT, ERROR_REQUEST, ReplyError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from glidecached.upstream.cluster.route import Route

_MULTI = pack_command((b"MULTI",))
_EXEC = pack_command((b"EXEC",))


class Call(ABC):
    """Something to be sent upstream, and its one outcome: `succeed` or `fail` is called exactly once.

    Not bound to a connection: an upstream may send it on any, and again on another if `repeatable`. Used by the
    daemon's one thread only. `deadline_ns` is CLOCK_MONOTONIC. `route` says where in a cluster it goes, if not where
    its keys are.
    """

    __slots__ = ("attempts", "deadline_ns", "repeatable", "route", "submitted_ns")

    def __init__(self, deadline_ns: int, *, repeatable: bool) -> None:
        self.deadline_ns = deadline_ns
        self.repeatable = repeatable
        self.route: Route | None = None
        self.attempts = 0
        self.submitted_ns = 0
        """When it was submitted; 0 as long as it was not, and for what is not counted."""

    @abstractmethod
    def pack(self) -> bytes:
        """What is written to the server."""

    def receive(self, reply: Any) -> bool:
        """Take the next reply of the server; whether it was the last that this call waits for."""
        self.succeed(reply)
        return True

    def restart(self) -> None:  # noqa: B027 - what waits for a single reply has nothing to forget
        """Forget the replies taken so far: the call is going to be sent again."""

    def is_wanted(self, now_ns: int) -> bool:
        """Whether somebody still waits for the reply; asked just before sending. If not, `abandon` follows."""
        return now_ns < self.deadline_ns

    @abstractmethod
    def abandon(self) -> None:
        """It was not sent, because nobody wants the reply any more."""

    @abstractmethod
    def succeed(self, reply: Any) -> None:
        """The reply came: a value, or a `ReplyError` with the server's text."""

    @abstractmethod
    def fail(self, code: int, message: str) -> None:
        """No reply will come; `code` is one of the protocol's errors."""


class SingleCall(Call):
    """One command. Subclasses say who waits for its reply."""

    __slots__ = ("arguments",)

    def __init__(self, arguments: Sequence[bytes], deadline_ns: int, *, repeatable: bool) -> None:
        super().__init__(deadline_ns, repeatable=repeatable)
        self.arguments = arguments

    def pack(self) -> bytes:
        """`Call`: one command."""
        return pack_command(tuple(self.arguments))


class BatchCall(Call):
    """Several commands in one write: a pipeline, or a transaction when `atomic` (contract C17).

    `succeed` gets the list of replies, with `ReplyError` for commands that failed alone; None for a transaction that
    the server did not run because a watched key had changed.
    """

    __slots__ = ("_replies", "atomic", "commands")

    def __init__(
        self, commands: Sequence[Sequence[bytes]], deadline_ns: int, *, atomic: bool, repeatable: bool
    ) -> None:
        super().__init__(deadline_ns, repeatable=repeatable)
        self.commands = commands
        self.atomic = atomic
        self._replies: list[Any] = []

    def pack(self) -> bytes:
        """`Call`: the commands, within MULTI and EXEC if they are a transaction."""
        packed = [pack_command(tuple(command)) for command in self.commands]
        return b"".join([_MULTI, *packed, _EXEC] if self.atomic else packed)

    def receive(self, reply: Any) -> bool:
        """`Call`: one reply per command, and two more for MULTI and EXEC."""
        replies = self._replies
        replies.append(reply)
        if len(replies) < len(self.commands) + 2 * self.atomic:
            return False
        if self.atomic:
            self._settle_transaction(replies)
        else:
            self.succeed(replies)
        return True

    def restart(self) -> None:
        """`Call`: begin to count again."""
        self._replies = []

    def _settle_transaction(self, replies: list[Any]) -> None:
        outcome = replies[-1]
        if not isinstance(outcome, ReplyError):
            self.succeed(outcome)
            return
        causes = [str(reply) for reply in replies[:-1] if isinstance(reply, ReplyError)]
        if str(outcome).startswith("EXECABORT"):
            cause = f" ({causes[0]})" if causes else ""
            self.fail(ERROR_EXEC_ABORT, f"{outcome}{cause}")
        else:
            # MULTI itself was refused, and EXEC for want of it: the first error is the reason.
            self.fail(ERROR_REQUEST, causes[0] if causes else str(outcome))
