"""Reads from a cluster's replicas, for clients that ask for them: one `ReplicaReads` for each primary.

A cluster's replica sends readers away to its primary, unless READONLY came before. It holds for the connection; that
may be lost at any time, so it is sent with each read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glidecached.upstream.call import SingleCall
from glidecached.upstream.cluster.node_request import READONLY
from glidecached.upstream.replicas import ReplicaReads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from glidecached.upstream.cluster.node_request import Node
    from glidecached.upstream.cluster.nodes import Nodes
    from glidecached.upstream.replicas import ReplicaLink
    from glidecached.upstream.target import Address


class ShardReads:
    """The replicas that may answer for each primary, by the known topology. For the loop's thread."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._by_primary: dict[Address, tuple[Sequence[Address], ReplicaReads]] = {}

    def of(self, primary: Node, replicas: Sequence[Address]) -> ReplicaReads:
        """Return the replicas of one primary; a new object if the replicas have changed."""
        known = self._by_primary.get(primary.address)
        if known is not None and known[0] == replicas:
            return known[1]
        links = [_ReadonlyLink(self._nodes.at(address).upstream) for address in replicas]
        reads = ReplicaReads(primary.upstream, links)
        self._by_primary[primary.address] = (replicas, reads)
        return reads

    def forget(self) -> None:
        """Forget all replicas: nodes may have been closed."""
        self._by_primary.clear()


class _ReadonlyLink:
    """A replica's connection, as `replicas.ReplicaLink`; it stays its node's."""

    def __init__(self, link: ReplicaLink) -> None:
        self._link = link
        self.address = link.address

    @property
    def sessions(self) -> int:
        return self._link.sessions

    @sessions.setter
    def sessions(self, count: int) -> None:
        self._link.sessions = count

    @property
    def connections_made(self) -> int:
        return self._link.connections_made

    @property
    def connected(self) -> bool:
        return self._link.connected

    @property
    def busy(self) -> bool:
        return self._link.busy

    @property
    def silent_ms(self) -> float:
        return self._link.silent_ms

    def submit(self, call: SingleCall) -> None:
        self._link.submit(_Readonly(call))

    def close(self, reason: str) -> None:
        """Do nothing: the node closes the connection."""


class _Readonly(SingleCall):
    """A command behind READONLY."""

    __slots__ = ("_call", "_to_skip")

    def __init__(self, call: SingleCall) -> None:
        super().__init__(call.arguments, call.deadline_ns, repeatable=False)
        self._call = call
        self._to_skip = True

    def pack(self) -> bytes:
        self._to_skip = True
        return READONLY + self._call.pack()

    def receive(self, reply: Any) -> bool:
        if self._to_skip:
            self._to_skip = False
            return False
        return self._call.receive(reply)

    def is_wanted(self, now_ns: int) -> bool:
        return self._call.is_wanted(now_ns)

    def abandon(self) -> None:
        self._call.abandon()

    def succeed(self, reply: Any) -> None:
        self._call.succeed(reply)

    def fail(self, code: int, message: str) -> None:
        self._call.fail(code, message)
