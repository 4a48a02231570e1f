"""WATCH, UNWATCH and EXEC: transactions that are run only if the keys that the client has read are unchanged."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from glidecache_shared.protocol import (
    ERROR_BUSY,
    ERROR_CONNECTION,
    ERROR_REQUEST,
    ReplyError,
)
from glidecached.budget import DedicatedShares
from glidecached.frontend.dispatcher import MalformedError
from glidecached.handlers.arguments import Screening, need, need_all_bytes, need_fields
from glidecached.handlers.calls import BatchRequestCall, CommandCall
from glidecached.handlers.facts import note_writes
from glidecached.watched_keys import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from glidecached.client_session import Sessions
    from glidecached.frontend.request import Request
    from glidecached.process.loop import Loop
    from glidecached.sequence import Sequence

_GONE = (
    "the keys are not watched any more: what watched them has ended (its connection was lost, it was unused for a "
    "minute, or the daemon is another); nothing was run; watch again"
)


class WatchHandlers:
    """The three operations around watched keys. For the loop's thread.

    All three count as commands that may write: a client's reads after its WATCH are not older than the WATCH
    (contract C22).
    """

    def __init__(
        self,
        loop: Loop,
        sessions: Sessions,
        next_sequence: Sequence,
        dedicated: DedicatedShares | None = None,
    ) -> None:
        self._loop = loop
        self._dedicated = dedicated or DedicatedShares()
        self._sessions = sessions
        self._next_sequence = next_sequence
        self._of_peer: dict[bytes, set[Watch]] = {}

    def peer_ended(self, identity: bytes) -> None:
        """End the watches that were last named over a connection that has ended."""
        for watch in list(self._of_peer.get(identity, ())):
            watch.end()

    def watch(self, request: Request, body: list[Any]) -> None:
        """Handle WATCH: begin a watch, or add keys to an existing one."""
        need_fields(body, "session_id", "watch", "begins", "keys")
        session_id, number, begins, keys = body
        need(number, int, "watch")
        need(begins, bool, "begins")
        need(keys, list, "keys")
        need_all_bytes(keys, "key")
        if not keys:
            message = "keys is empty; WATCH needs at least one"
            raise MalformedError(message)
        need(session_id, int, "session_id")
        session = self._sessions.of_request(request, session_id)
        if session is None:
            return
        watch = session.watches.get(number)
        if begins:
            if watch is not None:
                watch.end()
            counted = self._dedicated.keep(request, session.upstream)
            if isinstance(counted, str):
                request.fail(ERROR_BUSY, counted)
                return
            watch = Watch(self._loop, session, number, self._ended)
            watch.released = counted
            exhausted = watch.begin(keys)
            if exhausted is not None:
                request.fail(ERROR_BUSY, exhausted)
                return
        elif watch is None:
            request.fail(ERROR_CONNECTION, _GONE)
            return
        self._belong(watch, request.identity)
        advance = functools.partial(session.advance_again, self._next_sequence)
        watch.submit(_WatchCall(request, watch, [b"WATCH", *keys], on_outcome=advance))

    def unwatch(self, request: Request, body: list[Any]) -> None:
        """Handle UNWATCH: end a watch. A missing one has ended already."""
        need_fields(body, "session_id", "watch")
        session_id, number = body
        need(number, int, "watch")
        need(session_id, int, "session_id")
        session = self._sessions.of_request(request, session_id)
        if session is None:
            return
        watch = session.watches.get(number)
        if watch is None:
            request.reply("OK")
        else:
            watch.submit_last(CommandCall(request, [b"UNWATCH"], repeatable=False))

    def execute(self, request: Request, body: list[Any]) -> Iterator[None] | None:
        """Handle EXEC: run a transaction on the connection that watches its keys; nil when one of them has changed.

        A large one is done in steps.
        """
        need_fields(body, "session_id", "watch", "commands")
        session_id, number, commands = body
        need(number, int, "watch")
        need(commands, list, "commands")
        screening = Screening(commands, atomic=True)
        if screening.fits_at_once:
            for _ in screening.steps():
                pass
            self._execute(request, screening, session_id, number, commands)
            return None
        return self._execute_large(request, screening, session_id, number, commands)

    def _execute_large(
        self,
        request: Request,
        screening: Screening,
        session_id: Any,
        number: int,
        commands: list[list[bytes]],
    ) -> Iterator[None]:
        yield from screening.steps()
        if not request.finished:
            self._execute(request, screening, session_id, number, commands)

    def _execute(
        self,
        request: Request,
        screening: Screening,
        session_id: Any,
        number: int,
        commands: list[list[bytes]],
    ) -> None:
        need(session_id, int, "session_id")
        session = self._sessions.of_request(request, session_id)
        if session is None:
            return
        watch = session.watches.get(number)
        if watch is None:
            request.fail(ERROR_CONNECTION, _GONE)
            return
        if screening.refusal is not None:
            watch.end()
            request.fail(ERROR_REQUEST, f"{screening.refusal}; nothing of the batch was run")
            return
        session.advance(self._next_sequence)
        note_writes(session, commands)
        advance = functools.partial(session.advance_again, self._next_sequence)
        watch.submit_last(
            BatchRequestCall(request, commands, atomic=True, repeatable=False, on_outcome=advance)
        )

    def _belong(self, watch: Watch, identity: bytes) -> None:
        """Tie the watch to the connection that names it: the latest one, if a thread has connected again."""
        self._ended(watch)
        watch.identity = identity
        self._of_peer.setdefault(identity, set()).add(watch)

    def _ended(self, watch: Watch) -> None:
        watches = self._of_peer.get(watch.identity)
        if watches is not None:
            watches.discard(watch)
            if not watches:
                del self._of_peer[watch.identity]


class _WatchCall(CommandCall):
    """A WATCH command. When its caller gets no answer, or it fails, nothing is kept for it."""

    __slots__ = ("_watch",)

    def __init__(
        self, request: Request, watch: Watch, arguments: list[bytes], *, on_outcome: Callable[[], object]
    ) -> None:
        super().__init__(request, arguments, repeatable=False, on_outcome=on_outcome)
        self._watch = watch

    def abandon(self) -> None:
        super().abandon()
        self._watch.end_soon()

    def succeed(self, reply: Any) -> None:
        failed = isinstance(reply, ReplyError) or self.request.finished
        super().succeed(reply)
        if failed:
            self._watch.end_soon()

    def fail(self, code: int, message: str) -> None:
        super().fail(code, message)
        self._watch.end()
