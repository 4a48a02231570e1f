"""An operator's connection to the daemon: requests and answers over the runtime directory's socket."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Self

from glidecache_shared import __version__, protocol
from glidecache_shared.refused_access import refused_connection
from glidecache_shared.runtime_dir import check_endpoint, endpoint, missing_socket, socket_path

if TYPE_CHECKING:
    from types import TracebackType

TIMEOUT_MS = 3_000
_SLICE_MS = 50
"""The longest time that a thread which sets `give_up` has to wait."""


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
    them a new link is needed, because the answer may still come.
    """

    def __init__(
        self, directory: str, *, timeout_ms: int = TIMEOUT_MS, give_up: threading.Event | None = None
    ) -> None:
        import zmq

        try:
            check_endpoint(directory)
        except FileNotFoundError as error:
            message = f"no daemon in {directory}: glidecached {missing_socket(directory)}"
            raise DaemonUnreachableError(message) from error
        except (OSError, ValueError) as error:
            message = f"cannot connect to the daemon in {directory}: {error}"
            raise DaemonUnreachableError(message) from error
        _knock(directory)
        self._endpoint = endpoint(directory)
        self._timeout_ms = timeout_ms
        self._numbers = itertools.count(1)
        self._give_up = give_up or threading.Event()
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._instance_id = 0
        try:
            self._socket.connect(self._endpoint)
            self.about = self.request(protocol.HELLO, protocol.PROTOCOL_VERSION, __version__)
        except BaseException:
            self.close()
            raise
        self._instance_id = self.about["instance_id"]

    def request(self, operation: int, *body: Any, timeout_ms: int | None = None) -> Any:
        """Send one request and return its answer, within the link's time or this one."""
        timeout_ms = timeout_ms or self._timeout_ms
        until_ns = time.monotonic_ns() + timeout_ms * 1_000_000
        number = next(self._numbers)
        self._socket.send(protocol.pack([operation, number, self._instance_id, until_ns, *body]))
        while not self._socket.poll(_SLICE_MS):
            if self._give_up.is_set() or time.monotonic_ns() >= until_ns:
                message = f"the daemon at {self._endpoint} did not answer within {timeout_ms} ms"
                raise DaemonUnreachableError(message)
        _, status, result = protocol.unpack(self._socket.recv())
        if status != protocol.STATUS_OK:
            raise RefusedError(*result)
        return result

    def close(self) -> None:
        """Close the connection to the daemon. Idempotent."""
        self._socket.close()
        self._context.term()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _knock(directory: str) -> None:
    """Find out at once whether a daemon listens: ZeroMQ retries without end and reports nothing."""
    path = socket_path(directory)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knocking:
            knocking.setblocking(False)
            knocking.connect(path)
    except (ConnectionRefusedError, FileNotFoundError) as error:
        message = f"no daemon in {directory}: no process listens on {path}"
        raise DaemonUnreachableError(message) from error
    except PermissionError as error:
        message = f"cannot connect to the daemon in {directory}: {refused_connection(path)}"
        raise DaemonUnreachableError(message) from error
    except BlockingIOError:
        pass  # many knock at once: ZeroMQ has the patience
    except OSError as error:
        message = f"cannot connect to the daemon in {directory}: {path}: {error.strerror or error}"
        raise DaemonUnreachableError(message) from error
