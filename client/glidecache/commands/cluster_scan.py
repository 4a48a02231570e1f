"""A scan over all keys of a cluster, node by node.

The cursor holds which slots are still to be scanned, which node is being scanned, which of these slots it had when
its scan began, and the node's own cursor. When the node's scan is over, the slots that it had then *and* has still are
done. A slot that was moved meanwhile is scanned again on its new node. So every key that exists during the whole scan
is returned at least once, by one node or another. A key may come twice, as with `SCAN` itself.

A node that is gone is replaced by the node that now has its slots. Two cases are not noticed. A slot may leave a node
and come back while that node is scanned. While a slot is moving, keys that have moved already may be missed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from glidecache.commands.command import Command
from glidecache.commands.encoding import keyword
from glidecache.commands.keys import scan_options
from glidecache.commands.options.server import ObjectType
from glidecache.errors import ConnectionError, RequestError
from glidecache.routes import ByAddressRoute

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from glidecache.commands.encoding import Argument
    from glidecache.routes import Route

    Run = Callable[[Command[Any], Route | None], Awaitable[Any]]
    Slots = int

# Sets of slots are integers here, a bit for each slot: a cursor is read and written with every step.
_ALL_SLOTS = (1 << 16_384) - 1
_NO_SLOTS = 0
_NODE_DONE = b"0"
_START = "0"
_FINISHED = "finished"


class ClusterScanCursor:
    """The position of a scan over all keys of a cluster. A new one begins; each `scan` returns the next one.

    Immutable, and nothing but its text, which `get_cursor` returns. Another process may continue from that text. Raises
    `TypeError` for anything but text.
    """

    __slots__ = ("_cursor",)

    def __init__(self, new_cursor: str | None = None) -> None:
        if not isinstance(new_cursor, (str, type(None))):
            message = f"new_cursor must be a str, not {type(new_cursor).__name__}"
            raise TypeError(message)
        self._cursor = new_cursor or _START

    def get_cursor(self) -> str:
        """Return the cursor as text."""
        return self._cursor

    def is_finished(self) -> bool:
        """Return whether the scan is over."""
        return self._cursor == _FINISHED

    def is_start(self) -> bool:
        """Return whether the scan has not begun."""
        return self._cursor == _START

    def __repr__(self) -> str:
        return f"ClusterScanCursor({self._cursor!r})"

    @classmethod
    def finished(cls) -> ClusterScanCursor:
        """Return the cursor of a scan that is over."""
        return cls(_FINISHED)


@dataclass(frozen=True, slots=True)
class Position:
    """The content of a cursor: the slots left, and the node being scanned, with its part of these slots."""

    left: Slots
    host: str = ""
    port: int = 0
    node_slots: Slots = _NO_SLOTS
    node_cursor: bytes = _NODE_DONE

    def as_cursor(self) -> ClusterScanCursor:
        """Return the position as the caller's cursor."""
        node = f"{self.host} {self.port} {self.node_cursor.decode()}"
        return ClusterScanCursor(f"{node} {self.left:x} {self.node_slots:x}")


class ClusterScan:
    """The steps of a scan with these options. Raises `TypeError` for options of other types."""

    def __init__(self, run: Run, match: Argument | None, count: int | None, type: ObjectType | None) -> None:
        """Prepare the steps. `run` sends a command to a node."""
        self._run = run
        self._options = scan_options(match, count)
        if type is not None:
            self._options += [b"TYPE", keyword(type, ObjectType, "type")]

    async def step(self, cursor: ClusterScanCursor, *, allow_non_covered_slots: bool) -> list[Any]:
        """Take one step from here: `[next cursor, [key, …]]`.

        Raises `RequestError` for a cursor that is finished or not from here, and, unless `allow_non_covered_slots`, if
        no node has a slot that is left.
        """
        position = _position(cursor)
        if not position.node_slots:
            begun = await self._begin_node(position, allow_non_covered_slots=allow_non_covered_slots)
            if begun is None:
                return [ClusterScanCursor.finished(), []]
            position = begun
        try:
            node_cursor, keys = await self._scan_node(position)
        except (ConnectionError, RequestError):
            owned = (await self._topology()).get((position.host, position.port), _NO_SLOTS)
            if owned & position.node_slots:
                raise  # the node exists and has its slots: that is the answer
            begun = await self._begin_node(
                Position(position.left), allow_non_covered_slots=allow_non_covered_slots
            )
            if begun is None:
                return [ClusterScanCursor.finished(), []]
            position = begun
            node_cursor, keys = await self._scan_node(position)
        if node_cursor != _NODE_DONE:
            return [replace(position, node_cursor=node_cursor).as_cursor(), keys]
        owned = (await self._topology()).get((position.host, position.port), _NO_SLOTS)
        left = position.left & ~(position.node_slots & owned)
        return [Position(left).as_cursor() if left else ClusterScanCursor.finished(), keys]

    async def _begin_node(self, position: Position, *, allow_non_covered_slots: bool) -> Position | None:
        """Return the same position at the node of the first slot that is left; None if no node has any."""
        topology = await self._topology()
        left = _NO_SLOTS
        for slots in topology.values():
            left |= slots & position.left
        missing = position.left & ~left
        if missing and not allow_non_covered_slots:
            message = (
                f"no node has slot {_lowest(missing).bit_length() - 1}, and {missing.bit_count() - 1} more: "
                "the scan cannot go on without them, unless allow_non_covered_slots=True"
            )
            raise RequestError(message)
        for (host, port), slots in topology.items():
            if slots & _lowest(left):
                return Position(left, host, port, slots & left)
        return None

    async def _scan_node(self, position: Position) -> list[Any]:
        command: Command[list[Any]] = Command([b"SCAN", position.node_cursor, *self._options])
        return await self._run(command, ByAddressRoute(position.host, position.port))  # type: ignore[no-any-return]

    async def _topology(self) -> dict[tuple[str, int], Slots]:
        """Return the slots of each primary."""
        return _owners(await self._run(Command([b"CLUSTER", b"SLOTS"]), None))


def _owners(reply: list[list[Any]]) -> dict[tuple[str, int], Slots]:
    """Convert a `CLUSTER SLOTS` reply to the slots of each primary."""
    owners: dict[tuple[str, int], Slots] = {}
    for first, last, (host, port, *_), *_ in reply:
        address = ((host or b"").decode(), port)
        owners[address] = owners.get(address, _NO_SLOTS) | ((1 << last + 1) - (1 << first))
    return owners


def _lowest(slots: Slots) -> Slots:
    """Return the lowest slot alone."""
    return slots & -slots


def _position(cursor: ClusterScanCursor) -> Position:
    if not isinstance(cursor, ClusterScanCursor):
        message = f"cursor must be a ClusterScanCursor, not {type(cursor).__name__}"
        raise TypeError(message)
    if cursor.is_finished():
        message = "the scan is over: is_finished() of its cursor says so; begin another one with ClusterScanCursor()"
        raise RequestError(message)
    if cursor.is_start():
        return Position(_ALL_SLOTS)
    try:
        host, port, node_cursor, left, node_slots = cursor.get_cursor().split(" ")
        position = Position(int(left, 16), host, int(port), int(node_slots, 16), b"%d" % int(node_cursor))
    except ValueError:
        position = None
    if position is None or not 0 < position.left <= _ALL_SLOTS or position.node_slots & ~position.left:
        message = f"not a cursor of a cluster's scan: {cursor.get_cursor()!r:.100}"
        raise RequestError(message)
    return position
