"""An operator's connection to the daemon: requests and answers over the runtime directory's socket."""

from __future__ import annotations

import itertools
import threading
import time
from typing import TYPE_CHECKING, Any, Self

from glidecache_shared import __version__, protocol
from glidecache_shared.refused_access import refused_connection
from glidecache_shared.runtime_dir import START, check_endpoint, missing_socket, socket_path
from glidecache_shared.versions import mismatch
from glidecache_shared.wire.dealer import Dealer, NotSentError

if TYPE_CHECKING:
    from types import TracebackType

TIMEOUT_MS = 3_000
_SLICE_MS = 50
"""The longest time that a thread which sets `give_up` has to wait."""
_RETRY_SECONDS = 0.01
_CLOSED_AT_ONCE = 3
"""A daemon that closed so many connections at once counts as full."""


class DaemonUnreachableError(Exception):
    """The error when no daemon answers: `args[0]` gives the directory, and what was found there."""


class RefusedError(Exception):
    """The error when the daemon refuses: `args[0]` is its reason, `code` the protocol's number for it."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class DaemonClient:
    """A connection to the daemon of one runtime directory; `about` is its reply to HELLO.

    A context manager, for one thread at a time. An event `give_up` that another thread sets ends all waiting as if the
    time were over. Construction and `request` raise `DaemonUnreachableError` or `RefusedError`; after the first of
    them a new link is needed, because the answer may still come. With `greet=False` there is no HELLO, and `about` is
    empty: such a link is for PING, which daemons answer whatever their version.
    """

    def __init__(
        self,
        directory: str,
        *,
        timeout_ms: int = TIMEOUT_MS,
        give_up: threading.Event | None = None,
        greet: bool = True,
    ) -> None:
        self._directory = directory
        self._timeout_ms = timeout_ms
        self._numbers = itertools.count(1)
        self._give_up = give_up or threading.Event()
        self._instance_id = 0
        self.about: dict[str, Any] = {}
        try:
            check_endpoint(directory)
        except FileNotFoundError as error:
            message = f"no daemon in {directory}: glidecached {missing_socket(directory)}"
            raise DaemonUnreachableError(message) from error
        except (OSError, ValueError) as error:
            message = f"cannot connect to the daemon in {directory}: {error}"
            raise DaemonUnreachableError(message) from error
        self._path = socket_path(directory)
        self._dealer = self._connected(self._until_ns(timeout_ms))
        if greet:
            try:
                self.about = self._greeted()
            except BaseException:
                self.close()
                raise
            self._instance_id = self.about["instance_id"]

    def request(self, operation: int, *body: Any, timeout_ms: int | None = None) -> Any:
        """Send one request and return its answer, within the link's time or this one."""
        timeout_ms = timeout_ms or self._timeout_ms
        until_ns = self._until_ns(timeout_ms)
        number = next(self._numbers)
        try:
            self._dealer.send(protocol.pack([operation, number, self._instance_id, until_ns, *body]))
        except NotSentError:
            raise self._ended() from None
        status, result = self._answer(number, until_ns, timeout_ms)
        if status != protocol.STATUS_OK:
            raise RefusedError(*result)
        return result

    def close(self) -> None:
        """Close the connection to the daemon. Idempotent."""
        self._dealer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _greeted(self) -> dict[str, Any]:
        """Return the answer to HELLO. Of another version, the daemon says which one only in its answer to PING."""
        try:
            about: dict[str, Any] = self.request(protocol.HELLO, protocol.PROTOCOL_VERSION, __version__)
        except RefusedError as error:
            if error.code != protocol.ERROR_PROTOCOL:
                raise
            problem = self._mismatch(self.request(protocol.PING))
            if not problem:
                raise
            raise RefusedError(error.code, problem) from None
        problem = self._mismatch(about)
        if problem:
            raise RefusedError(protocol.ERROR_PROTOCOL, problem)
        if not isinstance(about.get("instance_id"), int):
            fault = "its greeting has no instance_id"
            raise self._unreadable(fault)
        return about

    def _mismatch(self, about: Any) -> str:
        if not isinstance(about, dict):
            fault = f"its greeting is a {type(about).__name__}"
            raise self._unreadable(fault)
        return mismatch(about, self._directory, "this command")

    def _connected(self, until_ns: int) -> Dealer:
        """Return a connection that the daemon has greeted."""
        closed = 0
        while True:
            try:
                dealer = Dealer.connect(self._path)
            except BlockingIOError:
                problem = "takes no connections: too many wait there already"
            except (ConnectionRefusedError, FileNotFoundError) as error:
                message = f"no daemon in {self._directory}: no process listens on {self._path}; {START}"
                raise DaemonUnreachableError(message) from error
            except PermissionError as error:
                message = (
                    f"cannot connect to the daemon in {self._directory}: {refused_connection(self._path)}"
                )
                raise DaemonUnreachableError(message) from error
            except OSError as error:
                message = f"cannot connect to the daemon in {self._directory}: {self._path}: {error.strerror or error}"
                raise DaemonUnreachableError(message) from error
            else:
                if self._is_up(dealer, until_ns):
                    return dealer
                closed += dealer.ended
                problem = f"did not answer within {self._timeout_ms} ms"
                if closed >= _CLOSED_AT_ONCE:
                    problem = "closes new connections: as many as it may have are open (see its log)"
                dealer.close()
            if self._is_over(until_ns):
                message = f"the daemon at {self._path} {problem}"
                raise DaemonUnreachableError(message)
            self._give_up.wait(_RETRY_SECONDS)  # another daemon may start

    def _is_up(self, dealer: Dealer, until_ns: int) -> bool:
        while not dealer.is_up:
            if dealer.ended or self._is_over(until_ns):
                return False
            dealer.wait(_SLICE_MS)
            dealer.flush()
        return True

    def _answer(self, number: int, until_ns: int, timeout_ms: int) -> tuple[int, Any]:
        """Return the status and the body of the answer to a request."""
        dealer = self._dealer
        while True:
            frame = dealer.receive()
            if frame is None:
                if dealer.ended:
                    raise self._ended()
                if self._is_over(until_ns):
                    message = f"the daemon at {self._path} did not answer within {timeout_ms} ms"
                    raise DaemonUnreachableError(message)
                dealer.wait(_SLICE_MS)
                dealer.flush()
                continue
            try:
                answered, status, body = protocol.unpack(frame)
            except (ValueError, TypeError) as error:
                raise self._unreadable(error) from error
            if answered == number:
                return status, body

    def _unreadable(self, reason: object) -> DaemonUnreachableError:
        return DaemonUnreachableError(f"the answer of the daemon at {self._path} cannot be read: {reason}")

    def _ended(self) -> DaemonUnreachableError:
        return DaemonUnreachableError(f"the daemon at {self._path} ended the connection before it answered")

    def _until_ns(self, timeout_ms: int) -> int:
        return time.monotonic_ns() + timeout_ms * 1_000_000

    def _is_over(self, until_ns: int) -> bool:
        return self._give_up.is_set() or time.monotonic_ns() >= until_ns
