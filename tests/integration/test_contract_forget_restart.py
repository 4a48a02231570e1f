"""Contract C25 where the daemon ends, hangs or comes back: `forget` holds, or says that it cannot be done."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from glidecache import DaemonUnavailableError
from support.cacheable import GET
from support.caches import new_cache
from support.clients import at
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.clients import AnyClient
    from support.connector import Connector
    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer


@pytest.mark.parametrize("ending", ["kill", "stop"])
def test_c25_it_holds_through_a_kill_right_after_the_answer(
    connect: Connector, own_daemon: Daemon, own_valkey: ValkeyServer, unique_name: str, ending: str
) -> None:
    """The next daemon takes the pool over from its file: the removal is in it before the answer."""
    cache = new_cache(name=unique_name)
    client, other = (connect(cache, **at(own_daemon, own_valkey)) for _ in range(2))
    keys = [f"key-{number}" for number in range(300)]
    own_valkey.admin.mset(dict.fromkeys(keys, "old"))
    for _ in range(3):
        client.call("get_many", keys)
        own_valkey.admin.mset(dict.fromkeys(keys[::3], "new"))
        assert client.call("forget", keys[::3]) == 100
        getattr(own_daemon, ending)()
        # Within the grace the pool is trusted: what was forgotten is no hit there either.
        assert other.metrics().entry_count == 200
        own_daemon.start()
        assert other.call("get_many", keys[::3]) == [b"new"] * 100
        assert other.metrics().entry_count == 300
        own_valkey.admin.mset(dict.fromkeys(keys[::3], "old"))
        assert client.call("forget", keys[::3]) == 100


def move_pools(daemon: Daemon, place: Path) -> None:
    """Configure another pool directory; it holds from the next start."""
    place.mkdir(mode=0o710, exist_ok=True)
    text = daemon.configuration.read_text()
    (line,) = re.findall(r"^pool_dir = .*$", text, re.MULTILINE)
    daemon.configuration.write_text(text.replace(line, f'pool_dir = "{place}"'))


@pytest.mark.parametrize("ending", ["kill", "stop"])
def test_c25_it_holds_through_a_restart_with_another_pool_dir(
    connect: Connector,
    start_daemon: Callable[..., Daemon],
    own_valkey: ValkeyServer,
    unique_name: str,
    tmp_path: Path,
    ending: str,
) -> None:
    """The next daemon ends the previous directory's pools before it serves: no grace has to pass, then or later."""
    daemon = start_daemon(daemon={"grace_ms": 60_000})
    # As under systemd: the runtime directory outlives each daemon.
    daemon.kill()
    daemon.start()
    cache = new_cache(name=unique_name)
    client, idle = (connect(cache, **at(daemon, own_valkey)) for _ in range(2))
    for version, place in ((1, tmp_path / "others"), (3, daemon.pool_dir)):
        GET.write(own_valkey, "k", version)
        assert client.get("k") == idle.get("k") == b"v%d" % version
        getattr(daemon, ending)()
        move_pools(daemon, place)
        daemon.start()
        GET.write(own_valkey, "k", version + 1)
        wait_until(lambda: forgets(client), "the client has found the next daemon")
        assert idle.get("k") == b"v%d" % (version + 1), place
        wait_until(lambda: forgets(idle), "the other one has found it")
    assert list((tmp_path / "others").iterdir()) == []
    assert daemon.log_text().count("removed the pools of the previous pool directory") == 2


def test_c25_not_yet_where_the_runtime_directory_ended_with_the_daemon_the_grace_has_to_pass(
    connect: Connector,
    start_daemon: Callable[..., Daemon],
    own_valkey: ValkeyServer,
    unique_name: str,
    tmp_path: Path,
) -> None:
    """A daemon that made its runtime directory removes it when it stops, and with it the record of its pools."""
    daemon = start_daemon(daemon={"grace_ms": 60_000})
    cache = new_cache(name=unique_name)
    client, idle = (connect(cache, **at(daemon, own_valkey)) for _ in range(2))
    GET.write(own_valkey, "k", 1)
    assert client.get("k") == idle.get("k") == b"v1"
    daemon.stop()
    assert not daemon.runtime_dir.exists()
    move_pools(daemon, tmp_path / "others")
    daemon.start()
    GET.write(own_valkey, "k", 2)
    wait_until(lambda: forgets(client), "the client has found the next daemon")
    assert client.get("k") == b"v2"
    assert idle.get("k") == b"v1", (
        "it holds: say so in docs/design/0024-forget.md and docs/contract-coverage.md"
    )


@pytest.mark.parametrize("fallback", ["direct", "error"])
def test_c25_without_a_daemon_it_raises_whatever_the_fallback_and_comes_back(
    connect: Connector, own_daemon: Daemon, own_valkey: ValkeyServer, unique_name: str, fallback: str
) -> None:
    cache = new_cache(name=unique_name)
    client = connect(cache, **at(own_daemon, own_valkey, fallback=fallback, request_timeout=300))
    GET.write(own_valkey, "k", 1)
    assert client.get("k") == b"v1"
    own_daemon.kill()
    for _ in range(2):
        with pytest.raises(DaemonUnavailableError):
            client.call("forget", ["k"])
    assert client.get("k") == b"v1", "hits go on in the grace"
    own_daemon.start()
    wait_until(lambda: forgets(client), "the client has found the next daemon")
    GET.write(own_valkey, "k", 2)
    assert client.get("k") == b"v2"


@pytest.mark.parametrize("fallback", ["direct", "error"])
def test_c25_a_daemon_that_hangs_is_unavailable(
    connect: Connector, own_daemon: Daemon, own_valkey: ValkeyServer, unique_name: str, fallback: str
) -> None:
    client = connect(
        new_cache(name=unique_name), **at(own_daemon, own_valkey, fallback=fallback, request_timeout=300)
    )
    own_daemon.pause()
    try:
        with pytest.raises(DaemonUnavailableError):
            client.call("forget", ["k"])
    finally:
        own_daemon.resume()


def forgets(client: AnyClient) -> bool:
    """Return whether a forget succeeds now."""
    try:
        client.call("forget", ["k"])
    except DaemonUnavailableError:
        return False
    return True


def test_c25_a_change_of_the_daemon_goes_unnoticed(
    connect: Connector, own_daemon: Daemon, own_valkey: ValkeyServer, unique_name: str
) -> None:
    client = connect(new_cache(name=unique_name), **at(own_daemon, own_valkey))
    GET.write(own_valkey, "k", 1)
    client.get("k")
    own_daemon.stop()
    own_daemon.start()
    assert client.call("forget", ["k"]) == 1
