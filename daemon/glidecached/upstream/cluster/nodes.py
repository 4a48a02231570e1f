"""The nodes of a cluster that the daemon talks to: each is used like a standalone server."""

from __future__ import annotations

import random
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from glidecached.upstream.cluster.multi_requests import NodePipeline
from glidecached.upstream.cluster.node_request import NodeState
from glidecached.upstream.standalone import StandaloneUpstream
from glidecached.upstream.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from glidecached.process.loop import Loop
    from glidecached.upstream.cluster.node_request import NodeCommand, NodeRequest
    from glidecached.upstream.cluster.topology import Topology
    from glidecached.upstream.latency_histogram import LatencyHistogram
    from glidecached.upstream.replicas import Freshness, ReplicaReads
    from glidecached.upstream.server_version import ServerVersion
    from glidecached.upstream.target import Address, UpstreamOptions


class Node(NodeState):
    """One node: a multiplexed connection that is made on first use and comes back by itself."""

    __slots__ = ("missing",)

    def __init__(self, address: Address, link: StandaloneUpstream) -> None:
        super().__init__(address, link)
        self.missing = 0
        """The number of consecutive topologies that did not name it."""

    def send_read(self, leg: NodeRequest, replicas: ReplicaReads, freshness: Freshness) -> None:
        """Send a request to one of this primary's replicas that is able to answer, or to this node."""
        leg.node = self
        self.expect_answer()
        replicas.submit(leg, freshness.floor, primary_too=freshness.primary_too)

    def send_in_convoy(self, legs: Sequence[NodeCommand]) -> None:
        """Send requests one behind the other on a dedicated connection."""
        for leg in legs:
            leg.node = self
        self.link.submit_blocking(NodePipeline(legs))

    def silent_ms(self, now_ns: int) -> float:
        """Return for how long it has not answered although it was asked, in milliseconds."""
        return (now_ns - self.heard_ns) / 1e6 if self.open else 0.0

    @property
    def idle(self) -> bool:
        """Return whether no call waits for it."""
        return not self.link.busy


class Nodes:
    """The nodes in use, by address. Belongs to the loop's thread."""

    def __init__(
        self, loop: Loop, target: Target, options: UpstreamOptions, latencies: LatencyHistogram
    ) -> None:
        self._loop = loop
        self._target = target
        # The cluster's upstream counts for all its nodes: one of them must not refuse a part of what that has let in.
        self._options = replace(options, max_waiting_requests=sys.maxsize)
        self.by_address: dict[Address, Node] = {}
        """The nodes in use."""
        self._latencies = latencies
        self._sessions = 0

    def __iter__(self) -> Iterator[Node]:
        return iter(list(self.by_address.values()))

    @property
    def proved(self) -> bool:
        """Return whether a node has accepted the target's credentials, and not refused them since."""
        return any(node.link.proved for node in self)

    @property
    def server_versions(self) -> list[ServerVersion]:
        """Return what the nodes reported about their software; each once."""
        return list(dict.fromkeys(version for node in self for version in node.link.server_versions))

    def keep_connected(self, sessions: int) -> None:
        """Connect again to nodes that were lost, as long as there are sessions."""
        self._sessions = sessions
        for node in self:
            node.link.sessions = sessions

    def at(self, address: Address) -> Node:
        """Return the node at this address. It gets the target's credentials and TLS like all others."""
        node = self.by_address.get(address)
        if node is None:
            target = Target(
                mode="standalone",
                addresses=(address,),
                database=self._target.database,
                credentials=self._target.credentials,
            )
            node = self.by_address[address] = Node(
                address, StandaloneUpstream(self._loop, target, self._options, self._latencies)
            )
            node.link.sessions = self._sessions
        return node

    def any_of(self, addresses: Sequence[Address]) -> Node:
        """Return one of several nodes, chosen at random.

        A connected one is preferred, otherwise one without an error.
        """
        known = [node for address in addresses if (node := self.by_address.get(address)) is not None]
        connected = [node.address for node in known if node.link.connected]
        failing = {node.address for node in known if node.link.last_error is not None}
        sound = connected or [address for address in addresses if address not in failing] or addresses
        return self.at(random.choice(sound))  # noqa: S311 - spreads load, protects nothing

    def keep_only(self, topology: Topology) -> None:
        """Close nodes that the cluster no longer names: at once if no call waits for their replies.

        Otherwise the second topology in a row without them closes them: a node that was cut off for a moment may not
        know all others.
        """
        for node in self:
            if node.address in topology.nodes:
                node.missing = 0
                continue
            node.missing += 1
            if node.idle or not node.link.connected or node.missing > 1:
                del self.by_address[node.address]
                node.link.close(f"{node.address} is not in the cluster any more")

    def reconfigure(self, target: Target, options: UpstreamOptions) -> None:
        """Use these for connections from now on, to nodes that are known and to those that come."""
        self._target = target
        self._options = replace(options, max_waiting_requests=sys.maxsize)
        for node in self:
            credentials = replace(node.link.target, credentials=target.credentials)
            node.link.reconfigure(credentials, self._options)

    def close(self, reason: str) -> None:
        """Close all of them."""
        for node in self:
            node.link.close(reason)
        self.by_address.clear()
