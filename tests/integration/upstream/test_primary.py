"""One address that means "the primary": it is followed to another server, and a replica fills no cache (I14)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from glidecache import NodeAddress, RequestError
from support.caches import new_cache
from support.fault_proxy import proxy_before
from support.valkey_server import HOST
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.clients import AnyClient
    from support.connector import Connector
    from support.daemon import Daemon
    from support.fault_proxy import FaultProxy
    from support.valkey_server import ValkeyServer

BACK_SECONDS = 1.0
"""The time that I14 allows, from the moment when the name leads to the new primary."""


class Name:
    """A name that leads to one of two servers; the second begins as the first one's replica."""

    def __init__(self, first: ValkeyServer, second: ValkeyServer, proxy: FaultProxy) -> None:
        self.first, self.second, self.proxy = first, second, proxy
        second.admin.replicaof(HOST, first.port)
        wait_until(lambda: second.admin.info("replication")["master_link_status"] == "up", "it is a replica")

    def fail_over(self) -> None:
        """Make the second server the primary, and the first one its cut-off replica, with clients still connected."""
        self.second.admin.replicaof("NO", "ONE")
        self.first.admin.replicaof(HOST, 1)

    def lead_to_second(self) -> None:
        self.proxy.server_port = self.second.port


@pytest.fixture
def name(start_valkey: Callable[..., ValkeyServer]) -> Iterator[Name]:
    first, second = (start_valkey("repl-diskless-sync-delay 0") for _ in range(2))
    with proxy_before(first.port) as proxy:
        yield Name(first, second, proxy)


@pytest.fixture
def client(connect: Connector, daemon: Daemon, name: Name) -> AnyClient:
    return connect(
        new_cache(entry_ttl_ms=50),
        runtime_dir=str(daemon.runtime_dir),
        addresses=[NodeAddress(HOST, name.proxy.port)],
        fallback="error",
        request_timeout=2_000,
    )


def seconds_until_written(client: AnyClient) -> float:
    """Return the seconds until a write succeeds."""

    def written() -> bool:
        try:
            client.call("set", "written", "1")
        except RequestError:
            return False
        return True

    begun = time.monotonic()
    wait_until(written, "a write succeeds")
    return time.monotonic() - begun


@pytest.mark.parametrize("how", ["writes meet READONLY", "reads alone", "connections cut", "server ended"])
def test_i14_a_name_is_followed_to_the_new_primary(client: AnyClient, name: Name, how: str) -> None:
    client.call("set", "price", "10")
    wait_until(lambda: name.second.admin.get("price") == b"10", "the replica has it")
    assert client.get("price") == b"10"
    name.fail_over()
    name.second.admin.set("price", "12")
    if how == "writes meet READONLY":
        with pytest.raises(RequestError, match="READONLY"):
            client.call("set", "x", "1")
    elif how == "connections cut":
        name.proxy.cut()
    elif how == "server ended":
        name.first.kill()
        name.proxy.cut()
    name.lead_to_second()
    if how == "reads alone":
        begun = time.monotonic()
        wait_until(lambda: client.get("price") == b"12", "reads are the new primary's")
        assert time.monotonic() - begun < BACK_SECONDS + 0.5
    assert seconds_until_written(client) < BACK_SECONDS
    assert client.get("price") in {b"10", b"12"}
    wait_until(lambda: client.get("price") == b"12", "the cache is filled by the new primary")
    assert name.second.admin.get("written") == b"1"


def test_i14_a_demoted_primary_fills_no_cache(client: AnyClient, name: Name) -> None:
    client.call("set", "k", "of the primary")
    name.fail_over()
    with pytest.raises(RequestError, match="READONLY"):
        client.call("set", "x", "1")
    entries = client.metrics().entry_count
    for _ in range(5):
        assert client.get("k") == b"of the primary", "reads go on"
    assert client.metrics().entry_count == entries


@pytest.mark.parametrize("allowed", [False, True])
def test_i14_a_replica_that_is_configured_fills_caches_only_where_that_is_allowed(
    connect: Connector, start_daemon: Callable[..., Daemon], name: Name, allowed: bool
) -> None:
    name.first.admin.set("k", "v")
    wait_until(lambda: name.second.admin.get("k") == b"v", "the replica has it")
    upstream: dict[str, Any] = {"addresses": [f"{HOST}:{name.second.port}"]}
    if allowed:
        upstream["allow_replica"] = True
    daemon = start_daemon(upstreams={"default": upstream})
    client = connect(new_cache(), runtime_dir=str(daemon.runtime_dir), addresses=None, upstream="default")
    for _ in range(3):
        assert client.get("k") == b"v"
    assert client.metrics().entry_count == int(allowed)
    warnings = daemon.log_text().count("fills no cache")
    assert warnings == int(not allowed)
