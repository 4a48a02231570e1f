"""A small HTTP server for few clients: one thread per connection, few connections, and a time limit for each."""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import os
import selectors
import socket
import socketserver
import sys
import threading
import time
from http import HTTPStatus
from typing import IO, TYPE_CHECKING, Any, cast
from wsgiref.handlers import SimpleHandler
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

if TYPE_CHECKING:
    from glidecached.metrics.application import Application

logger = logging.getLogger(__name__)

_MAX_CONNECTIONS = 16
_RESERVED = 4
"""More connections, only for `/healthz`: scrapers cannot block a probe. A new probe closes the oldest of them."""

_HEALTH = "/healthz"
_RESERVED_SECONDS = 1.0
_CONNECTION_SECONDS = 10.0
"""The time limit of one whole request, for slow clients, too."""

_SILENCE_SECONDS = 5.0
_LINGER_SECONDS = 1.0
_JOIN_SECONDS = 1.0
_MAX_LINE_BYTES = 8_192
_MAX_HEAD_BYTES = 16_384
"""The limit of all header lines together: sixteen connections must not use more memory than a few pages."""

_MAX_UNREAD_BYTES = 262_144
_SCARCE = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
_SCARCITY_SECONDS = 0.1
_TOO_MANY = b"HTTP/1.0 503 Service Unavailable\r\nContent-Type: text/plain\r\n\r\ntoo many connections\n"


class _Gateway(SimpleHandler):
    """A gateway that runs the application. Errors go to the log, not to standard error."""

    def log_exception(self, exc_info: Any) -> None:
        if isinstance(exc_info[1], OSError):
            logger.debug("http answer not written", extra={"reason": exc_info[1]})
        else:
            logger.error("http request failed", exc_info=exc_info)


class _Handler(WSGIRequestHandler):
    timeout = _SILENCE_SECONDS
    server_version = "glidecached"
    sys_version = ""
    default_request_version = "HTTP/1.0"  # otherwise an invalid request would be answered without a head
    error_content_type = "text/plain; charset=utf-8"
    error_message_format = "%(message)s: %(explain)s\n"

    def handle(self) -> None:
        """Handle one request; then the connection ends."""
        self.requestline = self.request_version = self.command = ""
        self.raw_requestline = self.rfile.readline(_MAX_LINE_BYTES + 1)
        if len(self.raw_requestline) > _MAX_LINE_BYTES:
            self.send_error(HTTPStatus.REQUEST_URI_TOO_LONG)
            return
        head = self._read_head()
        if head is None:
            self.send_error(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            return
        self.rfile.close()
        self.rfile = head
        if self.parse_request():
            if (
                cast("_Server", self.server).is_reserved(self.connection)
                and self.path.partition("?")[0] != _HEALTH
            ):
                self.wfile.write(_TOO_MANY)
                return
            stdin, stdout = cast("IO[bytes]", self.rfile), cast("IO[bytes]", self.wfile)
            gateway = _Gateway(stdin, stdout, self.get_stderr(), self.get_environ())
            gateway.run(cast("_Server", self.server).answering)

    def _read_head(self) -> io.BytesIO | None:
        """Return the header lines with the empty one that ends them; None where they are too many or too long."""
        head = io.BytesIO()
        while head.tell() <= _MAX_HEAD_BYTES:
            line = self.rfile.readline(_MAX_HEAD_BYTES + 1)
            head.write(line)
            if line in {b"\r\n", b"\n", b""}:
                head.seek(0)
                return head
        return None

    def log_message(self, format: str, *args: Any) -> None:
        logger.debug("http request", extra={"client": self.client_address[0], "text": format % args})


class _Server(WSGIServer):
    """A server with a limit of connections, which remembers when each has to be done."""

    request_queue_size = 64

    def __init__(self, host: str, port: int, application: Application) -> None:
        self.answering = application
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        self.address_family = family
        self._lock = threading.Lock()
        self._deadlines: dict[socket.socket, float] = {}
        self._reserved: dict[socket.socket, None] = {}
        super().__init__((str(address[0]), int(address[1])), _Handler)
        self.timeout = 0

    def server_bind(self) -> None:
        # Not HTTPServer's, which asks the name service for this host's name.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def get_request(self) -> Any:
        try:
            return super().get_request()
        except OSError as error:
            if error.errno in _SCARCE:
                # The pending connection stays in the kernel's queue, and would keep this thread busy.
                time.sleep(_SCARCITY_SECONDS)
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            now = time.monotonic()
            if len(self._deadlines) - len(self._reserved) < _MAX_CONNECTIONS:
                self._deadlines[request] = now + _CONNECTION_SECONDS
            else:
                for oldest in list(self._reserved)[: len(self._reserved) - _RESERVED + 1]:
                    del self._reserved[oldest]
                    with contextlib.suppress(OSError):
                        oldest.send(_TOO_MANY, socket.MSG_DONTWAIT)
                    with contextlib.suppress(OSError):
                        oldest.shutdown(socket.SHUT_RDWR)
                self._reserved[request] = None
                self._deadlines[request] = now + _RESERVED_SECONDS
        try:
            threading.Thread(
                target=self._serve, args=(request, client_address), name="glidecached-http", daemon=True
            ).start()
        except RuntimeError:  # no thread is available: the caller logs it, and closes the connection
            self._forget(request)
            raise

    def handle_error(self, request: Any, client_address: Any) -> None:
        del request
        error = sys.exception()
        if isinstance(error, OSError):
            logger.debug("http connection failed", extra={"client": client_address[0], "reason": error})
        else:
            logger.error("http request failed", extra={"client": client_address[0]}, exc_info=error)

    def is_reserved(self, request: Any) -> bool:
        """Return whether the connection is one of those reserved for health probes."""
        with self._lock:
            return request in self._reserved

    def cut_overdue(self) -> float | None:
        """End the connections whose time is over. Return the seconds until the next one's is, or None."""
        now = time.monotonic()
        with self._lock:
            for connection, deadline in self._deadlines.items():
                if deadline <= now:
                    if connection in self._reserved:
                        with contextlib.suppress(OSError):
                            connection.send(_TOO_MANY, socket.MSG_DONTWAIT)
                    with contextlib.suppress(OSError):
                        connection.shutdown(socket.SHUT_RDWR)
            later = [deadline for deadline in self._deadlines.values() if deadline > now]
        return min(later) - now if later else None

    def cut_all(self) -> None:
        """End all connections."""
        with self._lock:
            for connection in self._deadlines:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _serve(self, request: Any, client_address: Any) -> None:
        try:
            self.finish_request(request, client_address)
        except Exception:  # noqa: BLE001 - any error is logged, and the next request is answered
            self.handle_error(request, client_address)
        finally:
            _linger(request)
            self._forget(request)
            self.shutdown_request(request)

    def _forget(self, request: socket.socket) -> None:
        with self._lock:
            del self._deadlines[request]
            self._reserved.pop(request, None)


def _linger(connection: socket.socket) -> None:
    """Let the client read the whole answer: closing with unread input would reset the connection."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(_LINGER_SECONDS)
        room = _MAX_UNREAD_BYTES
        while room > 0 and (received := connection.recv(room)):
            room -= len(received)


class HttpServer:
    """A server of `application` at an address from construction until `close`, in threads of its own.

    Raises `OSError` if the address cannot be bound. `close` is idempotent and waits a second at most.
    """

    def __init__(self, host: str, port: int, application: Application) -> None:
        self._server = _Server(host, port, application)
        self._closed = False
        self._wake_reader, self._wake_writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._accept, name="glidecached-metrics", daemon=True)
        self._thread.start()

    def serve(self, application: Application) -> None:
        """Answer requests with another application from now on."""
        self._server.answering = application

    def close(self) -> None:
        """Stop listening, and cut open connections."""
        if self._closed:
            return
        self._closed = True
        os.write(self._wake_writer, b"\0")
        self._thread.join(_JOIN_SECONDS)
        self._server.cut_all()
        self._server.server_close()
        os.close(self._wake_writer)
        os.close(self._wake_reader)

    def _accept(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._server, selectors.EVENT_READ)
            selector.register(self._wake_reader, selectors.EVENT_READ)
            while not self._closed:
                for key, _ in selector.select(self._server.cut_overdue()):
                    if key.fileobj is self._server:
                        self._server.handle_request()
