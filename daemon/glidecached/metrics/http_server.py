"""A small HTTP server for an application that few ask: one thread a connection, few connections, each cut in time."""

from __future__ import annotations

import contextlib
import errno
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
_CONNECTION_SECONDS = 10.0
"""How long one request may take altogether, however slowly its client writes or reads."""

_SILENCE_SECONDS = 5.0
_JOIN_SECONDS = 1.0
_MAX_LINE_BYTES = 8_192
_NO_DESCRIPTOR_SECONDS = 0.1
_TOO_MANY = b"HTTP/1.0 503 Service Unavailable\r\nContent-Type: text/plain\r\n\r\ntoo many connections\n"


class _Gateway(SimpleHandler):
    """Runs the application; what goes wrong is the log's, not standard error's."""

    def log_exception(self, exc_info: Any) -> None:
        if isinstance(exc_info[1], OSError):
            logger.debug("an answer could not be written: %s", exc_info[1])
        else:
            logger.error("a request could not be answered", exc_info=exc_info)


class _Handler(WSGIRequestHandler):
    timeout = _SILENCE_SECONDS
    server_version = "glidecached"
    sys_version = ""

    def handle(self) -> None:
        """One request; then the connection ends."""
        self.requestline = self.request_version = self.command = ""
        self.raw_requestline = self.rfile.readline(_MAX_LINE_BYTES + 1)
        if len(self.raw_requestline) > _MAX_LINE_BYTES:
            self.send_error(HTTPStatus.REQUEST_URI_TOO_LONG)
        elif self.parse_request():
            stdin, stdout = cast("IO[bytes]", self.rfile), cast("IO[bytes]", self.wfile)
            gateway = _Gateway(stdin, stdout, self.get_stderr(), self.get_environ())
            gateway.run(cast("_Server", self.server).answering)

    def log_message(self, format: str, *args: Any) -> None:
        logger.debug("%s " + format, self.client_address[0], *args)  # noqa: G003 - wsgiref's own format


class _Server(WSGIServer):
    """Takes connections up to a bound; remembers when each has to be done."""

    request_queue_size = 64

    def __init__(self, host: str, port: int, application: Application) -> None:
        self.answering = application
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        self.address_family = family
        self._lock = threading.Lock()
        self._deadlines: dict[socket.socket, float] = {}
        super().__init__((str(address[0]), int(address[1])), _Handler)
        self.timeout = 0

    def server_bind(self) -> None:
        # Not HTTPServer's, which asks the name service what this host is called.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def get_request(self) -> Any:
        try:
            return super().get_request()
        except OSError as error:
            if error.errno in {errno.EMFILE, errno.ENFILE}:
                # Who knocks stays in the kernel's queue, and would keep this thread busy.
                time.sleep(_NO_DESCRIPTOR_SECONDS)
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            admitted = len(self._deadlines) < _MAX_CONNECTIONS
            if admitted:
                self._deadlines[request] = time.monotonic() + _CONNECTION_SECONDS
        if not admitted:
            request.setblocking(False)
            with contextlib.suppress(OSError):
                request.send(_TOO_MANY)
            self.shutdown_request(request)
            return
        threading.Thread(
            target=self._serve, args=(request, client_address), name="glidecached-http", daemon=True
        ).start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        del request
        error = sys.exception()
        if isinstance(error, OSError):
            logger.debug("%s: %s", client_address[0], error)
        else:
            logger.error("a request of %s could not be answered", client_address[0], exc_info=error)

    def cut_overdue(self) -> float | None:
        """End the connections whose time is over; in how many seconds the next one's is."""
        now = time.monotonic()
        with self._lock:
            for connection, deadline in self._deadlines.items():
                if deadline <= now:
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
        except Exception:  # noqa: BLE001 - whatever it was, it is told and the next request is answered
            self.handle_error(request, client_address)
        finally:
            with self._lock:
                del self._deadlines[request]
            self.shutdown_request(request)


class HttpServer:
    """Serves `application` at an address from construction until `close`, in threads of its own.

    Raises `OSError` where the address cannot be had. `close` is idempotent and waits a second at most.
    """

    def __init__(self, host: str, port: int, application: Application) -> None:
        self._server = _Server(host, port, application)
        self._closed = False
        self._wake_reader, self._wake_writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._accept, name="glidecached-metrics", daemon=True)
        self._thread.start()

    def serve(self, application: Application) -> None:
        """Have requests answered by another application from now on."""
        self._server.answering = application

    def close(self) -> None:
        """Stop listening and cut what is open."""
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
