"""Contract C18–C20: whose pool it is, who shares it, and when it ends."""

from __future__ import annotations

import copy
import os
import pickle
import signal
from typing import TYPE_CHECKING

import pytest

from glidecache import (
    ClientSideCache,
    ClosingError,
    ConfigurationError,
    EvictionPolicy,
    GlideError,
    ServerCredentials,
)
from glidecache_shared import protocol
from support import worker_tasks
from support.cacheable import GET
from support.caches import is_cached, new_cache
from support.clients import at
from support.valkey_server import HOST
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.connector import Connector
    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer
    from support.wire import WireClient


def test_c18_the_identity_is_what_is_reached_not_how_it_was_named(
    connect: Connector, cache: ClientSideCache, valkey: ValkeyServer
) -> None:
    GET.write(valkey, "k", 1)
    connect(cache).get("k")
    assert is_cached(connect(cache, addresses=None, upstream="default"), valkey, "k")
    assert is_cached(connect(cache, addresses=None), valkey, "k")


def test_c18_options_of_one_client_are_no_part_of_the_identity(
    connect: Connector, cache: ClientSideCache, valkey: ValkeyServer
) -> None:
    GET.write(valkey, "k", 1)
    connect(cache).get("k")
    assert is_cached(connect(cache, request_timeout=777, client_name="another"), valkey, "k")


def test_c18_addresses_are_compared_as_a_set(
    connect: Connector,
    cache: ClientSideCache,
    start_valkey: Callable[..., ValkeyServer],
    start_daemon: Callable[..., Daemon],
) -> None:
    primary = start_valkey()
    replica = start_valkey(f"replicaof {HOST} {primary.port}")
    wait_until(lambda: replica.admin.info("replication")["master_link_status"] == "up", "replication")
    daemon = start_daemon()
    GET.write(primary, "k", 1)
    connect(cache, **at(daemon, primary, replica)).get("k")
    assert is_cached(connect(cache, **at(daemon, replica, primary)), primary, "k")


def test_c18_one_cache_object_with_another_database_is_refused(
    connect: Connector, cache: ClientSideCache
) -> None:
    connect(cache, database_id=0)
    with pytest.raises(ConfigurationError, match="database"):
        connect(cache, database_id=1)


def test_c18_one_cache_object_with_another_server_is_refused(
    connect: Connector, cache: ClientSideCache, daemon: Daemon, own_valkey: ValkeyServer
) -> None:
    connect(cache)
    with pytest.raises(ConfigurationError, match="address"):
        connect(cache, **at(daemon, own_valkey))


def test_c18_one_cache_object_with_another_user_is_refused(
    connect: Connector, cache: ClientSideCache, valkey: ValkeyServer
) -> None:
    valkey.admin.execute_command("ACL", "SETUSER", "guest", "on", "nopass", "~*", "&*", "+@all")
    try:
        connect(cache)
        with pytest.raises(ConfigurationError, match="user"):
            connect(cache, credentials=ServerCredentials(password="any", username="guest"))
    finally:
        valkey.admin.execute_command("ACL", "DELUSER", "guest")


def test_c18_two_databases_never_see_each_others_values(connect: Connector) -> None:
    zero = connect(new_cache(), database_id=0)
    one = connect(new_cache(), database_id=1)
    zero.call("set", "k", "zero")
    one.call("set", "k", "one")
    for _ in range(2):
        assert zero.get("k") == b"zero"
        assert one.get("k") == b"one"


def test_c18_a_name_belongs_to_one_identity(connect: Connector, unique_name: str) -> None:
    connect(new_cache(name=unique_name), database_id=0)
    with pytest.raises(ConfigurationError, match="database"):
        connect(new_cache(name=unique_name), database_id=1)


@pytest.mark.parametrize("lazy", [False, True], ids=["checked at once", "lazy"])
def test_c18_only_valid_credentials_open_a_pool(
    connect: Connector,
    cache: ClientSideCache,
    start_valkey: Callable[..., ValkeyServer],
    start_daemon: Callable[..., Daemon],
    *,
    lazy: bool,
) -> None:
    server = start_valkey("requirepass right")
    daemon = start_daemon()
    GET.write(server, "k", 1)
    insider = connect(cache, **at(daemon, server), credentials=ServerCredentials("right"))
    assert insider.get("k") == b"v1"

    def intrude() -> object:
        wrong = ServerCredentials("wrong")
        return connect(cache, **at(daemon, server), credentials=wrong, lazy_connect=lazy).get("k")

    with pytest.raises(GlideError) if lazy else pytest.raises(ClosingError):
        intrude()


def test_c19_one_object_is_one_pool(connect: Connector, cache: ClientSideCache, valkey: ValkeyServer) -> None:
    GET.write(valkey, "k", 1)
    first, second = connect(cache), connect(cache)
    first.get("k")
    assert is_cached(second, valkey, "k")
    assert first.metrics() == second.metrics()


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda cache: pickle.loads(pickle.dumps(cache))]
)
def test_c19_a_copied_or_pickled_object_is_the_same_pool(
    connect: Connector,
    cache: ClientSideCache,
    valkey: ValkeyServer,
    duplicate: Callable[..., ClientSideCache],
) -> None:
    GET.write(valkey, "k", 1)
    connect(cache).get("k")
    assert is_cached(connect(duplicate(cache)), valkey, "k")


def test_c19_worker_processes_share_it(
    connect: Connector, cache: ClientSideCache, valkey: ValkeyServer
) -> None:
    GET.write(valkey, "k", 1)
    workers = [connect.worker(cache) for _ in range(3)]
    assert [worker.call("get", "k") for worker in workers] == [b"v1"] * 3
    assert valkey.calls("get") == 1


def test_c19_both_kinds_of_client_share_it(
    connect: Connector, cache: ClientSideCache, valkey: ValkeyServer
) -> None:
    GET.write(valkey, "k", 1)
    connect(cache, kind="blocking").get("k")
    assert is_cached(connect(cache, kind="asyncio"), valkey, "k")


def test_c19_a_client_made_before_a_fork_works_after_it(
    connect: Connector, cache: ClientSideCache, valkey: ValkeyServer
) -> None:
    GET.write(valkey, "k", 1)
    GET.write(valkey, "l", 2)
    worker = connect.worker(cache)
    worker.call("get", "k")
    before = valkey.calls("get")
    assert worker.run(worker_tasks.call_in_fork, "get", ["k"]) == b"v1"
    assert valkey.calls("get") == before, "a hit at once, in the child too"
    assert worker.run(worker_tasks.call_in_fork, "get", ["l"]) == b"v2"
    assert worker.call("get", "l") == b"v2"
    assert valkey.calls("get") == before + 1, "what the child missed, the parent finds"
    assert worker.run(worker_tasks.call_in_fork, "set", ["m", "of the child"]) == "OK"
    assert worker.call("get", "m") == b"of the child"


def test_c19_separately_created_unnamed_objects_never_share(connect: Connector, valkey: ValkeyServer) -> None:
    GET.write(valkey, "k", 1)
    first, second = connect(new_cache()), connect(new_cache())
    first.get("k")
    assert second.metrics().entry_count == 0
    assert not is_cached(second, valkey, "k")


def test_c19_a_name_is_shared_among_all_processes(
    connect: Connector, valkey: ValkeyServer, unique_name: str
) -> None:
    GET.write(valkey, "k", 1)
    connect(new_cache(name=unique_name)).get("k")
    worker = connect.worker(new_cache(name=unique_name))
    assert worker.call("get", "k") == b"v1"
    assert valkey.calls("get") == 1
    assert worker.metrics().total_lookups == 2


def test_c19_other_settings_for_a_name_in_use_are_refused(connect: Connector, unique_name: str) -> None:
    connect(new_cache(64, 1_000, EvictionPolicy.LRU, name=unique_name))
    with pytest.raises(ConfigurationError) as raised:
        connect(new_cache(128, 1_000, EvictionPolicy.LFU, name=unique_name))
    message = str(raised.value)
    assert "max_cache_kb" in message
    assert "eviction_policy" in message
    assert "entry_ttl_ms" not in message
    assert unique_name in message


def test_c19_a_name_that_nobody_holds_takes_new_settings(
    connect: Connector, valkey: ValkeyServer, unique_name: str
) -> None:
    GET.write(valkey, "k", 1)
    old = connect(new_cache(entry_ttl_ms=0, name=unique_name))
    old.get("k")
    old.close()
    renewed = new_cache(entry_ttl_ms=60_000, name=unique_name)
    client = connect(renewed)
    assert not is_cached(client, valkey, "k")
    assert client.metrics().total_lookups == 1


def test_c19_named_attaches_to_a_pool_of_the_configuration(connect: Connector, valkey: ValkeyServer) -> None:
    GET.write(valkey, "k", 1)
    configured = ClientSideCache.named("configured")
    first = connect(configured, addresses=None)
    first.get("k")
    worker = connect.worker(ClientSideCache.named("configured"), addresses=None)
    reached = valkey.calls("get")
    assert worker.call("get", "k") == b"v1"
    assert valkey.calls("get") == reached


def test_c19_configured_names_refuse_settings_of_clients(connect: Connector) -> None:
    with pytest.raises(ConfigurationError, match="configured"):
        connect(new_cache(64, name="configured"))


def test_c19_unknown_names_are_refused(connect: Connector) -> None:
    with pytest.raises(ConfigurationError, match="no-such-cache"):
        connect(ClientSideCache.named("no-such-cache"), addresses=None)


def test_c19_all_bounds_together_stay_below_the_limit(
    connect: Connector, start_daemon: Callable[..., Daemon], valkey: ValkeyServer
) -> None:
    daemon = start_daemon(daemon={"max_total_cache_kb": 1_000})
    first = connect(new_cache(600), **at(daemon, valkey))
    with pytest.raises(ConfigurationError, match="max_total_cache_kb"):
        connect(new_cache(600), **at(daemon, valkey))
    first.close()
    # The first pool's end is noticed by looking for holders, in the daemon's own time.
    wait_until(lambda: not daemon.pool_files(), "the first pool has ended")
    connect(new_cache(600), **at(daemon, valkey))


def pools(daemon: Daemon) -> int:
    """How many pools have files."""
    return sum(name.endswith(".pool") for name in daemon.pool_files())


def test_c20_an_unnamed_pool_ends_with_its_last_client(
    connect: Connector, cache: ClientSideCache, start_daemon: Callable[..., Daemon], valkey: ValkeyServer
) -> None:
    daemon = start_daemon()
    first, second = connect(cache, **at(daemon, valkey)), connect(cache, **at(daemon, valkey))
    first.call("set", "k", "v")
    first.get("k")
    first.close()
    assert is_cached(second, valkey, "k")
    assert pools(daemon) == 1
    second.close()
    wait_until(lambda: not daemon.pool_files(), "pool, board and lease are gone")


def test_c20_killed_holders_hold_no_longer(
    connect: Connector, cache: ClientSideCache, start_daemon: Callable[..., Daemon], valkey: ValkeyServer
) -> None:
    daemon = start_daemon()
    workers = [connect.worker(cache, **at(daemon, valkey)) for _ in range(2)]
    workers[0].kill()
    assert workers[1].call("get", "nothing") is None
    assert pools(daemon) == 1
    workers[1].kill()
    wait_until(lambda: not daemon.pool_files(), "pool, board and lease are gone")


def test_c20_a_process_that_ends_without_closing_holds_no_longer(
    connect: Connector, cache: ClientSideCache, start_daemon: Callable[..., Daemon], valkey: ValkeyServer
) -> None:
    daemon = start_daemon()
    worker = connect.worker(cache, **at(daemon, valkey))
    worker.call("get", "nothing")
    assert worker.finish() == 0
    assert worker.log_text() == "", "a client that was not closed ends in silence"
    wait_until(lambda: not daemon.pool_files(), "pool, board and lease are gone")


def test_c20_a_forked_child_is_a_holder(
    connect: Connector, cache: ClientSideCache, start_daemon: Callable[..., Daemon], valkey: ValkeyServer
) -> None:
    daemon = start_daemon()
    worker = connect.worker(cache, **at(daemon, valkey))
    child = worker.run(worker_tasks.fork_and_stay)
    try:
        worker.kill()
        # A second pool's end shows that the daemon has looked for holders since the parent's death.
        connect(new_cache(), **at(daemon, valkey)).close()
        wait_until(lambda: pools(daemon) == 1, "the other pool has ended")
        assert pools(daemon) == 1
    finally:
        os.kill(child, signal.SIGKILL)
    wait_until(lambda: not daemon.pool_files(), "pool, board and lease are gone")


def test_c20_a_named_pool_lives_until_it_is_dropped(
    connect: Connector, valkey: ValkeyServer, wire: WireClient, daemon: Daemon, unique_name: str
) -> None:
    GET.write(valkey, "k", 1)
    client = connect(new_cache(name=unique_name))
    client.get("k")
    client.close()
    again = connect(new_cache(name=unique_name))
    assert is_cached(again, valkey, "k")
    before = pools(daemon)
    wire.hello()
    wire.request(protocol.DROP, unique_name)
    wait_until(lambda: pools(daemon) < before, "the dropped pool's files are gone")
    assert not is_cached(again, valkey, "k"), "a dropped pool serves no more hits"
