"""A real Valkey cluster: primaries and replicas on ports of their own, joined by commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import valkey

from glidecached.upstream.cluster.slots import SLOTS, key_slot
from support.valkey_server import HOST, ValkeyServer, free_port
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

PRIMARIES = 3
JOIN_TIMEOUT_S = 30.0


class ClusterNode(ValkeyServer):
    """One server of a cluster; it keeps its place in the cluster over a restart, and no data."""

    def __init__(self, directory: Path, node_timeout_ms: int, *directives: str) -> None:
        self.cluster_port = free_port()
        super().__init__(
            directory,
            "cluster-enabled yes",
            f"cluster-config-file {directory}/nodes.conf",
            f"cluster-port {self.cluster_port}",
            f"cluster-node-timeout {node_timeout_ms}",
            "cluster-replica-validity-factor 0",
            "cluster-allow-replica-migration no",
            "cluster-databases 16",
            "repl-diskless-sync-delay 0",
            *directives,
        )

    @property
    def node_id(self) -> str:
        return _text(self.ask("CLUSTER", "MYID"))

    @property
    def address(self) -> str:
        """How the cluster names it."""
        return f"{HOST}:{self.port}"

    @property
    def is_primary(self) -> bool:
        return bool(self.ask("ROLE")[0] == b"master")

    def ask(self, *command: object) -> Any:
        """Send a command to this node and return its plain reply; errors are raised."""
        connection = self.admin.connection_pool.get_connection("ask")
        try:
            connection.send_command(*command)
            return connection.read_response()
        finally:
            self.admin.connection_pool.release(connection)

    def info(self, name: str) -> str:
        """One line of `CLUSTER INFO`."""
        lines = dict(line.split(":") for line in _text(self.ask("CLUSTER", "INFO")).split())
        return lines[name]


class Cluster:
    """Three primaries, and as many replicas; `admin` is what a test does behind the cache's back."""

    def __init__(self, directory: Path, *directives: str, node_timeout_ms: int = 5_000) -> None:
        self.nodes = [
            ClusterNode(directory / str(number), node_timeout_ms, *directives)
            for number in range(2 * PRIMARIES)
        ]
        self._admin: Any = None

    def start(self) -> None:
        """Start all servers, join them, and wait until each of them says that all is well."""
        for node in self.nodes:
            node.start()
        primaries, replicas = self.nodes[:PRIMARIES], self.nodes[PRIMARIES:]
        for number, node in enumerate(primaries):
            first, behind = number * SLOTS // PRIMARIES, (number + 1) * SLOTS // PRIMARIES
            node.ask("CLUSTER", "ADDSLOTSRANGE", first, behind - 1)
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node in self.nodes[1:]:
            node.ask("CLUSTER", "MEET", HOST, self.nodes[0].port, self.nodes[0].cluster_port)
        self._wait_for("all nodes know each other", lambda node: node.info("cluster_known_nodes") == "6")
        for primary, replica in zip(primaries, replicas, strict=True):
            replica.ask("CLUSTER", "REPLICATE", primary.node_id)
        self.wait_until_healthy()

    def stop(self) -> None:
        """End all servers for good."""
        if self._admin is not None:
            self._admin.close()
        for node in self.nodes:
            node.stop()

    def revive(self) -> None:
        """Undo what a test did to single nodes: start those that were killed again, and wait for all."""
        for node in self.nodes:
            if not node.running:
                node.restart()
        self.wait_until_healthy()

    def wait_until_healthy(self) -> None:
        """Wait until every running node serves, sees three primaries, and has its replicas."""
        self._wait_for("every node serves", lambda node: node.info("cluster_state") == "ok")
        self._wait_for("replicas are connected", _replicates)
        self._wait_for("all know their replicas", lambda node: _complete(node.ask("CLUSTER", "SLOTS")))

    @property
    def running(self) -> list[ClusterNode]:
        return [node for node in self.nodes if node.running]

    @property
    def primaries(self) -> list[ClusterNode]:
        """The running primaries, in the order of their start."""
        return [node for node in self.running if node.is_primary]

    def owner(self, key: str) -> ClusterNode:
        """The primary that serves a key, by the account of a node that runs."""
        slot = key_slot(key.encode())
        for first, last, (_, port, *_), *_ in self.running[0].ask("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return next(node for node in self.nodes if node.port == port)
        message = f"no node serves slot {slot}"
        raise AssertionError(message)

    def keys_of_each(self, prefix: str = "key") -> list[str]:
        """One key of each primary, in the primaries' order."""
        wanted = [node.port for node in self.primaries]
        found: dict[int, str] = {}
        for number in range(1_000):
            key = f"{prefix}{number}"
            found.setdefault(self.owner(key).port, key)
            if len(found) == len(wanted):
                break
        return [found[port] for port in wanted]

    @property
    def admin(self) -> Any:
        """A `valkey.ValkeyCluster`, with a server's face as far as tests need it."""
        if self._admin is None:
            self._admin = _Admin(
                host=HOST, port=self.running[0].port, username="admin", password="any", socket_timeout=10
            )
        return self._admin

    @property
    def port(self) -> int:
        """One of its seeds' ports."""
        return self.running[0].port

    def calls(self, command: str) -> int:
        """How often `command` was called since the last `reset`; replicas repeat what their primaries count."""
        return sum(node.calls(command) for node in self.primaries)

    def reads(self) -> int:
        """How many commands that a cache could have answered reached the cluster since the last `reset`."""
        return sum(node.reads() for node in self.primaries)

    def stat(self, name: str) -> int:
        """A number of `INFO stats`, summed."""
        return sum(node.stat(name) for node in self.primaries)

    def reset(self) -> None:
        """Remove all keys and start the command counts at 0."""
        for node in self.primaries:
            node.admin.flushall()
        for node in self.running:
            node.admin.config_resetstat()

    def _wait_for(self, what: str, condition: Callable[[ClusterNode], bool]) -> None:
        wait_until(lambda: all(map(condition, self.running)), what, JOIN_TIMEOUT_S)


class _Admin:
    """A `valkey.ValkeyCluster`; what concerns several nodes is answered as by one server."""

    def __init__(self, **options: Any) -> None:
        self._client: Any = valkey.ValkeyCluster(**options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def mset(self, values: dict[str, Any]) -> None:
        self._client.mset_nonatomic(values)

    def delete(self, *keys: str) -> int:
        return sum(self._client.delete(key) for key in keys)

    def client_list(self) -> list[dict[str, str]]:
        lists = self._client.client_list(target_nodes=valkey.ValkeyCluster.ALL_NODES)
        return [client for node in lists.values() for client in node]

    def info(self, section: str) -> dict[str, Any]:
        """Of all primaries; where names are the same, one of them."""
        replies = self._client.info(section, target_nodes=valkey.ValkeyCluster.PRIMARIES)
        return {name: value for reply in replies.values() for name, value in reply.items()}


def _replicates(node: ClusterNode) -> bool:
    role = node.ask("ROLE")
    return bool(role[0] == b"master") or bool(role[3] == b"connected")


def _complete(slots: Iterable[Any]) -> bool:
    shards = list(slots)
    covered = sum(last - first + 1 for first, last, *_ in shards)
    return covered == SLOTS and len(shards) == PRIMARIES and all(len(nodes) == 2 for _, _, *nodes in shards)


def _text(reply: bytes) -> str:
    return reply.decode()
