"""Detours: a second connection for other clients while one client's call holds a connection up (isolation I6).

A server can delay the reply to a write (`CLIENT PAUSE … WRITE`, a fail-over). A long reply delays those behind it while
it arrives. Both hold up every later call on the same connection. Then:

- Reads of other clients that were sent already are sent again on a second connection. The first one's answers to them
  are dropped.
- New reads of other clients take the second connection. Their writes do so behind a long reply. Behind a held write
  they would be held as well, so they stay.
- A client with a call on the first connection that cannot be sent again stays there with all its calls. That keeps
  the order of its commands (contract C23).

When the first connection is idle, the second takes its place. When the second is idle first, all return.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from glidecached.upstream.call import Call
from glidecached.upstream.long_replies import LONG_REPLIES

if TYPE_CHECKING:
    from glidecached.command_order import CommandOrder
    from glidecached.upstream.connection import Connection

USUAL, DETOUR, PINNED = 0, 1, 2
"""The ways of a call (`Call.travel`): as always, on the second connection, or behind its own client's held call."""


class Hold:
    """The call that holds a connection up, and the sessions that have to stay on it."""

    def __init__(self, connection: Connection, *, is_long: bool) -> None:
        self.pinned: set[CommandOrder] = set()
        self.over = False
        self.later: list[Call] = []
        """Calls for the first connection, once their clients have nothing open on the second."""
        self._connection = connection
        self._head = connection.waiting[0]
        self._is_long = is_long

    def pin(self, call: Call) -> None:
        """Keep the call's clients on the first connection."""
        self.pinned.update(call.clients())

    def is_free(self, call: Call) -> bool:
        """Return whether the call may be sent on the second connection now: not if it would hold that up as well."""
        if LONG_REPLIES.has_call(call):
            return False
        return call.may_move() and self.pinned.isdisjoint(call.clients())

    def has_to_wait(self, call: Call) -> bool:
        """Return whether a call would overtake its client's open calls on the detour, or other calls that wait."""
        clients = call.clients()
        if self.later and not {client for each in self.later for client in each.clients()}.isdisjoint(
            clients
        ):
            return True
        stays = not call.may_move() and not self._is_long and self.pinned.isdisjoint(clients)
        return stays and any(client.open > 1 for client in clients)

    def take_free(self) -> list[Call]:
        """Return the calls that have waited long enough, in their order; from now on their clients stay."""
        waiting = Counter(client for call in self.later for client in call.clients())
        free = [
            call for call in self.later if all(client.open <= waiting[client] for client in call.clients())
        ]
        self.later = [call for call in self.later if call not in free]
        for call in free:
            self.pin(call)
        return free

    def takes_detour(self, call: Call) -> bool:
        """Return whether a new call takes the detour; pin its clients if it has to stay."""
        clients = call.clients()
        if not self.pinned.isdisjoint(clients):
            return False
        if self.over:
            # Clients return once they have nothing open on the detour.
            return any(client.open > 1 for client in clients)
        if call.may_move() or (self._is_long and clients):
            return True
        self.pinned.update(clients)
        return False

    def extend(self, connection: Connection) -> None:
        """Continue: the next reply is long, too."""
        self._connection = connection
        self._head = connection.waiting[0]
        self.over = False

    def check(self, connection: Connection | None) -> None:
        """Check whether the call that holds the connection up has been answered, or the connection is another."""
        if connection is None or connection is not self._connection or not connection.waiting:
            self.over = True
        elif connection.waiting[0] is not self._head:
            self.over = not (self._is_long and LONG_REPLIES.has_call(connection.waiting[0]))
            self._head = connection.waiting[0]


class DroppedReplies(Call):
    """The place of a call that was sent again elsewhere: its replies on the first connection are dropped."""

    __slots__ = ("_left",)

    def __init__(self, replies: int) -> None:
        super().__init__(2**63 - 1, repeatable=False)
        self._left = replies

    def receive(self, reply: Any) -> bool:
        """Implement `Call`."""
        del reply
        self._left -= 1
        return self._left <= 0

    def is_wanted(self, now_ns: int) -> bool:
        """Implement `Call`: return False, so that the order of the replies behind it is proved."""
        del now_ns
        return False

    def replies_left(self) -> int:
        """Implement `Call`."""
        return self._left

    def abandon(self) -> None:
        """Implement `Call`."""

    def succeed(self, reply: Any) -> None:
        """Implement `Call`."""

    def fail(self, code: int, message: str) -> None:
        """Implement `Call`."""
