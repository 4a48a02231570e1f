"""A daemon that has no room for a client says so: BUSY is no outage, no misuse, and no end (I9)."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest

from glidecache import ClosingError, ConfigurationError, ConnectionError, RequestError, TimeoutError
from support.raw_peer import RawPeer
from support.valkey_server import HOST
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer

MOST = 8
ALONE = 6
"""A process of an exempt user holds so many alone: it leaves a quarter to others."""
ANY_OTHER_MEANING = (ClosingError, ConfigurationError, ConnectionError, TimeoutError)
FALLBACKS = ("error", "direct")


@pytest.fixture
def daemon(server: ValkeyServer, start_daemon: Callable[..., Daemon]) -> Daemon:
    return start_daemon(
        daemon={"max_connections": MOST, "log_level": "info"},
        upstreams={"default": {"addresses": [f"{HOST}:{server.port}"]}},
    )


@pytest.fixture
def fill(daemon: Daemon) -> Iterator[Callable[[], list[RawPeer]]]:
    """Take all connections that this process may have."""
    made: list[RawPeer] = []

    def take() -> list[RawPeer]:
        while True:
            try:
                made.append(RawPeer(daemon.runtime_dir))
            except RuntimeError:
                return made

    yield take
    for peer in made:
        peer.close()


def assert_busy(error: BaseException) -> None:
    assert type(error) is RequestError
    assert not isinstance(error, ANY_OTHER_MEANING)
    assert "is busy" in str(error)
    assert "not running" not in str(error)


def is_served(client: Any) -> bool:
    try:
        client.call("get", "k")
    except RequestError as error:
        assert_busy(error)
        return False
    return True


@pytest.mark.parametrize("fallback", FALLBACKS)
def test_i9_a_client_that_finds_no_room_is_told_what_is_full_and_for_which_process(
    kind: str, fallback: str, connect: Callable[..., Any], daemon: Daemon, fill: Callable[[], list[RawPeer]]
) -> None:
    assert len(fill()) == ALONE
    with pytest.raises(
        RequestError, match=r"connections are full for process \d+ of uid \d+.*max_connections"
    ) as no:
        connect(kind, daemon=daemon, fallback=fallback)
    assert_busy(no.value)


@pytest.mark.parametrize("fallback", FALLBACKS)
def test_i9_a_client_that_comes_back_and_finds_no_room_is_told_so_and_served_later(
    kind: str,
    fallback: str,
    connect: Callable[..., Any],
    daemon: Daemon,
    fill: Callable[[], list[RawPeer]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = connect(kind, daemon=daemon, fallback=fallback)
    client.call("set", "k", "v")
    daemon.stop()
    daemon.start()
    peers = fill()
    for _ in range(2):
        with pytest.raises(RequestError, match="connections are full") as no:
            client.call("set", "k", "w")
        assert_busy(no.value)
    peers[0].close()
    wait_until(lambda: is_served(client), "there is room")
    assert client.call("get", "k") == b"v"
    assert "directly" not in caplog.text


def test_i9_connections_that_are_closed_without_a_word_are_no_outage(
    kind: str, connect: Callable[..., Any], daemon: Daemon, fill: Callable[[], list[RawPeer]]
) -> None:
    """The daemon closes a process's endless attempts without a word, and still answers another process."""
    fill()
    knocking = []
    for _ in range(40):
        peer = socket.socket(socket.AF_UNIX)
        peer.connect(f"{daemon.runtime_dir}/glidecached.sock")
        knocking.append(peer)
    with pytest.raises(RequestError) as no:
        connect(kind, daemon=daemon, request_timeout=300)
    assert_busy(no.value)
    for peer in knocking:
        peer.close()
