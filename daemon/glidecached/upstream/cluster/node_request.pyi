"""Node requests: one command, or one transaction, for one node.

A client's call becomes one node request or several. A redirection may lead a request to several nodes one after
another; its reply collector hears once how it ended.
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
"""The bytes that are written before a read that a replica is to answer."""

class NodeState:
    """The state of one node: its connections, and the number of requests that wait for it. For the loop's thread."""

    @property
    def address(self) -> Address: ...
    @property
    def link(self) -> StandaloneUpstream: ...
    @property
    def open(self) -> int:
        """Return the number of requests at the node, without blocking ones."""

    @property
    def heard_ns(self) -> int:
        """Return when it last answered, or when it was asked while no request waited for it."""

    def __init__(self, address: Address, link: StandaloneUpstream) -> None: ...
    def send(self, leg: NodeRequest) -> None:
        """Send a request behind those sent before; one that blocks uses a dedicated connection."""

    def expect_answer(self) -> None:
        """Count a request that is sent and will not block."""

class RequestSender:
    """The sender of node requests. It decides what to do with those that return unanswered.

    A request to the primary of its slot is sent from here, by the topology and nodes known at that moment. Any other,
    and one whose node is unknown, is for `send_unusual`. `redirects.ClusterDispatcher` is its only subclass.
    """

    topology: Topology | None
    open: int
    """The number of requests under way."""
    @property
    def _nodes(self) -> Nodes: ...
    def __init__(self, nodes: Nodes) -> None: ...
    def send(self, leg: NodeRequest) -> None:
        """Send a request to the node that serves it now."""

    def send_unusual(self, leg: NodeRequest) -> None:
        """Send a request that does not go to the primary of its slot, or whose primary has never been used."""

    def redirected(self, leg: NodeRequest, error: str) -> bool:
        """Handle a server's error. Return True if it was a redirection and the request was sent again."""

    def lost(self, leg: NodeRequest, code: int, message: str) -> None:
        """Handle a request whose node could not be asked, or was lost before it answered."""

class NodeRequest(SingleCall):
    """A request to one node. The node never repeats it by itself: the request sender decides.

    Subclasses implement what is written (`_pack`), whether a reply was the last (`_receive`), and the other outcomes
    (`_abandon`, `_give_up`).
    """

    where: int | Address | None
    """A slot, a node, or any primary."""
    replica: bool
    asking: bool
    freshness: Freshness | None
    """Set if a replica may answer: the data that the replica must have."""
    node: NodeState | None
    sent: bool
    """True if it was written to a connection, and may have run there."""
    redirections: int
    losses: int
    waits: int
    @property
    def resendable(self) -> bool:
        """Return whether it may run twice."""

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
        """Fail the request: it will not be sent again."""

    def leave_node(self) -> None:
        """Leave the node, which no longer waits for it."""

    def _end(self) -> None:
        """Note that it has its outcome."""

    def _pack(self) -> bytes:
        """Return the bytes for the node."""

    def _receive(self, reply: Any) -> bool:
        """Take a reply to it. Return whether it was the last."""

    def _abandon(self) -> None:
        """Inform the waiting call or collector that the request was not wanted."""

    def _give_up(self, code: int, message: str) -> None:
        """Inform the waiting call or collector that there will be no reply."""

class NodeCommand(NodeRequest):
    """A single command, for `place` of a reply collector."""

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
