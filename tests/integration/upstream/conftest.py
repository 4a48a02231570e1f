"""Fixtures of the tests of upstreams: servers that speak TLS, proxies that fail, daemons in front of them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from support.fault_proxy import FaultProxy, proxy_before
from support.tls_server import Authority, TlsServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.valkey_server import ValkeyServer

_TLS_USERS = ("user app on >secret ~app:* &* +@all",)


@pytest.fixture(scope="session")
def authority() -> Authority:
    """The authority that signs for servers."""
    return Authority()


@pytest.fixture(scope="session")
def strange_authority() -> Authority:
    """One that has signed for none of them."""
    return Authority()


@pytest.fixture
def start_tls(tmp_path: Path, authority: Authority) -> Iterator[Callable[..., TlsServer]]:
    """Start a TLS server of the test's own; the arguments are lines of its configuration."""
    with contextlib.ExitStack() as stack:
        numbers = iter(range(100))

        def start(*directives: str, **options: Any) -> TlsServer:
            server = TlsServer(tmp_path / f"tls-{next(numbers)}", *directives, authority=authority, **options)
            stack.callback(server.stop)
            server.start()
            return server

        yield start


@pytest.fixture(scope="session")
def tls_of_session(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[TlsServer]:
    server = TlsServer(tmp_path_factory.mktemp("tls"), *_TLS_USERS, authority=authority)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def tls_server(tls_of_session: TlsServer) -> TlsServer:
    """The common TLS server, empty. The user `app` has the password `secret`, and the keys `app:*`."""
    tls_of_session.reset()
    return tls_of_session


@pytest.fixture
def proxy(own_valkey: ValkeyServer) -> Iterator[FaultProxy]:
    """A proxy before `own_valkey`."""
    with proxy_before(own_valkey.port) as proxy:
        yield proxy
