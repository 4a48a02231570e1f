"""Watched keys of a cluster: one connection of the watch's own to each primary that serves some of them.

As in GLIDE, the keys may be of several slots; a transaction is of one. The primary of its slot runs it, and EXEC checks
the keys that are watched there. Before that, an empty transaction asks each other primary whether its watched keys are
unchanged, which GLIDE does not do. A change there between that answer and the EXEC is not noticed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glidecache_shared.protocol import ERROR_BUSY, ERROR_CONNECTION, ERROR_REQUEST
from glidecached.upstream.call import BatchCall, SingleCall
from glidecached.upstream.cluster.response_policy import first_error
from glidecached.upstream.cluster.routing import RoutingError, plan_transaction
from glidecached.upstream.cluster.slots import key_slot

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from glidecached.upstream.call import Call
    from glidecached.upstream.cluster.node_request import ClusterDispatcher
    from glidecached.upstream.cluster.nodes import Nodes
    from glidecached.upstream.dedicated import ReservationHolder, Reserved
    from glidecached.upstream.target import Address

_ENDED = "a connection that watched keys has ended; nothing was run"


class ReservedOverNodes:
    """One holder's reservation for watched keys, like `dedicated.Reserved`, on any primaries. For the loop's thread."""

    def __init__(self, dispatcher: ClusterDispatcher, nodes: Nodes, holder: ReservationHolder) -> None:
        self._dispatcher = dispatcher
        self._nodes = nodes
        self._holder = holder
        self._reserved: dict[Address, Reserved] = {}
        self._ended = False

    def reserve(self, keys: Sequence[bytes]) -> str | None:
        """Reserve the connections that these keys need in addition. Return why that was not possible, or None."""
        for slot in dict.fromkeys(map(key_slot, keys)):
            reserved = self._at(slot, keys)
            if isinstance(reserved, str):
                return reserved
        return None

    def submit(self, call: Call, *, last: bool = False) -> None:
        """Send a WATCH to its keys' primaries; as the `last` call UNWATCH to all, or a transaction to its primary."""
        if isinstance(call, BatchCall):
            self._execute(call)
        elif last:
            self._unwatch(call)
        elif isinstance(call, SingleCall):
            self._watch(call)

    def close(self) -> None:
        """Close the connections; open calls fail. Idempotent."""
        self._ended = True
        reserved, self._reserved = self._reserved, {}
        for each in reserved.values():
            each.close()

    def connection_ended(self) -> None:
        """Implement `dedicated.ReservationHolder`: the watch ends with any of its connections."""
        if not self._ended:
            self.close()
            self._holder.connection_ended()

    def _at(self, slot: int, keys: Sequence[bytes]) -> Reserved | str:
        """Return the reservation at the primary of a slot, made if there is none; or why it cannot be made."""
        topology = self._dispatcher.topology
        address = None if topology is None else topology.primary(slot)
        if address is None:
            return f"CLUSTERDOWN no node serves slot {slot}"
        known = self._reserved.get(address)
        if known is not None:
            return known
        reserved = self._nodes.at(address).upstream.reserve(keys, self)
        if not isinstance(reserved, str):
            self._reserved[address] = reserved
        return reserved

    def _watch(self, call: SingleCall) -> None:
        by_slot: dict[int, list[bytes]] = {}
        for key in call.arguments[1:]:
            by_slot.setdefault(key_slot(key), []).append(key)
        parted = _PartedCall(
            call, len(by_slot), lambda replies: call.succeed(first_error(replies) or replies[0])
        )
        for slot, keys in by_slot.items():
            reserved = self._at(slot, keys)
            if isinstance(reserved, str):
                parted.fail(ERROR_BUSY, reserved)
                return
            reserved.submit(_CommandPart((b"WATCH", *keys), parted))

    def _unwatch(self, call: Call) -> None:
        reserved, self._reserved = self._reserved, {}
        self._ended = True
        if not reserved:
            call.fail(ERROR_CONNECTION, _ENDED)
            return
        parted = _PartedCall(
            call, len(reserved), lambda replies: call.succeed(first_error(replies) or replies[0])
        )
        for each in reserved.values():
            each.submit(_CommandPart((b"UNWATCH",), parted), last=True)

    def _execute(self, call: BatchCall) -> None:
        """Ask the other primaries before its own runs it."""
        runs = self._runner(call)
        if runs is None:
            self.close()
            return
        others = [each for each in self._reserved.values() if each is not runs]
        self._reserved = {address: each for address, each in self._reserved.items() if each is runs}
        if not others:
            self._run(call, runs)
            return

        def checked(outcomes: list[Any]) -> None:
            if self._ended:
                call.fail(ERROR_CONNECTION, _ENDED)
            elif None in outcomes:
                self.close()
                call.succeed(None)
            else:
                self._run(call, runs)

        parted = _PartedCall(call, len(others), checked, self.close)
        for each in others:
            each.submit(_CheckPart(parted), last=True)

    def _runner(self, call: BatchCall) -> Reserved | None:
        """Return the connection for a transaction: by its keys, or without keys any watching one. None: it failed."""
        topology = self._dispatcher.topology
        if topology is None or self._ended:
            call.fail(ERROR_CONNECTION, _ENDED)
            return None
        try:
            slot, _ = plan_transaction(call.commands, None, topology)
        except RoutingError as error:
            call.fail(ERROR_REQUEST, f"{error}; nothing was run")
            return None
        if not isinstance(slot, int):
            return next(iter(self._reserved.values()))
        reserved = self._at(slot, ())
        if isinstance(reserved, str):
            call.fail(ERROR_BUSY, reserved)
            return None
        return reserved

    def _run(self, call: BatchCall, runs: Reserved) -> None:
        self._reserved = {}
        self._ended = True
        runs.submit(call, last=True)


class _PartedCall:
    """One call, asked in parts: it is answered when all are, and fails with the first that fails."""

    def __init__(
        self,
        call: Call,
        parts: int,
        done: Callable[[list[Any]], object],
        failed: Callable[[], object] = lambda: None,
    ) -> None:
        self.call = call
        self._parts = parts
        self._done = done
        self._failed = failed
        self._replies: list[Any] = []
        self._ended = False

    def collect(self, reply: Any) -> None:
        """Take the reply to one part."""
        self._replies.append(reply)
        if len(self._replies) == self._parts and not self._ended:
            self._ended = True
            self._done(self._replies)

    def fail(self, code: int, message: str) -> None:
        """Fail the call, because one part failed."""
        if not self._ended:
            self._ended = True
            self._failed()
            self.call.fail(code, message)

    def abandon(self) -> None:
        """Abandon the call: it ended before a part was sent."""
        if not self._ended:
            self._ended = True
            self._failed()
            self.call.abandon()


class _Part:
    """The common base of a call's parts: they share its deadline and its outcome."""

    __slots__ = ()
    parted: _PartedCall

    def is_wanted(self, now_ns: int) -> bool:
        return self.parted.call.is_wanted(now_ns)

    def abandon(self) -> None:
        self.parted.abandon()

    def succeed(self, reply: Any) -> None:
        self.parted.collect(reply)

    def fail(self, code: int, message: str) -> None:
        self.parted.fail(code, message)


class _CommandPart(_Part, SingleCall):
    """One command of a call that is asked in parts."""

    __slots__ = ("parted",)

    def __init__(self, arguments: tuple[bytes, ...], parted: _PartedCall) -> None:
        super().__init__(arguments, parted.call.deadline_ns, repeatable=False)
        self.parted = parted


class _CheckPart(_Part, BatchCall):
    """An empty transaction: its result is None if a key that is watched on its connection has changed."""

    __slots__ = ("parted",)

    def __init__(self, parted: _PartedCall) -> None:
        super().__init__([], parted.call.deadline_ns, atomic=True, repeatable=False)
        self.parted = parted
