"""`watch` and `unwatch`: a transaction runs if nothing has changed, and never without the watch that it relies on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from glidecache import Batch, ClosingError, ClusterBatch, ExecAbortError, NodeAddress, RequestError
from glidecache import ConnectionError as GlideConnectionError
from glidecache_shared import protocol
from glidecache_shared.protocol import STRING
from support import worker_tasks
from support.caches import new_cache
from support.clients import at
from support.valkey_server import HOST
from support.waiting import wait_until
from support.wire import ReplyRefused, WireClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.clients import AnyClient
    from support.cluster import Cluster
    from support.connector import Connector
    from support.daemon import Daemon
    from support.fault_proxy import FaultProxy
    from support.valkey_server import ValkeyServer


def transaction(*commands: list[str]) -> Batch:
    """An atomic batch of these commands."""
    batch = Batch(is_atomic=True)
    for command in commands:
        batch.custom_command(command)  # type: ignore[arg-type]
    return batch


SET = (["SET", "k", "by transaction"],)


def execute(client: AnyClient, *commands: list[str]) -> Any:
    """Run a transaction; its replies, or None."""
    return client.call("exec", transaction(*(commands or SET)), raise_on_error=True)


def watching(server: ValkeyServer) -> int:
    """How many connections watch keys, by the server's own count."""
    return sum(int(connection["watch"]) > 0 for connection in server.admin.client_list())


def test_a_transaction_runs_if_nothing_has_changed(connect: Connector, valkey: ValkeyServer) -> None:
    client = connect(new_cache())
    for _ in range(2):
        assert client.call("watch", ["k", "other"]) == "OK"
        assert watching(valkey) == 1
        assert execute(client, ["SET", "k", "v"], ["GET", "k"])[1] == b"v"
        assert watching(valkey) == 0


@pytest.mark.parametrize("who", ["another", "the client itself"])
def test_a_transaction_does_not_run_if_a_watched_key_has_changed(
    connect: Connector, valkey: ValkeyServer, who: str
) -> None:
    client = connect()
    client.call("watch", ["k"])
    client.call("watch", ["other"])
    if who == "another":
        valkey.admin.set("other", "changed")
    else:
        client.call("set", "k", "changed")
    assert execute(client) is None
    assert valkey.admin.get("k") != b"by transaction"
    # The watch is spent: what follows is as any transaction.
    assert execute(client) == ["OK"] or execute(client) == [b"OK"]


def test_unwatch_and_the_batches_between_leave_the_next_transaction_free(
    connect: Connector, valkey: ValkeyServer
) -> None:
    client = connect()
    assert client.call("unwatch") == "OK"
    client.call("watch", ["k"])
    pipeline = Batch(is_atomic=False)
    pipeline.set("k", "changed")
    client.call("exec", pipeline, raise_on_error=True)
    assert execute(client) is None, "a pipeline is no transaction: the watch stands"
    client.call("watch", ["k"])
    assert watching(valkey) == 1
    assert client.call("unwatch") == "OK"
    assert watching(valkey) == 0
    valkey.admin.set("k", "changed")
    assert execute(client) is not None


def test_a_watch_belongs_to_its_thread(connect: Connector, valkey: ValkeyServer) -> None:
    client = connect(kind="blocking")
    client.call("watch", ["k"])
    with ThreadPoolExecutor(1) as thread:
        assert watching(valkey) == 1
        assert thread.submit(execute, client).result() is not None
    assert execute(client) is None


def test_many_who_count_by_watching_lose_nothing(connect: Connector, valkey: ValkeyServer) -> None:
    def count(client: AnyClient) -> None:
        for _ in range(10):
            while True:
                client.call("watch", ["n"])
                before = client.call("custom_command", ["GETRANGE", "n", "0", "-1"])
                if execute(client, ["SET", "n", str(int(before or 0) + 1)]) is not None:
                    break

    clients = [connect(new_cache()) for _ in range(4)]
    with ThreadPoolExecutor(len(clients)) as threads:
        for future in [threads.submit(count, client) for client in clients]:
            future.result(30)
    assert int(valkey.admin.get("n")) == 40


def test_a_wrong_transaction_spends_the_watch(connect: Connector, valkey: ValkeyServer) -> None:
    client = connect()
    client.call("watch", ["k"])
    with pytest.raises(ExecAbortError):
        execute(client, ["NOSUCHCOMMAND"])
    wait_until(lambda: watching(valkey) == 0, "nothing is watched")
    client.call("watch", ["k"])
    with pytest.raises(RequestError, match="SELECT is bound to one connection"):
        execute(client, ["SELECT", "1"])
    wait_until(lambda: watching(valkey) == 0, "nothing is watched")
    assert execute(client) is not None


def test_watch_by_other_names_is_refused_with_the_right_one(connect: Connector) -> None:
    client = connect()
    for command, right in ((["WATCH", "k"], r"watch\(keys\)"), (["UNWATCH"], r"unwatch\(\)")):
        with pytest.raises(RequestError, match=right):
            client.call("custom_command", command)
        with pytest.raises(RequestError, match=rf"{right}.*nothing of the batch was run"):
            execute(client, command)
    with pytest.raises(RequestError, match="at least one key"):
        client.call("watch", [])
    with pytest.raises(TypeError):
        client.call("watch", [None])


def test_a_watch_that_the_server_refuses_is_none(
    connect: Connector, daemon: Daemon, start_valkey: Callable[..., ValkeyServer]
) -> None:
    server = start_valkey("user default on nopass ~* &* +@all -watch")
    client = connect(**at(daemon, server))
    with pytest.raises(RequestError, match="NOPERM"):
        client.call("watch", ["k"])
    assert execute(client) is not None
    wait_until(lambda: daemon_blocking(daemon, server) == 0, "its connection has ended")


def daemon_blocking(daemon: Daemon, server: ValkeyServer) -> int:
    """How many connections of its own the daemon has at the server, besides the shared one."""
    for upstream in daemon.stats()["upstreams"]:
        if upstream["addresses"] == [f"{HOST}:{server.port}"]:
            return int(upstream["blocking_connections"])
    return 0


def test_close_and_death_of_the_client_end_its_watches(
    connect: Connector, daemon: Daemon, own_valkey: ValkeyServer
) -> None:
    client = connect(**at(daemon, own_valkey))
    client.call("watch", ["k"])
    assert watching(own_valkey) == 1
    client.close()
    with pytest.raises(ClosingError):
        client.call("watch", ["k"])
    wait_until(lambda: watching(own_valkey) == 0, "the closed client watches nothing")
    worker = connect.worker(**at(daemon, own_valkey))
    worker.run(worker_tasks.call, "watch", [["k"]])
    assert watching(own_valkey) == 1
    worker.kill()
    wait_until(lambda: watching(own_valkey) == 0, "the dead client watches nothing")


def test_a_lost_watch_is_told_and_nothing_is_run(
    connect: Connector, daemon: Daemon, own_valkey: ValkeyServer, proxy: FaultProxy
) -> None:
    client = connect(runtime_dir=str(daemon.runtime_dir), addresses=[NodeAddress(HOST, proxy.port)])
    client.call("watch", ["k"])
    proxy.cut()
    wait_until(lambda: watching(own_valkey) == 0, "the server has noticed")
    with pytest.raises(GlideConnectionError, match="not watched any more"):
        execute(client)
    assert not own_valkey.admin.exists("k")
    client.call("watch", ["k"])
    proxy.cut()
    wait_until(lambda: watching(own_valkey) == 0, "the server has noticed")
    with pytest.raises(GlideConnectionError, match="not watched any more"):
        client.call("watch", ["other"])
    assert execute(client) is not None


def test_without_the_daemon_that_watched_nothing_is_run(
    connect: Connector, own_daemon: Daemon, own_valkey: ValkeyServer
) -> None:
    direct = connect(**at(own_daemon, own_valkey), request_timeout=400)
    through = connect(**at(own_daemon, own_valkey), fallback="error")
    direct.call("watch", ["k"])
    through.call("watch", ["k"])
    own_daemon.kill()
    with pytest.raises(GlideConnectionError, match="watch again"):
        execute(direct)
    with pytest.raises(GlideConnectionError, match="nothing is watched"):
        direct.call("watch", ["k"])
    assert direct.call("unwatch") == "OK"
    own_daemon.start()
    with pytest.raises(GlideConnectionError, match="not watched any more"):
        execute(through)
    assert own_valkey.calls("exec") == 0
    assert execute(through) is not None


def test_watches_are_bounded_and_share_their_bound_with_blocking_commands(
    connect: Connector, start_daemon: Callable[..., Daemon], own_valkey: ValkeyServer
) -> None:
    # One of three is kept for other processes.
    upstream = {"addresses": [f"{HOST}:{own_valkey.port}"], "max_blocking_connections": 3}
    daemon = start_daemon(upstreams={"default": upstream})
    clients = [connect(runtime_dir=str(daemon.runtime_dir)) for _ in range(3)]
    for client in clients[:2]:
        client.call("watch", ["k"])
    with pytest.raises(RequestError, match="max_blocking_connections"):
        clients[2].call("watch", ["k"])
    with pytest.raises(RequestError, match="max_blocking_connections"):
        clients[2].call("custom_command", ["BLPOP", "list", "1"])
    assert clients[2].call("set", "k", "v") == "OK"
    assert execute(clients[0]) is None
    clients[2].call("watch", ["k"])
    assert execute(clients[2]) is not None
    assert execute(clients[1]) is None


def test_what_is_read_after_watch_is_not_older(
    daemon: Daemon, valkey: ValkeyServer, unique_name: str
) -> None:
    """A miss after WATCH does not join a flight from before it (contract C22)."""
    valkey.admin.set("k", "v")
    cache = {"id": unique_name, "settings": {"max_cache_kb": 64, "entry_ttl_ms": 0}}
    addresses = [[HOST, valkey.port]]
    with WireClient(daemon.runtime_dir) as wire:
        session = wire.attach(addresses=addresses, cache=cache)["session_id"]
        assert wire.request(protocol.READ, session, STRING, b"k") == b"v"
        assert wire.request(protocol.READ, session, STRING, b"k") == b"v"
        assert valkey.calls("get") == 1
        assert wire.request(protocol.WATCH, session, 7, True, [b"k"]) == "OK"
        assert wire.request(protocol.READ, session, STRING, b"k") == b"v"
        assert valkey.calls("get") == 2
        assert wire.request(protocol.UNWATCH, session, 7) == "OK"


@pytest.mark.parametrize(
    ("operation", "body", "code"),
    [
        (protocol.WATCH, [1, True], protocol.ERROR_PROTOCOL),
        (protocol.WATCH, ["1", True, [b"k"]], protocol.ERROR_PROTOCOL),
        (protocol.WATCH, [1, 1, [b"k"]], protocol.ERROR_PROTOCOL),
        (protocol.WATCH, [1, True, b"k"], protocol.ERROR_PROTOCOL),
        (protocol.WATCH, [1, True, ["k"]], protocol.ERROR_PROTOCOL),
        (protocol.WATCH, [1, True, []], protocol.ERROR_PROTOCOL),
        (protocol.WATCH, [1, False, [b"k"]], protocol.ERROR_CONNECTION),
        (protocol.UNWATCH, ["1"], protocol.ERROR_PROTOCOL),
        (protocol.EXEC, [1], protocol.ERROR_PROTOCOL),
        (protocol.EXEC, [1, [b"GET"]], protocol.ERROR_PROTOCOL),
        (protocol.EXEC, [1, [[b"GET", b"k"]]], protocol.ERROR_CONNECTION),
    ],
)
def test_malformed_and_unfounded_requests_are_refused(
    wire: WireClient, valkey: ValkeyServer, operation: int, body: list[Any], code: int
) -> None:
    session = wire.attach(addresses=[[HOST, valkey.port]])["session_id"]
    with pytest.raises(ReplyRefused) as raised:
        wire.request(operation, session, *body)
    assert raised.value.code == code, raised.value
    with pytest.raises(ReplyRefused) as raised:
        wire.request(operation, session + 10_000, *body)
    assert raised.value.code in (protocol.ERROR_PROTOCOL, protocol.ERROR_UNKNOWN_SESSION)


def test_keys_of_a_cluster_are_watched_where_they_are(
    connect: Connector, daemon: Daemon, cluster_of_session: Cluster
) -> None:
    cluster_of_session.reset()
    node = cluster_of_session.owner("{tag}k")
    client = connect(
        runtime_dir=str(daemon.runtime_dir),
        addresses=[NodeAddress(HOST, cluster_of_session.port)],
        cluster=True,
    )

    def executed() -> Any:
        batch = ClusterBatch(is_atomic=True)
        batch.set("{tag}k", "by transaction")
        return client.call("exec", batch, raise_on_error=True)

    assert client.call("watch", ["{tag}k", "{tag}other"]) == "OK"
    assert watching(node) == 1
    assert executed() == ["OK"]
    client.call("watch", ["{tag}k"])
    node.admin.set("{tag}k", "changed")
    assert executed() is None
    client.call("watch", ["{tag}k"])
    assert client.call("unwatch") == "OK"
    assert watching(node) == 0
    assert client.call("watch", ["{tag}k", "{other}k"]) == "OK"
    assert executed() == ["OK"]
