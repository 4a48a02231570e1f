"""Daemons of other versions: which of them belong with this client, and what is said and done about the others."""

from __future__ import annotations

import logging
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from glidecache import (
    ClientSideCache,
    ConnectionError,
    DaemonUnavailableError,
    NodeAddress,
)
from glidecache_shared import __version__, protocol
from glidecache_shared.pool.reader import LAYOUT_VERSION
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.clients import AnyClient

    FakeDaemon = Any
    Connect = Callable[..., AnyClient]
    Hello = dict[str, Any]

OWN = protocol.PROTOCOL_VERSION
UPGRADE_CLIENT = "install glidecached 9.0.0 for this process, and restart it"
UPGRADE_DAEMON = f"upgrade the daemon to glidecached {__version__}, and restart it"
RECOVERY_SECONDS = 5.0


def cached() -> ClientSideCache:
    return ClientSideCache.create(64, 0, enable_metrics=True)


def be(daemon: FakeDaemon, *, refuses: bool = False, **about: Any) -> None:
    """Make it a daemon that says this of itself; one that `refuses` greets no client, in words of its own."""
    hello = {name: value for name, value in (daemon._hello() | about).items() if value is not None}
    daemon.answers[protocol.HELLO] = daemon.answers[protocol.PING] = lambda _body: hello
    reply = type(daemon)._reply

    def refuse(operation: int, *rest: Any) -> tuple[int, Any]:
        if operation == protocol.HELLO:
            return protocol.STATUS_ERROR, (protocol.ERROR_PROTOCOL, "words of another version")
        return reply(daemon, operation, *rest)  # type: ignore[no-any-return]

    daemon._reply = refuse if refuses else reply.__get__(daemon)


PROTOCOLS = [
    pytest.param({"protocol_version": OWN + 1, "refuses": True}, UPGRADE_CLIENT, id="newer daemon"),
    pytest.param({"protocol_version": OWN - 1, "refuses": True}, UPGRADE_DAEMON, id="older daemon"),
    pytest.param({"protocol_version": OWN + 1}, UPGRADE_CLIENT, id="newer daemon that greets"),
    pytest.param({"protocol_version": OWN - 1}, UPGRADE_DAEMON, id="older daemon that greets"),
]
LAYOUTS = [
    pytest.param({"layout_version": LAYOUT_VERSION + 1}, UPGRADE_CLIENT, id="newer layout"),
    pytest.param({"layout_version": LAYOUT_VERSION - 1}, UPGRADE_DAEMON, id="older layout"),
]


@pytest.mark.parametrize(("about", "advice"), PROTOCOLS)
def test_another_protocol_is_an_absent_daemon_with_both_versions_and_what_to_do(
    daemon: FakeDaemon, connect: Connect, about: Hello, advice: str, runtime_dir: Path
) -> None:
    be(daemon, daemon_version="9.0.0", **about)
    with pytest.raises(DaemonUnavailableError) as error:
        connect()
    theirs = about["protocol_version"]
    assert str(error.value) == (
        f"glidecached 9.0.0 at {runtime_dir} speaks protocol {theirs}, "
        f"this client ({__version__}) protocol {OWN}: {advice}"
    )
    assert daemon.operations(protocol.ATTACH) == []


@pytest.mark.parametrize(("about", "advice"), LAYOUTS)
def test_another_layout_is_one_for_clients_with_a_cache_alone(
    daemon: FakeDaemon, connect: Connect, about: Hello, advice: str, runtime_dir: Path
) -> None:
    be(daemon, daemon_version="9.0.0", **about)
    with pytest.raises(DaemonUnavailableError) as error:
        connect(client_side_cache=cached())
    theirs = about["layout_version"]
    assert str(error.value) == (
        f"glidecached 9.0.0 at {runtime_dir} keeps pools of layout {theirs}, "
        f"this client ({__version__}) reads layout {LAYOUT_VERSION}: {advice}"
    )
    assert daemon.operations(protocol.ATTACH) == []
    assert connect().call("echo", "x") == b"x"


def test_a_layout_that_only_the_pool_states_is_found_there_once(
    daemon: FakeDaemon, make_daemon: Callable[..., FakeDaemon], connect: Connect, make_pool: Any
) -> None:
    """As with daemons before 0.2: the client is not attached again with each call."""
    daemon.pool = make_pool(1)
    client = connect(client_side_cache=cached())
    daemon.stop()
    later = make_daemon(2)
    later.pool = make_pool(2)
    be(later, daemon_version="0.1.0", layout_version=None)
    with Path(later.pool.store.pool_path).open("r+b") as file:
        file.seek(8)
        file.write((LAYOUT_VERSION - 1).to_bytes(4, "little"))
    for _ in range(3):
        with pytest.raises(DaemonUnavailableError, match=f"keeps pools of layout {LAYOUT_VERSION - 1}, "):
            client.call("echo", "x")
    assert len(later.operations(protocol.ATTACH)) == 1


@pytest.mark.parametrize(("about", "advice"), [PROTOCOLS[0], LAYOUTS[1]])
def test_a_client_with_servers_goes_on_with_them_and_says_why_once(
    make_daemon: Callable[..., FakeDaemon],
    connect: Connect,
    caplog: pytest.LogCaptureFixture,
    about: Hello,
    advice: str,
) -> None:
    """A daemon that was upgraded below its workers: the absence is said first, and then what came back."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    first = make_daemon(1)
    client = connect(
        addresses=[NodeAddress("127.0.0.1", port)], lazy_connect=True, client_side_cache=cached()
    )
    assert client.call("echo", "x") == b"x"
    first.stop()

    def asks_the_servers() -> bool:
        with pytest.raises(ConnectionError) as error:
            client.call("echo", "x")
        return f"127.0.0.1:{port}" in str(error.value)

    assert asks_the_servers()
    second = make_daemon(2)
    be(second, daemon_version="9.0.0", **about)

    def warnings() -> list[str]:
        return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]

    wait_until(lambda: asks_the_servers() and len(warnings()) > 1, "the reason is logged", RECOVERY_SECONDS)
    greetings = len(second.operations(protocol.HELLO))
    wait_until(
        lambda: asks_the_servers() and len(second.operations(protocol.HELLO)) > greetings,
        "the daemon is asked again",
        RECOVERY_SECONDS,
    )
    absence, reason = warnings()
    assert "is not running" in absence
    assert f"{advice}; meanwhile commands go to the servers directly" in reason
    assert not [record for record in caplog.records if "answers again" in record.getMessage()]
    second.stop()
    make_daemon(3)
    wait_until(lambda: _answers(client), "the right daemon is used", RECOVERY_SECONDS)


def _answers(client: AnyClient) -> bool:
    try:
        return bool(client.call("echo", "x") == b"x")
    except ConnectionError:
        return False


def test_another_release_alone_is_a_line_for_those_who_debug(
    daemon: FakeDaemon, connect: Connect, caplog: pytest.LogCaptureFixture, runtime_dir: Path
) -> None:
    be(daemon, daemon_version="9.0.0", a_field_of_the_future=True)
    with caplog.at_level(logging.DEBUG, "glidecache"):
        assert connect().call("echo", "x") == b"x"
    (record,) = [record for record in caplog.records if record.name == "glidecache"]
    assert (record.levelno, record.getMessage()) == (
        logging.DEBUG,
        f"glidecached at {runtime_dir} is version 9.0.0, this client {__version__}",
    )


@pytest.mark.parametrize("missing", ["instance_id", "max_message_bytes"])
def test_a_greeting_that_lacks_what_is_needed_is_no_traceback(
    daemon: FakeDaemon, connect: Connect, missing: str
) -> None:
    be(daemon, **{missing: None})
    with pytest.raises(DaemonUnavailableError, match=f"greets in a way that .* does not know: .*{missing}"):
        connect()
