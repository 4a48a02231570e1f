"""Asking over HTTP, as a scraper does."""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING, NamedTuple

from support.valkey_server import HOST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from support.daemon import Daemon

TIMEOUT_S = 20


class Page(NamedTuple):
    """One answer."""

    status: int
    headers: Mapping[str, str]
    text: str


def ask(port: int, path: str, method: str = "GET", **headers: str) -> Page:
    """One request to a listener on the loopback."""
    connection = http.client.HTTPConnection(HOST, port, timeout=TIMEOUT_S)
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return Page(response.status, dict(response.getheaders()), response.read().decode())
    finally:
        connection.close()


class SeenDaemon(NamedTuple):
    """A daemon and where it listens."""

    daemon: Daemon
    port: int

    def ask(self, path: str, method: str = "GET", **headers: str) -> Page:
        """One request."""
        return ask(self.port, path, method, **headers)
