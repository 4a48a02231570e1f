"""A cluster whose nodes fail: who notices, for how long, and that nothing wrong is answered, stored or repeated."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import pytest

from glidecache import ClosingError, NodeAddress, RequestError, Script, ServerCredentials
from glidecache import ConnectionError as GlideConnectionError
from glidecache import TimeoutError as GlideTimeoutError
from support.caches import new_cache
from support.load import Load
from support.valkey_server import HOST, free_port
from support.waiting import wait_until

if TYPE_CHECKING:
    from support.clients import AnyClient
    from support.cluster import Cluster, ClusterNode
    from support.connector import Connector
    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer

logger = logging.getLogger(__name__)

TIMEOUT_MS = 400
FAIL_OVER_S = 15.0
"""How long a fail-over may take before these tests call it none: detection takes the node time-out, twice at most."""


@pytest.fixture
def kind() -> str:
    """The daemon is what is tested here, and the load comes from threads."""
    return "blocking"


def replica_of(cluster: Cluster, primary: ClusterNode) -> ClusterNode:
    return next(
        node for node in cluster.running if not node.is_primary and node.ask("ROLE")[2] == primary.port
    )


def only_unreachable(load: Load) -> bool:
    """Whether all that callers saw says that nobody answered, or in time."""
    return all(isinstance(error, (GlideConnectionError, GlideTimeoutError)) for _, _, error in load.errors)


def test_a_killed_primary_is_replaced_under_load(
    connect_own: Connector, own_cluster: Cluster, own_daemon: Daemon
) -> None:
    cached = connect_own(new_cache(entry_ttl_ms=50), request_timeout=TIMEOUT_MS)
    client = connect_own(request_timeout=TIMEOUT_MS)
    keys = own_cluster.keys_of_each()
    lost, *others = keys
    for key in keys:
        client.call("set", f"{{{key}}}constant", key)
    # What was acknowledged just before is not what is looked at here: replicas follow a moment later.
    assert client.call("custom_command", ["WAIT", "1", "2000"]) == 1
    with Load(client, keys) as load:
        own_cluster.owner(lost).kill()
        load.wait_for_rounds(1, FAIL_OVER_S)
        load.wait_for_rounds(20)
    assert load.lies == []
    assert only_unreachable(load)
    assert {key for _, key, _ in load.errors} == {lost}, "callers of other nodes saw errors"
    logger.info("the killed primary's callers saw errors for %.2f s", load.outage_s(lost))
    for key in [lost, *others]:
        assert cached.get(f"{{{key}}}constant") == key.encode()
    assert own_daemon.running


def test_a_fail_over_by_hand_is_not_noticed(connect_own: Connector, own_cluster: Cluster) -> None:
    client = connect_own(request_timeout=10_000)
    keys = own_cluster.keys_of_each()
    old = own_cluster.owner(keys[0])
    new = replica_of(own_cluster, old)
    with Load(client, keys) as load:
        new.ask("CLUSTER", "FAILOVER")
        wait_until(lambda: new.is_primary, "the replica has taken over", FAIL_OVER_S)
        load.wait_for_rounds(20)
    assert load.lies == []
    assert load.errors == []
    for key in keys:
        assert 2 * load.rounds[key] <= int(own_cluster.owner(key).admin.get(key)) <= 2 * load.rounds[key] + 2


def test_i7_a_script_runs_although_a_node_that_it_does_not_need_hangs(
    connect_own: Connector, own_cluster: Cluster
) -> None:
    """The client asks all nodes to load the script, and waits for none longer than half a time-out, once."""
    client = connect_own(request_timeout=TIMEOUT_MS)
    keys = own_cluster.keys_of_each()
    hanging = replica_of(own_cluster, own_cluster.owner(keys[0]))
    script = Script("return redis.call('SET', KEYS[1], ARGV[1])")
    hanging.pause()
    try:
        for key in keys:
            assert client.call("invoke_script", script, [key], ["v"]) in ("OK", b"OK")
            assert own_cluster.owner(key).ask("SCRIPT", "EXISTS", script.get_hash()) == [1]
    finally:
        hanging.resume()


def test_a_hanging_primary_holds_up_its_own_callers_only(
    connect_own: Connector, own_cluster: Cluster
) -> None:
    client = connect_own(request_timeout=TIMEOUT_MS)
    keys = own_cluster.keys_of_each()
    hanging = own_cluster.owner(keys[0])
    with Load(client, keys) as load:
        hanging.pause()
        try:
            wait_until(lambda: load.errors, "its callers do not wait for ever")
            load.wait_for_rounds(1, FAIL_OVER_S)
        finally:
            hanging.resume()
        # Its late replies must not be taken for those to later requests.
        load.wait_for_rounds(20)
    assert load.lies == []
    assert only_unreachable(load)
    assert {key for _, key, _ in load.errors} == {keys[0]}, load.errors


def test_a_lost_node_is_missed_by_commands_to_all_nodes(connect_own: Connector, own_cluster: Cluster) -> None:
    client = connect_own(request_timeout=TIMEOUT_MS)
    assert client.call("custom_command", ["DBSIZE"]) == 0
    victim = own_cluster.primaries[0]
    port = victim.port
    victim.kill()
    began = time.monotonic()
    with pytest.raises((GlideConnectionError, GlideTimeoutError), match=f"{port}|in time"):
        client.call("custom_command", ["DBSIZE"])
    assert time.monotonic() - began < TIMEOUT_MS / 1000 + 1.5
    wait_until(lambda: _answers(client), "the replica counts instead", FAIL_OVER_S)


def test_a_restarted_cluster_is_found_again(connect_own: Connector, own_cluster: Cluster) -> None:
    client = connect_own(request_timeout=TIMEOUT_MS)
    client.call("set", "k", "v")
    for node in own_cluster.nodes:
        node.kill()
    with pytest.raises(RequestError):
        client.get("k")
    own_cluster.revive()
    wait_until(lambda: _answers(client), "the daemon has connected again", FAIL_OVER_S)
    assert client.get("k") is None


def test_no_client_without_a_seed_that_answers(connect: Connector, daemon: Daemon) -> None:
    ports = [free_port(), free_port()]
    with pytest.raises(ClosingError) as raised:
        connect(addresses=[NodeAddress(HOST, port) for port in ports])
    assert all(str(port) in str(raised.value) for port in ports)
    assert daemon.running


def test_one_seed_that_answers_is_enough(connect: Connector, cluster: Cluster) -> None:
    seeds = [NodeAddress(HOST, free_port()), NodeAddress(HOST, cluster.nodes[-1].port)]
    client = connect(addresses=seeds)
    for key in cluster.keys_of_each():
        assert client.call("set", key, "v") == "OK"


def test_no_client_of_a_standalone_server(connect: Connector, valkey_of_session: ValkeyServer) -> None:
    with pytest.raises(ClosingError, match="cluster support disabled"):
        connect(addresses=[NodeAddress(HOST, valkey_of_session.port)])


def test_no_client_with_a_wrong_password(connect: Connector, cluster: Cluster) -> None:
    credentials = ServerCredentials(username="nobody", password="wrong")
    with pytest.raises(ClosingError, match="WRONGPASS"):
        connect(new_cache(), credentials=credentials)
    assert cluster.calls("get") == 0


def _answers(client: AnyClient) -> bool:
    try:
        client.call("custom_command", ["DBSIZE"])
    except RequestError:
        return False
    return True
