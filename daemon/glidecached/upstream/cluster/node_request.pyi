"""Legs: one command, or one transaction, on its way to one node.

A client's call becomes one leg or several. A leg may go to several nodes one after another, where redirections lead it;
its sink hears once how it ended.
"""

from typing import Any

from glidecached.upstream.call import SingleCall
from glidecached.upstream.cluster.nodes import Nodes
from glidecached.upstream.cluster.routing import Part
from glidecached.upstream.cluster.sinks import ReplyCollector
from glidecached.upstream.cluster.topology import Topology
from glidecached.upstream.replicas import Freshness
from glidecached.upstream.standalone import StandaloneUpstream
from glidecached.upstream.target import Address

READONLY: bytes
"""What is written before a read that a replica is to answer."""

class NodeState:
    """Where legs are sent: a node's connections, and how many legs wait for it. For the loop's thread."""

    @property
    def address(self) -> Address: ...
    @property
    def link(self) -> StandaloneUpstream: ...
    @property
    def open(self) -> int:
        """How many legs are there, blocking ones aside."""

    @property
    def heard_ns(self) -> int:
        """When it last answered, or was asked after a time in which nobody waited for it."""

    def __init__(self, address: Address, link: StandaloneUpstream) -> None: ...
    def send(self, leg: NodeRequest) -> None:
        """Send a leg, behind those sent before; one that blocks on a connection of its own."""

    def expect_answer(self) -> None:
        """A leg is sent that will not block."""

class RequestSender:
    """Whoever sends legs, and knows what to do when they come back unanswered: see `dispatcher`, its only subclass.

    A leg to the primary of its slot is sent from here, by what topology and nodes say at that moment; any other, and
    one whose node is not there, is for `send_unusual`.
    """

    topology: Topology | None
    open: int
    """How many legs are on their way."""
    @property
    def _nodes(self) -> Nodes: ...
    def __init__(self, nodes: Nodes) -> None: ...
    def send(self, leg: NodeRequest) -> None:
        """Send a leg to where it belongs now."""

    def send_unusual(self, leg: NodeRequest) -> None:
        """Send a leg that does not just go to the primary of its slot, or whose primary was never talked to."""

    def redirected(self, leg: NodeRequest, error: str) -> bool:
        """Take a server's error for what it says of the way; whether that is what it was, and the leg goes on."""

    def lost(self, leg: NodeRequest, code: int, message: str) -> None:
        """The node could not be asked, or was lost before it answered."""

class NodeRequest(SingleCall):
    """What a node is sent. The node never repeats it by itself: its journey decides what is to be done.

    Subclasses say what is written (`_pack`), whether a reply was the last (`_receive`), and who hears of the other
    outcomes (`_abandon`, `_give_up`).
    """

    where: int | Address | None
    """A slot, a node, or any primary."""
    replica: bool
    asking: bool
    freshness: Freshness | None
    """That a replica may answer, and what it must know."""
    node: NodeState | None
    sent: bool
    """Whether it was written to a connection, and may have run there."""
    redirections: int
    losses: int
    waits: int
    @property
    def resendable(self) -> bool:
        """Whether it may run twice."""

    @property
    def blocking(self) -> bool: ...
    @property
    def to_skip(self) -> bool:
        """Return whether replies are still due to what was sent before the command."""

    @property
    def _journeys(self) -> RequestSender: ...
    def __init__(
        self, journeys: RequestSender, part: Part, deadline_ns: int, *, resendable: bool, blocking: bool
    ) -> None: ...
    def give_up(self, code: int, message: str) -> None:
        """It will not be sent again."""

    def leave_node(self) -> None:
        """Its node has nothing to do with it any more."""

    def _end(self) -> None:
        """It has its outcome."""

    def _pack(self) -> bytes:
        """What is written to the node."""

    def _receive(self, reply: Any) -> bool:
        """Take a reply to it; whether it was the last."""

    def _abandon(self) -> None:
        """Tell whoever waits that nobody wanted it."""

    def _give_up(self, code: int, message: str) -> None:
        """Tell whoever waits that there will be no reply."""

class NodeCommand(NodeRequest):
    """One command, for `place` of a sink."""

    def __init__(
        self,
        journeys: RequestSender,
        part: Part,
        sink: ReplyCollector,
        place: int,
        deadline_ns: int,
        *,
        resendable: bool,
        blocking: bool,
    ) -> None: ...
