"""The nodes of a cluster that the daemon talks to: each is used like a standalone server."""

from __future__ import annotations

import random
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from glidecached.upstream.cluster.node_request import Node
from glidecached.upstream.standalone import StandaloneUpstream
from glidecached.upstream.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from glidecached.process.loop import Loop
    from glidecached.upstream.cluster.topology import Topology
    from glidecached.upstream.latency_histogram import LatencyHistogram
    from glidecached.upstream.server_version import ServerVersion
    from glidecached.upstream.target import Address, UpstreamOptions


class Nodes:
    """The nodes in use, by address. Belongs to the loop's thread."""

    def __init__(
        self, loop: Loop, target: Target, options: UpstreamOptions, latencies: LatencyHistogram
    ) -> None:
        self._loop = loop
        self._target = target
        # The cluster's upstream limits its calls: a single node must not refuse a part of a call that was accepted.
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
        return any(node.upstream.proved for node in self)

    @property
    def server_versions(self) -> list[ServerVersion]:
        """Return what the nodes reported about their software; each once."""
        return list(dict.fromkeys(version for node in self for version in node.upstream.server_versions))

    def keep_connected(self, sessions: int) -> None:
        """Connect again to nodes that were lost, as long as there are sessions."""
        self._sessions = sessions
        for node in self:
            node.upstream.sessions = sessions

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
            node.upstream.sessions = self._sessions
        return node

    def any_of(self, addresses: Sequence[Address]) -> Node:
        """Return one of several nodes, chosen at random.

        A connected one is preferred, otherwise one without an error.
        """
        known = [node for address in addresses if (node := self.by_address.get(address)) is not None]
        connected = [node.address for node in known if node.upstream.connected]
        failing = {node.address for node in known if node.upstream.last_error is not None}
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
            if not node.upstream.busy or not node.upstream.connected or node.missing > 1:
                del self.by_address[node.address]
                node.in_use = False
                node.upstream.close(f"{node.address} is not in the cluster any more")

    def reconfigure(self, target: Target, options: UpstreamOptions) -> None:
        """Use these for connections from now on, to present and future nodes."""
        self._target = target
        self._options = replace(options, max_waiting_requests=sys.maxsize)
        for node in self:
            credentials = replace(node.upstream.target, credentials=target.credentials)
            node.upstream.reconfigure(credentials, self._options)

    def close(self, reason: str) -> None:
        """Close all of them."""
        for node in self:
            node.in_use = False
            node.upstream.close(reason)
        self.by_address.clear()
