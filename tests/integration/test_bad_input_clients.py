"""Bad input to the library: each kind of it has an error that names what was wrong and what would be right."""

from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING, Any

import pytest

from glidecache import (
    Batch,
    ClientSideCache,
    ClosingError,
    ConfigurationError,
    DaemonUnavailableError,
    GlideError,
    NodeAddress,
    RequestError,
    ServerCredentials,
)
from support.caches import new_cache
from support.clients import at, open_client
from support.valkey_server import HOST, free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.connector import Connector
    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer


@pytest.mark.parametrize("max_cache_kb", [0, -1])
def test_cache_size_must_be_positive(max_cache_kb: int) -> None:
    with pytest.raises(ValueError, match="max_cache_kb"):
        ClientSideCache.create(max_cache_kb, 0)


def test_ttl_must_not_be_negative() -> None:
    with pytest.raises(ValueError) as raised:
        ClientSideCache.create(1024, -1)
    assert str(raised.value) == "entry_ttl_ms must be non-negative (0 = no expiration)"


def test_policy_must_be_known() -> None:
    with pytest.raises((ValueError, TypeError), match=r"LRU.*LFU"):
        ClientSideCache.create(1024, 0, "FIFO")  # type: ignore[arg-type]


def test_server_assisted_caching_is_refused(connect: Connector) -> None:
    cache = ClientSideCache.create(1024, 0, server_assisted=True)
    with pytest.raises(ConfigurationError, match="server_assisted"):
        connect(cache)


def test_no_daemon_at_the_endpoint(connect: Connector, tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(DaemonUnavailableError, match=str(tmp_path)):
        connect(runtime_dir=str(tmp_path), fallback="error", request_timeout=400)
    assert time.monotonic() - began < 2


def test_no_daemon_but_a_socket_that_nobody_reads(
    connect: Connector, start_daemon: Callable[..., Daemon]
) -> None:
    daemon = start_daemon()
    daemon.kill()
    assert (daemon.runtime_dir / "glidecached.sock").exists()
    began = time.monotonic()
    with pytest.raises(DaemonUnavailableError, match="glidecached"):
        connect(runtime_dir=str(daemon.runtime_dir), fallback="error", request_timeout=400)
    assert time.monotonic() - began < 2


@pytest.mark.filterwarnings("default")
def test_no_daemon_with_direct_fallback_warns_once(
    connect: Connector, tmp_path: Path, valkey: ValkeyServer, recwarn: pytest.WarningsRecorder
) -> None:
    valkey.admin.set("k", "v")
    address = NodeAddress(HOST, valkey.port)
    client = connect(new_cache(), runtime_dir=str(tmp_path), addresses=[address], request_timeout=400)
    assert client.get("k") == client.get("k") == b"v"
    assert valkey.calls("get") == 2
    told = [warning for warning in recwarn if "glidecached" in str(warning.message)]
    assert len(told) <= 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a socket of another owner")
@pytest.mark.parametrize("whose", ["the socket's", "the directory's"])
def test_endpoint_of_a_stranger_is_not_trusted(
    connect: Connector, start_daemon: Callable[..., Daemon], whose: str
) -> None:
    daemon = start_daemon()
    place = daemon.runtime_dir / "glidecached.sock" if whose == "the socket's" else daemon.runtime_dir
    os.chown(place, 54321, 54321)
    try:
        with pytest.raises(GlideError, match=r"cannot be trusted.* 54321"):
            connect(runtime_dir=str(daemon.runtime_dir), fallback="error", request_timeout=400)
    finally:
        os.chown(place, 0, 0)


def test_upstream_that_refuses_the_connection(connect: Connector, daemon: Daemon) -> None:
    nobody = NodeAddress(HOST, free_port())
    with pytest.raises(ClosingError, match=str(nobody.port)):
        connect(**at(daemon), addresses=[nobody])


def test_upstream_that_refuses_the_password(
    connect: Connector, daemon: Daemon, start_valkey: Callable[..., ValkeyServer]
) -> None:
    server = start_valkey("requirepass right")
    for credentials in (None, ServerCredentials("wrong")):
        with pytest.raises(ClosingError, match=r"WRONGPASS|NOAUTH"):
            connect(**at(daemon, server), credentials=credentials)
    assert connect(**at(daemon, server), credentials=ServerCredentials("right")).get("k") is None


def test_passwords_are_never_logged(
    connect: Connector, daemon: Daemon, start_valkey: Callable[..., ValkeyServer]
) -> None:
    server = start_valkey("requirepass correct-horse-battery")
    with pytest.raises(ClosingError) as raised:
        connect(**at(daemon, server), credentials=ServerCredentials("wrong-horse-battery"))
    connect(**at(daemon, server), credentials=ServerCredentials("correct-horse-battery"))
    assert "horse" not in daemon.log_text()
    assert "horse" not in str(raised.value)


def test_upstream_name_that_is_not_configured(connect: Connector) -> None:
    with pytest.raises(ConfigurationError, match="no-such-upstream"):
        connect(addresses=None, upstream="no-such-upstream")


def test_upstream_and_addresses_exclude_each_other(connect: Connector) -> None:
    with pytest.raises(ConfigurationError, match="addresses"):
        connect(upstream="default")


def test_direct_fallback_needs_addresses(connect: Connector) -> None:
    with pytest.raises(ConfigurationError, match="fallback"):
        connect(addresses=None, upstream="default", fallback="direct")


def test_wrong_type_is_the_servers_error(connect: Connector, valkey: ValkeyServer) -> None:
    valkey.admin.set("k", "v")
    client = connect(new_cache())
    for call in (("hgetall", "k"), ("lpush", "k", ["x"]), ("custom_command", ["SADD", "k", "x"])):
        with pytest.raises(RequestError, match="WRONGTYPE"):
            client.call(*call)


def of_other_databases(valkey: ValkeyServer) -> set[str]:
    """The connections that have selected another database than the first: earlier tests may have left some."""
    return {one["id"] for one in valkey.admin.client_list() if one["db"] != "0"}


@pytest.mark.parametrize(
    "command",
    [
        ["SELECT", "1"],
        ["AUTH", "password"],
        ["HELLO", "3"],
        ["SUBSCRIBE", "channel"],
        ["PSUBSCRIBE", "pattern*"],
        ["SSUBSCRIBE", "channel"],
        ["UNSUBSCRIBE"],
        ["MONITOR"],
        ["CLIENT", "TRACKING", "ON"],
        ["CLIENT", "REPLY", "OFF"],
        ["client", "reply", "skip"],
        ["MULTI"],
        ["EXEC"],
        ["WATCH", "k"],
        ["RESET"],
        ["QUIT"],
        ["SYNC"],
        ["PSYNC", "?", "-1"],
    ],
    ids=" ".join,
)
def test_commands_that_are_bound_to_a_connection_are_refused(
    connect: Connector, valkey: ValkeyServer, command: list[str]
) -> None:
    client = connect()
    before = of_other_databases(valkey)
    with pytest.raises(RequestError, match=f"(?i){command[0]}"):
        client.call("custom_command", command)
    assert client.call("set", "k", "v") == "OK"
    assert client.get("k") == b"v"
    assert of_other_databases(valkey) <= before


def test_connection_bound_commands_in_a_batch_are_refused_before_anything_is_sent(
    connect: Connector, valkey: ValkeyServer
) -> None:
    client = connect()
    for atomic in (True, False):
        batch = Batch(is_atomic=atomic)
        batch.set("k", "v")
        batch.custom_command(["SUBSCRIBE", "channel"])
        with pytest.raises(RequestError, match=r"(?i)subscribe"):
            client.call("exec", batch, raise_on_error=True)
    assert valkey.calls("set") == 0


NEITHER_BYTES_NOR_TEXT_NOR_NUMBER = [None, True, object(), ["k"], {"k": "v"}, 1j]


@pytest.mark.parametrize(
    "argument", NEITHER_BYTES_NOR_TEXT_NOR_NUMBER, ids=lambda value: type(value).__name__
)
@pytest.mark.parametrize("cached", [True, False], ids=["cached", "uncached"])
def test_arguments_of_other_types(connect: Connector, argument: Any, *, cached: bool) -> None:
    client = connect(new_cache() if cached else None)
    name = type(argument).__name__
    for call in (
        ("get", argument),
        ("hgetall", argument),
        ("smembers", argument),
        ("set", "k", argument),
        ("set", argument, "v"),
        ("get_many", ["k", argument]),
        ("custom_command", ["GET", argument]),
        ("custom_command", ["ECHO", argument]),
    ):
        with pytest.raises(TypeError, match=name):
            client.call(*call)


def test_use_after_close(connect: Connector, valkey: ValkeyServer) -> None:
    valkey.admin.set("k", "v")
    cache = new_cache()
    client, other = connect(cache), connect(cache)
    client.get("k")
    client.close()
    client.close()
    batch = Batch(is_atomic=False)
    batch.get("k")
    for call in (
        ("get", "k"),
        ("get", "other"),
        ("hgetall", "k"),
        ("smembers", "k"),
        ("set", "k", "w"),
        ("get_many", ["k"]),
        ("custom_command", ["PING"]),
        ("exec", batch, True),
        ("get_cache_entry_count",),
    ):
        with pytest.raises(ClosingError, match="closed"):
            client.call(*call)
    assert other.get("k") == b"v"


def test_unsupported_parameters_are_named(connect: Connector) -> None:
    with pytest.raises(ConfigurationError, match="request_timeout"):
        connect(request_timeout=-1)
    with pytest.raises((ConfigurationError, TypeError, ValueError), match="addresses"):
        connect(addresses="localhost:6379")


def test_messages_that_are_too_long_are_refused_by_the_stub(
    connect: Connector, start_daemon: Callable[..., Daemon], valkey: ValkeyServer
) -> None:
    daemon = start_daemon(daemon={"max_message_bytes": 100_000})
    client = connect(**at(daemon, valkey))
    with pytest.raises(RequestError, match="max_message_bytes"):
        client.call("set", "k", b"x" * 200_000)
    assert client.call("set", "k", b"x" * 50_000) == "OK"


def test_a_cluster_upstream_is_refused_by_the_standalone_class(
    connect: Connector, start_daemon: Callable[..., Daemon], valkey: ValkeyServer
) -> None:
    daemon = start_daemon(upstreams={"default": {"addresses": [f"{HOST}:{valkey.port}"]}})
    with pytest.raises(ConfigurationError, match=r"cluster|standalone"):
        open_client(connect.kind, cluster=True, runtime_dir=str(daemon.runtime_dir))


def test_a_runtime_directory_that_is_too_long_for_a_socket(connect: Connector, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    try:
        with pytest.raises((GlideError, ValueError), match=r"107|too long"):
            connect(runtime_dir=str(deep), fallback="error", request_timeout=400)
    finally:
        shutil.rmtree(deep)


def test_clients_own_servers_are_refused_where_the_configuration_says_so(
    connect: Connector, start_daemon: Callable[..., Daemon], valkey: ValkeyServer
) -> None:
    daemon = start_daemon(
        daemon={"allow_adhoc_upstreams": False},
        upstreams={"default": {"addresses": [f"{HOST}:{valkey.port}"]}},
    )
    with pytest.raises(GlideError, match="allow_adhoc_upstreams"):
        connect(**at(daemon, valkey), fallback="error")
    assert connect(**at(daemon)).get("k") is None
