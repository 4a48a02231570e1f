"""Legs: one command, or one transaction, on its way to one node; and where its reply belongs.

A client's call becomes one leg or several. A leg may go to several nodes one after another, where redirections lead it;
its sink hears once how it ended.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from libvalkey import pack_command

from glidecache_shared.protocol import ReplyError
from glidecached.upstream.call import SingleCall

if TYPE_CHECKING:
    from glidecached.upstream.call import BatchCall
    from glidecached.upstream.cluster.routing import Part
    from glidecached.upstream.identity import Address

_ASKING = pack_command((b"ASKING",))
READONLY = pack_command((b"READONLY",))


class Freshness(NamedTuple):
    """What a replica must have to answer a read: all that was sent up to `floor`. `primary_too`: they take turns."""

    floor: int
    primary_too: bool


class Sink(Protocol):
    """Whoever waits for legs' replies."""

    def is_wanted(self, now_ns: int) -> bool:
        """Whether somebody still waits."""

    def abandon(self) -> None:
        """A leg was not sent, because nobody wants the reply any more."""

    def take(self, place: int, reply: Any) -> None:
        """The reply to the leg of that place."""

    def fail(self, place: int, code: int, message: str) -> None:
        """The leg of that place will have no reply."""


class Station(Protocol):
    """Where a leg is sent: a node, as far as a leg knows it."""

    @property
    def address(self) -> Address:
        """Where that is."""

    def left(self, leg: Leg) -> None:
        """The leg has ended or goes elsewhere."""


class Journeys(Protocol):
    """Whoever sends legs, and knows what to do when they come back unanswered."""

    def redirected(self, leg: Leg, error: str) -> bool:
        """Take a server's error for what it says of the way; whether that is what it was, and the leg goes on."""

    def lost(self, leg: Leg, code: int, message: str) -> None:
        """The node could not be asked, or was lost before it answered."""

    def ended(self) -> None:
        """One leg less is open."""


class Leg(SingleCall):
    """What a node is sent. The node never repeats it by itself: its journey decides what is to be done."""

    __slots__ = (
        "_journeys",
        "_to_skip",
        "asking",
        "blocking",
        "freshness",
        "losses",
        "node",
        "redirections",
        "replica",
        "resendable",
        "sent",
        "waits",
        "where",
    )

    def __init__(
        self, journeys: Journeys, part: Part, deadline_ns: int, *, resendable: bool, blocking: bool
    ) -> None:
        super().__init__(part.arguments, deadline_ns, repeatable=False)
        self._journeys = journeys
        self._to_skip = False
        self.where = part.where
        self.replica = part.replica
        self.resendable = resendable
        self.blocking = blocking
        self.asking = False
        self.freshness: Freshness | None = None
        """That a replica may answer, and what it must know."""
        self.node: Station | None = None
        self.sent = False
        """Whether it was written to a connection, and may have run there."""
        self.redirections = self.losses = self.waits = 0

    def pack(self) -> bytes:
        """`Call`: behind what makes a node accept a command that is not for it as a primary, for this one time."""
        self.sent = True
        self._to_skip = self.asking or self.replica
        if not self._to_skip:
            return self._pack()
        return (_ASKING if self.asking else READONLY) + self._pack()

    def receive(self, reply: Any) -> bool:
        """`Call`: take the reply, unless it belongs to what stood before the command."""
        if self._to_skip:
            # Should ASKING or READONLY have been refused, the command's own reply will tell.
            self._to_skip = False
            return False
        return self._receive(reply)

    def abandon(self) -> None:
        """`Call`."""
        self._end()
        self._abandon()

    def succeed(self, reply: Any) -> None:
        """`Call`: as `receive`, which is what connections call."""
        self.receive(reply)

    def fail(self, code: int, message: str) -> None:
        """`Call`: the node cannot answer; another may."""
        self.leave_node()
        self._journeys.lost(self, code, message)

    def give_up(self, code: int, message: str) -> None:
        """It will not be sent again."""
        self._end()
        self._give_up(code, message)

    def leave_node(self) -> None:
        """Its node has nothing to do with it any more."""
        node, self.node = self.node, None
        if node is not None:
            node.left(self)

    def _end(self) -> None:
        self.leave_node()
        self._journeys.ended()

    @abstractmethod
    def _pack(self) -> bytes:
        """What is written to the node."""

    @abstractmethod
    def _receive(self, reply: Any) -> bool:
        """Take a reply to it; whether it was the last."""

    @abstractmethod
    def _abandon(self) -> None:
        """Tell whoever waits that nobody wanted it."""

    @abstractmethod
    def _give_up(self, code: int, message: str) -> None:
        """Tell whoever waits that there will be no reply."""


class CommandLeg(Leg):
    """One command."""

    __slots__ = ("_place", "_sink")

    def __init__(
        self,
        journeys: Journeys,
        part: Part,
        sink: Sink,
        place: int,
        deadline_ns: int,
        *,
        resendable: bool,
        blocking: bool,
    ) -> None:
        super().__init__(journeys, part, deadline_ns, resendable=resendable, blocking=blocking)
        self._sink = sink
        self._place = place

    def is_wanted(self, now_ns: int) -> bool:
        """`Call`: as its sink says."""
        return self._sink.is_wanted(now_ns)

    def _pack(self) -> bytes:
        return pack_command(tuple(self.arguments))

    def _receive(self, reply: Any) -> bool:
        if type(reply) is ReplyError and self._journeys.redirected(self, str(reply)):
            return True
        self._end()
        self._sink.take(self._place, reply)
        return True

    def _abandon(self) -> None:
        self._sink.abandon()

    def _give_up(self, code: int, message: str) -> None:
        self._sink.fail(self._place, code, message)


class TransactionLeg(Leg):
    """One transaction, whole. If a redirection kept any of it from running, none of it ran, and all of it goes on."""

    __slots__ = ("_call", "_replies")

    def __init__(self, journeys: Journeys, part: Part, call: BatchCall) -> None:
        super().__init__(journeys, part, call.deadline_ns, resendable=call.repeatable, blocking=False)
        self._call = call
        self._replies: list[Any] = []

    def is_wanted(self, now_ns: int) -> bool:
        """`Call`: as the client's call says."""
        return self._call.is_wanted(now_ns)

    def _pack(self) -> bytes:
        self._replies = []
        return self._call.pack()

    def _receive(self, reply: Any) -> bool:
        replies = self._replies
        replies.append(reply)
        if len(replies) < len(self._call.commands) + 2:
            return False
        if isinstance(reply, ReplyError) and self._follow(replies):
            return True
        self._end()
        for each in replies:
            self._call.receive(each)
        return True

    def _abandon(self) -> None:
        self._call.abandon()

    def _give_up(self, code: int, message: str) -> None:
        self._call.fail(code, message)

    def _follow(self, replies: list[Any]) -> bool:
        """EXEC was refused: redirected itself, or because one of the commands was."""
        errors = [str(reply) for reply in (replies[-1], *replies[1:-1]) if isinstance(reply, ReplyError)]
        return any(self._journeys.redirected(self, error) for error in errors)
