"""A client's connection to the daemon: connect, greet it, send requests, and match replies to them.

`DaemonConnection` has everything but waiting. The blocking and the asyncio client wait in their own ways. The code
above them is written once, as coroutines. Those of the blocking connection never suspend, and `run_blocking` takes
their result.
"""

from __future__ import annotations

import time

from glidecache.core.attachment import Hello
from glidecache.core.transport_errors import (
    OWN_FAULTS,
    DaemonLostError,
    NoDaemonError,
    NoReplyError,
    NotSentError,
    OtherVersionError,
    own_fault,
)
from glidecache.errors import ConfigurationError, RequestError
from glidecache_shared import __version__, protocol
from glidecache_shared.runtime_dir import START, check_endpoint, missing_socket, socket_path
from glidecache_shared.versions import mismatch
from glidecache_shared.wire.dealer import Dealer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence
    from typing import Any, Protocol, TypeVar

    Result = TypeVar("Result")

    class Connections(Protocol):
        """All connections of one client: one per process and thread, or per process and event loop."""

        def current(self) -> DaemonConnection:
            """Return the connection for the caller's process and thread or loop; make it if there is none yet."""

        def existing(self) -> DaemonConnection | None:
            """Return the same, if it has been made."""

        def close(self) -> None:
            """Close what the caller's thread or loop may close, and have the rest closed."""


_MS = 1_000_000
_RETRY_PAUSE_NS = 10 * _MS
_CLOSED_AT_ONCE = 3
"""A daemon that closed so many connections in a row at once counts as full."""

_POST_TIMEOUT_NS = 10_000 * _MS

_NO_SOCKET = "is not running: it has no socket there"
_REFUSED = "cannot be reached: this process may not connect to its socket"
"""Both may pass by: a daemon that starts makes the socket. So they are explained only when the time is over."""


class DaemonConnection:
    """The connection to one runtime directory's daemon. Subclasses implement sending and waiting."""

    __slots__ = (
        "_daemon_uid",
        "_runtime_dir",
        "_trusted_uid",
        "dealer",
        "forks",
        "hello",
        "last_id",
        "sent_ns",
        "watch",
    )

    def __init__(self, runtime_dir: str, forks: int) -> None:
        self._runtime_dir = runtime_dir
        self.dealer: Dealer | None = None
        """The socket to the daemon, also while it is greeted; None while there is none."""
        self.last_id = 0
        """The id of the newest request; ids are not used again, not even on another socket."""
        self._trusted_uid = self._daemon_uid = 0
        self.hello: Hello | None = None
        """The daemon that answers; None while not connected."""
        self.sent_ns = 0
        """The time at which a request was last handed to the kernel, whole."""
        self.forks = forks
        """The fork count at its creation, as `dealer.forks` returns it. Other processes must not touch it."""
        self.watch = 0
        """The number under which this thread or loop watches keys, or 0. It outlives the connection: see `watch`."""

    @property
    def has_waiters(self) -> bool:
        """Return whether calls wait to connect or attach; another call must not overtake them (contract C23)."""
        return False

    def run_exclusively(
        self,
        deadline_ns: int,
        is_ready: Callable[[], bool],
        function: Callable[..., Coroutine[Any, Any, Result]],
        *arguments: Any,
    ) -> Awaitable[Result]:
        """Run a coroutine that connects or attaches, while no other call of the client does.

        `is_ready` returns whether the coroutine would find nothing to do: such calls of an event loop wait together.
        Awaiting it raises `NoDaemonError` when other calls take too long.
        """
        raise NotImplementedError

    def extended(self, deadline_ns: int) -> int:
        """Return the deadline of the call that connects, extended by its event loop's other work (contract C28)."""
        return deadline_ns

    async def connect(self, deadline_ns: int) -> Hello:
        """Provide a connection to a daemon that answers.

        Raises `NoDaemonError` when no daemon answers by the deadline, `OtherVersionError` for a daemon that does not
        belong with this client, `RequestError` for one that is full, `ConfigurationError` for one that refuses this
        client permanently.
        """
        while True:
            if self.hello is not None:
                return self.hello
            await self._open(deadline_ns)
            try:
                self.hello = await self._handshake(deadline_ns)
            except (DaemonLostError, NotSentError):
                remaining_ns = self.extended(deadline_ns) - time.monotonic_ns()
                if remaining_ns <= 0:
                    problem = "ended the connection"
                    raise self._unavailable(problem) from None
                await self._pause(min(remaining_ns, _RETRY_PAUSE_NS))  # another daemon may start
            except NoReplyError:
                self.drop()
                problem = "does not answer"
                raise self._unavailable(problem) from None

    async def request(
        self, operation: int, instance_id: int, deadline_ns: int, body: Sequence[Any]
    ) -> tuple[int, Any]:
        """Send one request and wait for the reply. Return its status and body.

        Raises `RequestError` for a message that is too long, `NotSentError`, `DaemonLostError` and `NoReplyError`.
        """
        raise NotImplementedError

    def post(self, operation: int, instance_id: int, body: Sequence[Any]) -> None:
        """Send a request whose answer is not awaited. Best effort: never raises, never blocks."""
        try:
            deadline_ns = time.monotonic_ns() + _POST_TIMEOUT_NS
            dealer, _, frame = self._pack(operation, instance_id, deadline_ns, body)
            self._send(dealer, frame)
        except (NotSentError, OSError, RuntimeError):
            pass  # without a connection the daemon knows that the caller is gone

    def _pack(
        self, operation: int, instance_id: int, deadline_ns: int, body: Sequence[Any]
    ) -> tuple[Dealer, int, bytes]:
        """Return the dealer to send on, the request's id, and its message. Raises as `request`."""
        dealer = self.dealer
        if dealer is None:
            self.hello = None  # left by a call that was interrupted while it closed the connection
            raise NotSentError
        self.last_id = request_id = self.last_id + 1
        frame = protocol.pack((operation, request_id, instance_id, deadline_ns, *body))
        hello = self.hello
        if hello is not None and len(frame) > hello.max_message_bytes:
            message = (
                f"the request has {len(frame)} bytes; "
                f"max_message_bytes of the daemon's configuration allows {hello.max_message_bytes}"
            )
            raise RequestError(message)
        return dealer, request_id, frame

    def drop(self) -> None:
        """Close the connection, if there is one. The next `connect` makes a new one."""
        self.hello = None  # first: after an interruption in between, the next call connects again
        dealer, self.dealer = self.dealer, None
        if dealer is not None:
            self._release(dealer)

    async def _open(self, deadline_ns: int) -> None:
        """Open a working connection. Raises `NoDaemonError`, and `RequestError` if the daemon closes it each time."""
        closed = 0
        while True:
            problem = self._check_socket()
            if not problem:
                self.drop()  # left by a call that was cancelled while it connected
                try:
                    dealer = self.dealer = self._open_dealer()
                except BlockingIOError:
                    problem = "is busy: too many wait for it to take their connections"
                except OSError as error:
                    if error.errno in OWN_FAULTS:
                        raise NoDaemonError(own_fault(error, "connection to glidecached")) from None
                    problem = _no_connection(error)
                else:
                    if await self._wait_until_up(dealer, deadline_ns):
                        return
                    closed += dealer.ended
                    self.drop()
                    problem = "accepts no connections"
            else:
                closed = 0
            remaining_ns = self.extended(deadline_ns) - time.monotonic_ns()
            if remaining_ns <= 0:
                if closed >= _CLOSED_AT_ONCE:
                    # A daemon that ends removes its socket. This one runs, and refused other connections as full.
                    reason = "it closes new connections; as many as it may have are open (see its log)"
                    raise self._busy(reason)
                raise self._unavailable(self._explained(problem))
            await self._pause(min(remaining_ns, _RETRY_PAUSE_NS))

    def _check_socket(self) -> str:
        """Return the reason why connecting would fail now, or an empty text.

        Raises `NoDaemonError` if waiting would not help.
        """
        try:
            self._trusted_uid = check_endpoint(self._runtime_dir)
        except FileNotFoundError:
            return _NO_SOCKET
        except OSError as error:
            if error.errno in OWN_FAULTS:
                raise NoDaemonError(own_fault(error, "look at glidecached's socket")) from None
            # An error with a number is the kernel's: this process has no permission to look.
            problem = "trusted" if error.errno is None else "reached"
            message = f"glidecached cannot be {problem}: {error}"
            raise NoDaemonError(message) from None
        return ""

    def _open_dealer(self) -> Dealer:
        """Begin to connect. Raise `OSError` as `Dealer.connect`, and `NoDaemonError` if the daemon is another one."""
        dealer = Dealer.connect(socket_path(self._runtime_dir))
        # A user who may write the directory could have put another socket there since.
        listener_uid = dealer.file.peer_uid()
        if listener_uid not in (0, self._trusted_uid):
            dealer.close()
            raise NoDaemonError(self._other_listener(listener_uid))
        self._daemon_uid = listener_uid
        return dealer

    async def _handshake(self, deadline_ns: int) -> Hello:
        body = (protocol.PROTOCOL_VERSION, __version__)
        status, answer = await self.request(protocol.HELLO, 0, self.extended(deadline_ns), body)
        if status != protocol.STATUS_OK:
            code, text = answer
            if code == protocol.ERROR_OVERDUE:
                raise NoReplyError  # it hung meanwhile, and has just recovered: that is no refusal
            if code == protocol.ERROR_PROTOCOL:
                # PING is answered whatever the version, and says more than other versions' texts may.
                about = await self.request(protocol.PING, 0, self.extended(deadline_ns), ())
                self._check_version(*about)
            self.drop()
            if code == protocol.ERROR_BUSY:
                raise self._busy(text)
            message = f"glidecached at {self._runtime_dir} refuses this client: {text}"
            raise ConfigurationError(message)
        self._check_version(status, answer)
        try:
            hello = Hello(answer, self._daemon_uid)
        except (KeyError, TypeError) as error:
            self.drop()
            problem = f"greets in a way that this client ({__version__}) does not know: {error!r}"
            raise self._unavailable(problem) from None
        if answer.get("daemon_version") != __version__:
            _log_release(self._runtime_dir, answer.get("daemon_version"))
        return hello

    def _check_version(self, status: int, about: Any) -> None:
        """Raise `OtherVersionError` for a daemon that speaks another version of the protocol, and leave it."""
        problem = (
            mismatch(about, self._runtime_dir, "this client")
            if status == protocol.STATUS_OK and isinstance(about, dict)
            else ""
        )
        if problem:
            self.drop()
            raise OtherVersionError(problem, about)

    def _explained(self, problem: str) -> str:
        """Return the problem with what can be found out about it now, when waiting has not helped."""
        if problem == _NO_SOCKET:
            return missing_socket(self._runtime_dir)
        if problem == _REFUSED:
            from glidecache_shared.refused_access import refused_connection  # for a message alone

            return f"cannot be reached: {refused_connection(socket_path(self._runtime_dir))}"
        return problem

    def _other_listener(self, listener_uid: int) -> str:
        from glidecache_shared.refused_access import named_uid, own_namespace_advice  # for a message alone

        return (
            f"glidecached cannot be trusted: {named_uid(listener_uid)} listens at the socket in {self._runtime_dir}, "
            f"which belonged to {named_uid(self._trusted_uid)}{own_namespace_advice(listener_uid, self._trusted_uid)}"
        )

    def _unavailable(self, problem: str) -> NoDaemonError:
        return NoDaemonError(f"glidecached at {self._runtime_dir} {problem}")

    def _busy(self, reason: str) -> RequestError:
        """Return the error for a daemon that runs and has no room for this client: no outage, and no misuse (I9)."""
        return RequestError(f"glidecached at {self._runtime_dir} is busy: {reason}")

    def read_reply(self, frame: bytes) -> tuple[int, int, Any]:
        """Return a reply's request id, status and body. On a malformed one, close and raise `DaemonLostError`."""
        try:
            request_id, status, body = protocol.unpack(frame, max(len(frame), 1))
        except (ValueError, TypeError):
            self.drop()
            message = "the daemon's reply cannot be read"
            raise DaemonLostError(message) from None
        return request_id, status, body

    async def _wait_until_up(self, dealer: Dealer, deadline_ns: int) -> bool:
        """Return whether the connection was up before the deadline."""
        raise NotImplementedError

    async def _pause(self, nanoseconds: int) -> None:
        raise NotImplementedError

    def _send(self, dealer: Dealer, frame: bytes) -> None:
        """Send a message. On failure, drop the connection and raise `NotSentError`."""
        raise NotImplementedError

    def _release(self, dealer: Dealer) -> None:
        """Close a dealer that no longer belongs to the connection."""
        raise NotImplementedError


def _log_release(runtime_dir: str, daemon_version: object) -> None:
    """Note for those who look that the daemon is of another release, with which this client works all the same."""
    import logging

    logging.getLogger("glidecache").debug(
        "glidecached at %s is version %s, this client %s",
        runtime_dir,
        daemon_version,
        __version__,
        extra={"runtime_dir": runtime_dir, "version": daemon_version},
    )


def _no_connection(error: OSError) -> str:
    """Return the problem behind a socket that takes no connection."""
    if isinstance(error, FileNotFoundError):
        return _NO_SOCKET
    if isinstance(error, PermissionError):
        return _REFUSED
    if isinstance(error, ConnectionRefusedError):
        return f"is not running: no process listens at its socket; {START}"
    return f"cannot be reached: {error}"
