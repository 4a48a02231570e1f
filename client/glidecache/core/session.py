"""A client's session: it attaches, sends requests, and falls back when the daemon is gone (the failure model).

Written once for both clients: with a blocking connection and a blocking fallback, nothing here suspends.
"""

from __future__ import annotations

import time
import weakref
from contextlib import suppress

from glidecache.core.attachment import Attachment, PoolGoneError, SessionState
from glidecache.core.lazy_import import import_ahead
from glidecache.core.settings import DEFAULT_REQUEST_TIMEOUT_MS
from glidecache.core.transport_errors import (
    DaemonLostError,
    NoDaemonError,
    NoReplyError,
    NotSentError,
    OtherVersionError,
    error_for,
)
from glidecache.errors import (
    ClosingError,
    ConnectionError,
    DaemonUnavailableError,
    GlideError,
    RequestError,
    TimeoutError,
)
from glidecache_shared import protocol
from glidecache_shared.pool.reader import LAYOUT_VERSION, PoolLayoutError
from glidecache_shared.versions import mismatch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from glidecache.core.attachment import FirstAttempt, Hello
    from glidecache.core.connection import Connections, DaemonConnection
    from glidecache.core.fallback import DirectFallback
    from glidecache.core.settings import Settings
    from glidecache_shared.pool.reader import PoolReader

    PoolUser = Callable[[PoolReader | None], None]

ONLY_THE_DAEMON = ", and only the daemon can do this"
"""The end of a `DaemonUnavailableError` of a client whose other commands go on without a daemon."""

_MS = 1_000_000
_ATTACH_ATTEMPTS = 4
_REFUSALS = 4
_STALE_INTERVAL_NS = 1_000 * _MS
_PROBE_INTERVAL_NS = 750 * _MS
"""The probe interval. Clients use a new daemon within a second: this interval, a probe, and a request."""
_PROBE_TIMEOUT_NS = 50 * _MS
_DETACH_TIMEOUT_NS = 100 * _MS
_PROMPT_NS = 10 * _MS
"""A longer time from a call to its sending means that this process itself delayed it."""

_NOT_RUN = (protocol.ERROR_STALE_INSTANCE, protocol.ERROR_UNKNOWN_SESSION)


class Session:
    """One client's session with the daemon. Safe for any number of threads, loops and forks of a process."""

    def __init__(
        self,
        settings: Settings,
        connections: Connections,
        direct: DirectFallback | None,
        use_pool: PoolUser,
    ) -> None:
        """Prepare the session. `direct`: the servers, for when there is no daemon; None if they must not be asked.

        `use_pool` is a client's method, which receives each new pool to read hits from, None for no pool. The session
        does not keep the client alive for that.
        """
        self._settings = settings
        self._connections = connections
        self._direct = direct
        self._pool_user: Callable[[], PoolUser | None] = weakref.WeakMethod(use_pool)
        self.state = SessionState()
        self._next_probe_ns = 0
        self._outage_problem = ""
        """Why commands go to the servers directly, as was last logged."""
        self._other_version = (0, "")
        """The instance id of the daemon with which this client does not belong together, and why not."""
        self._ended = False

    @property
    def reader(self) -> PoolReader | None:
        """Return the pool, if one is attached."""
        attachment = self.state.attachment
        return None if attachment is None else attachment.reader

    @property
    def timeout_ns(self) -> int:
        """Return how long a call may take: the client's `request_timeout`, else the upstream's."""
        timeout_ms = self._settings.request_timeout_ms
        if timeout_ms is None:
            attachment = self.state.attachment
            timeout_ms = attachment.request_timeout_ms if attachment else DEFAULT_REQUEST_TIMEOUT_MS
        return timeout_ms * _MS

    def check_open(self) -> None:
        """Raise `ClosingError` once the client is closed."""
        if self.state.close_message:
            raise ClosingError(self.state.close_message)

    async def open(self) -> None:
        """Attach for the first time, or go direct if that is allowed. Raises as `create` of the clients.

        Where a lazy client finds no daemon it warns, and attaches with the first command that finds one.
        """
        now_ns = time.monotonic_ns()
        connect_ns = now_ns + self.timeout_ns
        attach_ns = now_ns + max(self.timeout_ns, self._settings.connection_timeout_ms * _MS)
        while True:
            connection = self._connections.current()
            try:
                await connection.run_exclusively(
                    connect_ns, _not_ready, self.connect_and_attach, connection, connect_ns, attach_ns
                )
            except (DaemonLostError, NotSentError):
                continue
            except NoReplyError:
                await self._open_directly("glidecached does not answer")
            except NoDaemonError as absent:
                await self._open_directly(str(absent))
            return

    async def connect_and_attach(self, connection: DaemonConnection, connect_ns: int, attach_ns: int) -> None:
        """Attach by a connection, until the deadlines for each. Raises as `DaemonConnection.connect` and `request`."""
        hello = await connection.connect(connect_ns)
        await self._attach(connection, hello, attach_ns, self._settings.spec)

    async def call(
        self,
        operation: int,
        body: Sequence[Any],
        *,
        repeatable: bool,
        timeout_ns: int | None,
        directly: Callable[[DirectFallback, float], Any] | None,
        first: FirstAttempt | None = None,
    ) -> Any:
        """Send one request and return its reply's body; the session's id is put before `body`.

        repeatable: whether running it twice does no harm (a read). timeout_ns: the client's, if None.
        directly: how to do the same at the servers, given a time-out in seconds; a coroutine. None if only the daemon
        can do it: then `DaemonUnavailableError` is raised whenever it does not answer.
        first: how it went when the same request was sent already; None if it was not.
        """
        self.check_open()
        timeout_ns = self.timeout_ns if timeout_ns is None else timeout_ns
        if (
            first is None
            and self.state.outage
            and self._direct is not None
            and not await self._daemon_recovered()
        ):
            return await self._directly(directly, timeout_ns, "glidecached does not answer")
        try:
            return await self._request(operation, body, timeout_ns, repeatable=repeatable, first=first)
        except NoDaemonError as absent:
            problem = str(absent)
            if self._direct is None:
                raise self._unavailable(problem) from None
            self._begin_outage(problem)
        except NoReplyError:
            problem = f"glidecached did not answer within {timeout_ns // _MS} ms"
            if self._direct is not None:
                self._begin_outage(problem)
            if directly is not None and (self._direct is None or not repeatable):
                may = "" if repeatable else "; the command may have run"
                raise TimeoutError(problem + may) from None
        return await self._directly(directly, timeout_ns, problem)

    async def _directly(
        self, directly: Callable[[DirectFallback, float], Any] | None, timeout_ns: int, problem: str
    ) -> Any:
        """Ask the servers, if they can do what was asked of the daemon."""
        if directly is None or self._direct is None:
            message = problem + ONLY_THE_DAEMON
            raise DaemonUnavailableError(message)
        return await directly(self._direct, timeout_ns / 1e9)

    def post(self, operation: int, body: Sequence[Any]) -> None:
        """Send a request whose answer is not awaited, if there is a connection. Never raises."""
        connection, attachment = self._connections.existing(), self.state.attachment
        if connection is not None and attachment is not None and connection.hello is not None:
            connection.post(operation, attachment.instance_id, (attachment.session_id, *body))

    async def close(self, close_message: str) -> None:
        """End the session. Idempotent; every later call raises `ClosingError` with this text."""
        if self._ended:
            return
        self.state.close_message = self.state.close_message or close_message
        attachment = self.state.attachment
        self._use_pool(None)
        connection = self._connections.existing()
        if attachment is not None:
            # A session that this process inherited by a fork still belongs to its parent.
            if (
                connection is not None
                and connection.hello is not None
                and connection.forks == attachment.forks
            ):
                await self._detach(connection, attachment, time.monotonic_ns() + _DETACH_TIMEOUT_NS)
            attachment.release()
            self.state.attachment = None
        self._connections.close()
        if self._direct is not None:
            await self._direct.close()
        self._ended = True  # last: an interrupted close can be repeated

    def _use_pool(self, reader: PoolReader | None) -> None:
        use_pool = self._pool_user()
        if use_pool is not None:
            use_pool(reader)

    async def _request(
        self,
        operation: int,
        body: Sequence[Any],
        timeout_ns: int,
        *,
        repeatable: bool,
        first: FirstAttempt | None,
    ) -> Any:
        refusals = 0
        attachment: Attachment | None
        asked_ns = time.monotonic_ns() if first is None else first.asked_ns
        deadline_ns = asked_ns + timeout_ns
        while True:
            self.check_open()
            try:
                if first is not None:
                    sent, first = first, None
                    connection, attachment = sent.connection, sent.attachment
                    status, reply = sent.reply()
                else:
                    connection = self._connections.current()
                    attachment = None if connection.has_waiters else self.state.usable(connection.hello)
                    if attachment is None:
                        attachment, lag_ns = await self._attached(connection, deadline_ns)
                        asked_ns = time.monotonic_ns()
                        deadline_ns += lag_ns
                    status, reply = await connection.request(
                        operation, attachment.instance_id, deadline_ns, (attachment.session_id, *body)
                    )
            except NotSentError:
                continue
            except DaemonLostError:
                if repeatable:
                    continue
                message = "glidecached went away before it answered; the command may have run"
                raise TimeoutError(message) from None
            if status == protocol.STATUS_OK:
                return reply
            code, text = reply
            refusals += 1
            if _sent_late(code, connection, asked_ns) and refusals < _REFUSALS:
                asked_ns = time.monotonic_ns()
                deadline_ns = asked_ns + timeout_ns
                continue
            if code not in _NOT_RUN or refusals == _REFUSALS:
                raise error_for(code, text)
            self.state.unknown = attachment

    async def _attached(self, connection: DaemonConnection, deadline_ns: int) -> tuple[Attachment, int]:
        """Do as `_ensure_attached`, while no other call of the client does. Raises `NoDaemonError`, `NotSentError`."""
        # Even if the server may let a command wait for long, waiting for a daemon takes no longer than for others.
        ready_ns = min(deadline_ns, time.monotonic_ns() + self.timeout_ns)
        try:
            return await connection.run_exclusively(
                ready_ns,
                lambda: self.state.usable(connection.hello) is not None,
                self._ensure_attached,
                connection,
                ready_ns,
            )
        except DaemonLostError:
            raise NotSentError from None  # the daemon ended meanwhile; the next one is awaited until the deadline
        except NoReplyError:
            message = "glidecached does not answer"
            raise NoDaemonError(message) from None

    async def _ensure_attached(
        self, connection: DaemonConnection, deadline_ns: int
    ) -> tuple[Attachment, int]:
        """Return a session with the daemon that answers now; attach if necessary.

        Also return for how long the caller's own event loop has worked meanwhile, in ns.
        """
        hello = await connection.connect(deadline_ns)
        attachment = self.state.usable(connection.hello)
        if attachment is None:
            self.check_open()
            self.state.next_stale_ns = time.monotonic_ns() + _STALE_INTERVAL_NS
            # The first command shows whether the upstream is reachable: hits must work without it (contract C24).
            spec = {**self._settings.spec, "lazy_connect": True}
            before = self.state.attachment
            if before is not None and before.instance_id == hello.instance_id:
                # Writes of this client there count (contract C22).
                spec["follows"] = before.session_id
            await self._attach(connection, hello, deadline_ns, spec)
            attachment = self.state.attachment
            if attachment is None:
                self.check_open()
                raise NotSentError
        return attachment, connection.extended(0)

    async def _attach(
        self, connection: DaemonConnection, hello: Hello, deadline_ns: int, spec: dict[str, Any]
    ) -> None:
        import_ahead()
        self._check_layout(connection, hello)
        for _ in range(_ATTACH_ATTEMPTS):
            status, answer = await connection.request(
                protocol.ATTACH, hello.instance_id, connection.extended(deadline_ns), (spec,)
            )
            if status != protocol.STATUS_OK:
                if answer[0] == protocol.ERROR_OVERDUE:
                    raise NoReplyError  # the caller's own request has not been handed over
                raise error_for(*answer)
            try:
                attachment = Attachment(hello, answer, connection.forks)
            except PoolGoneError:
                continue
            except PoolLayoutError as error:
                # A daemon that does not state its layout: only its pool has it.
                self._leave(connection, hello, {**hello.about, "layout_version": error.layout_version})
                raise
            try:
                previous, self.state.attachment = self.state.attachment, attachment
                if self.state.close_message:  # closed meanwhile
                    self.state.attachment = None
                    attachment.release()
                    return
                self._use_pool(attachment.reader)
            except BaseException:
                # Interrupted: the client may lack the pool that belongs to its session. Attach again.
                self.state.unknown = attachment
                raise
            if previous is not None:
                previous.release()
            return
        from glidecache.core.pool_faults import why_gone  # for a message alone

        raise ConnectionError(why_gone(answer["pool"]))

    def _check_layout(self, connection: DaemonConnection, hello: Hello) -> None:
        """Raise `OtherVersionError` for a daemon whose pools this client would map and cannot read, and leave it."""
        if self._settings.cache is not None:
            instance_id, problem = self._other_version
            if problem and instance_id == hello.instance_id:
                connection.drop()
                raise OtherVersionError(problem, hello.about)
            self._leave(connection, hello, hello.about)

    def _leave(self, connection: DaemonConnection, hello: Hello, about: dict[str, Any]) -> None:
        """Raise as `_check_layout` if the daemon, which says `about`, has pools of another layout."""
        problem = mismatch(about, self._settings.runtime_dir, "this client", LAYOUT_VERSION)
        if problem:
            self._other_version = (hello.instance_id, problem)
            connection.drop()
            raise OtherVersionError(problem, about)

    async def _detach(self, connection: DaemonConnection, attachment: Attachment, deadline_ns: int) -> None:
        body = (attachment.session_id,)
        # Best effort: the daemon forgets sessions by itself, and the lease keeps a pool.
        with suppress(DaemonLostError, NotSentError, NoReplyError, GlideError):
            await connection.request(protocol.DETACH, attachment.instance_id, deadline_ns, body)

    async def _open_directly(self, problem: str) -> None:
        if self._direct is None:
            unavailable = self._unavailable(problem)
            if not self._settings.lazy_connect:
                raise unavailable from None
            _logger().warning(
                "%s; until it answers, commands fail",
                unavailable,
                extra={"problem": str(unavailable), "runtime_dir": self._settings.runtime_dir},
            )
            return
        self._begin_outage(problem)
        if not self._settings.lazy_connect:
            try:
                await self._direct.command((b"PING",), self._settings.connection_timeout_ms / 1e3)
            except GlideError as error:
                message = f"{problem}, and the servers cannot be asked directly: {error}"
                raise ClosingError(message) from error

    def _unavailable(self, problem: str) -> DaemonUnavailableError:
        hint = self._settings.missing_extra
        return DaemonUnavailableError(f"{problem}; {hint}" if hint else problem)

    def _begin_outage(self, problem: str) -> None:
        self._next_probe_ns = time.monotonic_ns() + _PROBE_INTERVAL_NS
        if not self.state.outage:
            self.state.outage = True
            self._warn_of_outage(problem)

    def _warn_of_outage(self, problem: str) -> None:
        self._outage_problem = problem
        _logger().warning(
            "%s; meanwhile commands go to the servers directly, uncached",
            problem,
            extra={"problem": problem, "runtime_dir": self._settings.runtime_dir},
        )

    async def _daemon_recovered(self) -> bool:
        """Return whether the daemon answers again; ask it only from time to time."""
        now_ns = time.monotonic_ns()
        if now_ns < self._next_probe_ns:
            return False
        self._next_probe_ns = now_ns + _PROBE_INTERVAL_NS
        connection = self._connections.current()
        deadline_ns = now_ns + _PROBE_TIMEOUT_NS
        try:
            await connection.run_exclusively(deadline_ns, _not_ready, self._probe, connection, deadline_ns)
        except OtherVersionError as other:
            # The operator who upgraded the daemon would otherwise find an absence only.
            if str(other) != self._outage_problem:
                self._warn_of_outage(str(other))
            return False
        except (NoDaemonError, NotSentError, DaemonLostError, NoReplyError, RequestError):
            return False
        self.state.outage = False
        runtime_dir = self._settings.runtime_dir
        _logger().info("glidecached at %s answers again", runtime_dir, extra={"runtime_dir": runtime_dir})
        return True

    async def _probe(self, connection: DaemonConnection, deadline_ns: int) -> None:
        self._check_layout(connection, await connection.connect(deadline_ns))
        await connection.request(protocol.PING, 0, connection.extended(deadline_ns), ())


def _not_ready() -> bool:
    return False


def _sent_late(code: int, connection: DaemonConnection, asked_ns: int) -> bool:
    """Return whether a request was overdue, and not run, because this process sent it late (contract C28)."""
    return code == protocol.ERROR_OVERDUE and connection.sent_ns - asked_ns > _PROMPT_NS


def _logger() -> Any:
    import logging

    return logging.getLogger("glidecache")
