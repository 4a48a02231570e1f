"""A process that leaves long answers unread: servers are not asked for more of them (I6, I8)."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from glidecache_shared import protocol
from support.abusers import MB, RawClient
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer

BUDGET_MB = 64
REPLY_MB = 4
GET_LONG = [b"GETRANGE", b"long", b"0", b"-1"]


@pytest.fixture(params=["standalone", "cluster"])
def mode(request: pytest.FixtureRequest) -> str:
    value: str = request.param
    return value


@pytest.fixture
def owner(mode: str, request: pytest.FixtureRequest) -> ValkeyServer:
    """Return the server, or the node, that has a long value."""
    if mode == "cluster":
        cluster = request.getfixturevalue("abused_cluster")
        cluster.reset()
        node: ValkeyServer = cluster.owner("long")
    else:
        node = request.getfixturevalue("server")
    node.admin.set("long", bytes(REPLY_MB * MB))
    return node


@pytest.fixture
def opened(
    start_daemon: Callable[..., Daemon], owner: ValkeyServer, mode: str
) -> Iterator[Callable[[], tuple[RawClient, int]]]:
    """Open connections of this process to a daemon with a small budget, each with a session."""
    daemon = start_daemon(daemon={"max_client_memory_mb": BUDGET_MB})
    with contextlib.ExitStack() as ends:

        def make() -> tuple[RawClient, int]:
            client = RawClient(daemon.runtime_dir, timeout_s=20)
            ends.callback(client.socket.close)
            return client, client.attach(owner.port, mode=mode)

        yield make


def test_i8_a_process_without_room_for_a_long_reply_is_refused_before_the_server_is_asked(
    opened: Callable[[], tuple[RawClient, int]], owner: ValkeyServer
) -> None:
    def times_asked() -> int:
        return int(owner.admin.info("commandstats").get("cmdstat_getrange", {"calls": 0})["calls"])

    hoarder, its_session = opened()
    asker, session = opened()
    hoarder.send(protocol.COMMAND, its_session, GET_LONG)
    wait_until(lambda: times_asked() == 1, "the server is asked")
    answer = asker.request(protocol.COMMAND, session, GET_LONG)
    assert len(answer) == REPLY_MB * MB
    for _ in range(2 * BUDGET_MB // REPLY_MB):
        hoarder.send(protocol.COMMAND, its_session, GET_LONG)

    def full() -> bool:
        return isinstance(asker.request(protocol.COMMAND, session, GET_LONG), list)

    wait_until(full, "the process has no room")
    asked = times_asked()
    code, text = asker.request(protocol.COMMAND, session, GET_LONG)
    assert code == protocol.ERROR_BUSY
    assert "buffers for clients are full for process" in text
    assert times_asked() == asked
    assert asker.request(protocol.COMMAND, session, [b"STRLEN", b"other"]) == 0
    # Once the other connection has gone, there is room.
    hoarder.socket.close()
    wait_until(lambda: not full(), "there is room again")
