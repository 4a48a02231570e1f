"""The topology of a cluster: the node that serves each slot, and its replicas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glidecached.upstream.cluster.slots import SLOTS
from glidecached.upstream.target import Address

if TYPE_CHECKING:
    from collections.abc import Sequence


class TopologyError(Exception):
    """A server's reply does not describe a cluster; `args[0]` says why."""


class Topology:
    """One state of the cluster, as a node described it; single slots are moved by the redirects that come later."""

    def __init__(self, shards: Sequence[tuple[int, int, Sequence[Address]]]) -> None:
        """Read `shards`: first slot, last slot, and the nodes that serve them, the primary first."""
        self.by_slot: list[Address | None] = [None] * SLOTS
        """The primary of each slot, where one serves it; changed by `move` alone."""
        replicas: dict[Address, tuple[Address, ...]] = {}
        for first, last, nodes in shards:
            self.by_slot[first : last + 1] = [nodes[0]] * (last - first + 1)
            replicas[nodes[0]] = tuple(nodes[1:])
        self._replicas = replicas
        self.primaries: tuple[Address, ...] = tuple(replicas)
        self.nodes: tuple[Address, ...] = tuple(
            dict.fromkeys([*replicas, *(node for group in replicas.values() for node in group)])
        )

    @property
    def slots_covered(self) -> int:
        """Return the number of slots that some node serves."""
        return SLOTS - self.by_slot.count(None)

    def primary(self, slot: int) -> Address | None:
        """Return the node that serves a slot, if one does."""
        return self.by_slot[slot]

    def replicas(self, slot: int) -> tuple[Address, ...]:
        """Return the replicas of the node that serves a slot."""
        primary = self.by_slot[slot]
        return () if primary is None else self._replicas.get(primary, ())

    def move(self, slot: int, address: Address) -> None:
        """Record that another node serves the slot now, as a node has reported."""
        self.by_slot[slot] = address
        if address not in self.nodes:
            self.nodes += (address,)
        if address not in self.primaries:
            self.primaries += (address,)
        self._replicas.setdefault(address, ())

    def slots_by_node(self) -> dict[Address, int]:
        """Return the number of slots that each primary serves."""
        counts = dict.fromkeys(self.primaries, 0)
        for address in self.by_slot:
            if address is not None:
                counts[address] += 1
        return counts


def read_topology(reply: Any, asked: Address) -> Topology:
    """Read the reply to `CLUSTER SLOTS` of the node at `asked`. Raises `TopologyError`."""
    try:
        shards = [(first, last, [_read_node(node, asked) for node in nodes]) for first, last, *nodes in reply]
        valid = all(0 <= first <= last < SLOTS and nodes for first, last, nodes in shards)
    except (TypeError, ValueError, IndexError) as error:
        message = f"{asked}: CLUSTER SLOTS was answered by {reply!r:.200}"
        raise TopologyError(message) from error
    if not valid or not shards:
        message = f"{asked}: CLUSTER SLOTS names no slots that are served"
        raise TopologyError(message)
    return Topology(shards)


def read_redirection(text: str, asked: Address) -> tuple[int, Address]:
    """Return the slot and the node of `MOVED 3999 10.0.0.1:6381`. Raises `ValueError`."""
    _, slot, endpoint = text.split(" ")[:3]
    host, _, port = endpoint.rpartition(":")
    if not 0 <= int(slot) < SLOTS:
        message = f"{slot} is no slot"
        raise ValueError(message)
    return int(slot), _address(host, int(port), asked)


def _read_node(node: Any, asked: Address) -> Address:
    host, port = node[:2]
    return _address("" if host is None else bytes(host).decode(), int(port), asked)


def _address(host: str, port: int, asked: Address) -> Address:
    """Return a node's address. A node that does not know its own is where it was asked."""
    if host in {"", "?"}:
        host = "127.0.0.1" if asked.is_unix else asked.host
    return Address(host.removeprefix("[").removesuffix("]").lower(), port)
