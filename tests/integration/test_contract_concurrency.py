"""Contract C21–C23: whole values, one request for many misses, and order."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from glidecache_shared import protocol
from glidecache_shared.protocol import STRING
from support import worker_tasks
from support.cacheable import CACHEABLE, GET, Cacheable
from support.caches import new_cache
from support.clients import at
from support.fault_proxy import REPLIES, proxy_before
from support.valkey_server import HOST
from support.waiting import wait_until
from support.wire import WireClient, accepted, attach_all

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecache import ClientSideCache
    from support.connector import Connector
    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer


def test_c21_values_are_whole_and_of_their_key(connect: Connector, valkey: ValkeyServer) -> None:
    """Three processes read sixty keys through a pool that holds a fraction of them, while they change upstream."""
    keys = [f"key{number}" for number in range(60)]
    cache = new_cache(2, entry_ttl_ms=20)
    workers = [connect.worker(cache) for _ in range(3)]
    valkey.admin.mset({key: worker_tasks.stamped(key, 0) for key in keys})
    end_ns = time.monotonic_ns() + 2_000_000_000
    for worker in workers:
        worker.start(worker_tasks.read_until, keys, end_ns)
    version = 0
    while time.monotonic_ns() < end_ns:
        version += 1
        valkey.admin.mset({key: worker_tasks.stamped(key, version) for key in keys})
    for worker in workers:
        reads, lies = worker.result()
        assert reads > 100
        assert lies == []
    assert connect(cache).metrics().evictions > 0


def test_c21_hits_are_never_expired_values(connect: Connector, valkey: ValkeyServer) -> None:
    """The upstream value is a clock: a hit may be as old as the TTL allows, and not older."""
    ttl_s = 0.15
    client = connect(new_cache(entry_ttl_ms=int(ttl_s * 1000)))
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        written = time.monotonic()
        valkey.admin.set("clock", f"{written:.6f}")
        for _ in range(50):
            asked = time.monotonic()
            value = client.get("clock")
            assert value is not None
            # A value was current until the next one was written, which took no longer than its round of reads.
            assert asked - float(value) < ttl_s + 0.5


@pytest.mark.parametrize("command", CACHEABLE, ids=lambda command: command.method)
def test_c22_concurrent_misses_make_one_request(
    connect: Connector, own_daemon: Daemon, own_valkey: ValkeyServer, command: Cacheable
) -> None:
    command.write(own_valkey, "k", 1)
    cache = new_cache()
    observer = connect(cache, **at(own_daemon, own_valkey))
    workers = [connect.worker(cache, **at(own_daemon, own_valkey)) for _ in range(2)]
    own_valkey.pause()
    for worker in workers:
        worker.start(worker_tasks.call_together, [(command.method, "k")] * 10)
    wait_until(lambda: observer.metrics().total_lookups == 20, "all twenty lookups are accepted")
    own_valkey.resume()
    assert [worker.result() for worker in workers] == [[command.value(1)] * 10] * 2
    assert own_valkey.calls(command.method) == 1
    assert observer.metrics().miss_rate == 1.0
    assert observer.metrics().entry_count == 1


def test_c22_get_many_joins_what_is_under_way(
    connect: Connector, own_daemon: Daemon, own_valkey: ValkeyServer
) -> None:
    for key in ("k", "l"):
        GET.write(own_valkey, key, 1)
    cache = new_cache()
    observer = connect(cache, **at(own_daemon, own_valkey))
    first, second = (connect.worker(cache, **at(own_daemon, own_valkey)) for _ in range(2))
    reads = own_valkey.admin.info("stats")["keyspace_hits"]
    own_valkey.pause()
    first.start(worker_tasks.call, "get", ["k"])
    wait_until(lambda: observer.metrics().total_lookups == 1, "the flight is under way")
    second.start(worker_tasks.call, "get_many", [["k", "l", "k"]])
    wait_until(lambda: observer.metrics().total_lookups == 4, "all lookups are accepted")
    own_valkey.resume()
    assert first.result() == b"v1"
    assert second.result() == [b"v1"] * 3
    assert observer.metrics().entry_count == 2
    # C22 speaks of the same command: MGET may ask for `k` again, but not twice.
    assert own_valkey.admin.info("stats")["keyspace_hits"] - reads in {2, 3}


def test_c22_a_client_that_wrote_sees_its_own_write(
    own_valkey: ValkeyServer, wires: list[WireClient], cache: ClientSideCache
) -> None:
    GET.write(own_valkey, "k", 1)
    reader, writer, other = wires
    sessions = attach_all(wires, cache)
    own_valkey.pause()
    early = reader.send(protocol.READ, sessions[0], STRING, b"k")
    accepted(reader)
    write = writer.send(protocol.COMMAND, sessions[1], [b"SET", b"k", b"v2"])
    own = writer.send(protocol.READ, sessions[1], STRING, b"k")
    accepted(writer)
    own_valkey.resume()
    assert writer.result(write) == "OK"
    assert writer.result(own) == b"v2"
    assert reader.result(early) == b"v1"
    assert own_valkey.calls("get") == 2
    # The reply whose flight was sent later stays, whichever came first.
    assert other.request(protocol.READ, sessions[2], STRING, b"k") == b"v2"
    assert own_valkey.calls("get") == 2


@pytest.mark.parametrize("many", [False, True])
def test_c22_a_write_past_the_daemon_counts_as_soon_as_the_daemon_is_told(
    own_valkey: ValkeyServer, start_daemon: Callable[..., Daemon], cache: ClientSideCache, many: bool
) -> None:
    """The write ends between another client's flight being sent and answered."""
    GET.write(own_valkey, "k", 1)
    with proxy_before(own_valkey.port) as proxy:
        daemon = start_daemon(upstreams={"default": {"addresses": [f"{HOST}:{proxy.port}"]}})
        reader, writer = (WireClient(daemon.runtime_dir) for _ in range(2))
        with reader, writer:
            sessions = attach_all([reader, writer], cache)
            operation, body = (protocol.GET_MANY, [[b"k"]]) if many else (protocol.READ, [STRING, b"k"])
            name = "mget" if many else "get"
            proxy.hold(REPLIES)
            early = reader.send(operation, sessions[0], *body)
            wait_until(lambda: own_valkey.calls(name) == 1, "the server has answered the flight")
            GET.write(own_valkey, "k", 2)
            joined = writer.send(operation, sessions[1], *body)
            own = writer.send(operation, sessions[1], *body, True)
            accepted(writer)
            proxy.release(REPLIES)
            values = [reader.result(early), writer.result(joined), writer.result(own)]
            assert values == ([[b"v1"], [b"v1"], [b"v2"]] if many else [b"v1", b"v1", b"v2"])
            # The entry is the later flight's, and the client's next reads may be answered by it.
            assert writer.request(protocol.READ, sessions[1], STRING, b"k") == b"v2"
            assert own_valkey.calls(name) == 2


def test_c22_writes_of_other_clients_do_not_stop_the_sharing(
    own_valkey: ValkeyServer, wires: list[WireClient], cache: ClientSideCache
) -> None:
    GET.write(own_valkey, "k", 1)
    reader, writer, joiner = wires
    sessions = attach_all(wires, cache)
    own_valkey.pause()
    early = reader.send(protocol.READ, sessions[0], STRING, b"k")
    accepted(reader)
    write = writer.send(protocol.COMMAND, sessions[1], [b"SET", b"k", b"v2"])
    accepted(writer)
    joined = joiner.send(protocol.READ, sessions[2], STRING, b"k")
    accepted(joiner)
    own_valkey.resume()
    assert reader.result(early) == joiner.result(joined) == b"v1"
    assert writer.result(write) == "OK"
    assert own_valkey.calls("get") == 1


def test_c22_a_known_read_does_not_stop_the_sharing(
    own_valkey: ValkeyServer, wires: list[WireClient], cache: ClientSideCache
) -> None:
    GET.write(own_valkey, "k", 1)
    reader, joiner, _ = wires
    sessions = attach_all(wires, cache)
    own_valkey.pause()
    early = reader.send(protocol.READ, sessions[0], STRING, b"k")
    accepted(reader)
    length = joiner.send(protocol.COMMAND, sessions[1], [b"STRLEN", b"k"])
    joined = joiner.send(protocol.READ, sessions[1], STRING, b"k")
    accepted(joiner)
    own_valkey.resume()
    assert joiner.result(length) == 2
    assert joiner.result(joined) == reader.result(early) == b"v1"
    assert own_valkey.calls("get") == 1


def test_c23_awaited_commands_are_ordered(
    connect: Connector, cache: ClientSideCache, valkey: ValkeyServer
) -> None:
    client = connect(cache)
    for number in range(200):
        client.call("set", "k", number)
        assert client.call("append", "k", "!") == len(str(number)) + 1
        assert client.call("custom_command", ["GETRANGE", "k", "0", "-1"]) == b"%d!" % number
    assert valkey.calls("append") == 200


def test_c23_what_is_issued_without_awaiting_takes_effect_in_order(
    connect: Connector, cache: ClientSideCache, valkey: ValkeyServer
) -> None:
    """Threads have no order among them: what one blocking client issues unawaited is a batch."""
    client = connect(cache)
    if client.kind == "asyncio":
        client.call_together([("rpush", "list", [str(number)]) for number in range(500)])
    else:
        batch = client.batch(atomic=False)
        for number in range(500):
            batch.rpush("list", [str(number)])
        client.call("exec", batch, raise_on_error=True)
    assert valkey.admin.lrange("list", 0, -1) == [b"%d" % number for number in range(500)]


def test_c23_requests_of_one_session_run_in_the_order_sent(
    wires: list[WireClient], own_valkey: ValkeyServer, cache: ClientSideCache
) -> None:
    wire, *_ = wires
    session = attach_all([wire], cache)[0]
    sent = []
    for number in range(300):
        sent.append(wire.send(protocol.COMMAND, session, [b"SET", b"k", b"%d" % number]))
        sent.append(wire.send(protocol.READ, session, STRING, b"k"))
    replies = {}
    while len(replies) < len(sent):
        request_id, status, body = wire.receive()
        assert status == protocol.STATUS_OK, body
        replies[request_id] = body
    assert [replies[request_id] for request_id in sent[1::2]] == [b"%d" % number for number in range(300)]
    assert own_valkey.admin.get("k") == b"299"


def test_c23_blocking_commands_hold_nobody_up(
    connect: Connector, cache: ClientSideCache, valkey: ValkeyServer
) -> None:
    client = connect(cache)
    waiting = connect.worker(cache)
    waiting.start(worker_tasks.call, "custom_command", [["BLPOP", "list", "4"]])
    wait_until(
        lambda: any("b" in one["flags"] for one in valkey.admin.client_list()),
        "the command blocks its connection",
    )
    began = time.monotonic()
    client.call("set", "k", "v")
    assert client.get("k") == b"v"
    assert time.monotonic() - began < 2
    valkey.admin.rpush("list", "at last")
    assert waiting.result() == [b"list", b"at last"]
