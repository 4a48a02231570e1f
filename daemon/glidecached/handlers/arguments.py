"""Reading the body of a request: exact types, and a clear message for each fault; routes, and batches of commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glidecache_shared.command_table import any_blocks, most_demanding, survey
from glidecache_shared.protocol import KIND_NAMES
from glidecached.formatting import shown
from glidecached.frontend.dispatcher import MalformedError
from glidecached.upstream.cluster.routing import MultiNodeRoute, SlotRoute
from glidecached.upstream.cluster.slots import SLOTS, key_slot
from glidecached.upstream.target import network_address

if TYPE_CHECKING:
    from collections.abc import Iterator

    from glidecached.upstream.cluster.routing import Route

_ROUTE_FORMS = (
    '"random", "all_nodes", "all_primaries", ["slot_key", key, "primary" | "replica"], '
    '["slot_id", 0 to 16383, "primary" | "replica"] or ["address", host, port]'
)
_MULTI_NODE_ROUTES = {route.value: route for route in MultiNodeRoute}
_IS_REPLICA = {"primary": False, "replica": True}

_AT_ONCE = 200
"""The commands of a batch that are checked in one slice: a fraction of a millisecond."""


def need_fields(body: list[Any], *names: str) -> None:
    """Refuse a body that does not have exactly these fields."""
    if len(body) != len(names):
        message = f"the body has {len(body)} fields; expected {len(names)}: {', '.join(names) or 'none'}"
        raise MalformedError(message)


def split_route(body: list[Any], *names: str) -> tuple[list[Any], Route | None]:
    """Split a body of these fields, and an optional route, into the fields and the route."""
    if len(body) != len(names) + 1:
        need_fields(body, *names)
        return body, None
    return body[:-1], read_route(body[-1])


def split_own_writes(body: list[Any], *names: str) -> tuple[list[Any], bool]:
    """Split a body of these fields, and an optional `own_writes`, into the fields and what it says."""
    if len(body) != len(names) + 1:
        need_fields(body, *names)
        return body, False
    need(body[-1], bool, "own_writes")
    return body[:-1], body[-1]


def need(value: Any, kind: type, name: str) -> None:
    """Refuse a field of another type; a bool is no int."""
    if type(value) is not kind:
        message = f"{name} is {type(value).__name__}; expected {kind.__name__}"
        raise MalformedError(message)


def need_command(value: Any) -> None:
    """Refuse a value that is no command: a list of byte strings, its name first."""
    if type(value) is not list or not value:
        message = "a command is a list of byte strings that begins with its name"
        raise MalformedError(message)
    need_all_bytes(value, "argument")


def need_all_bytes(values: list[Any], name: str) -> None:
    """Refuse a list with anything but byte strings."""
    for value in values:
        if type(value) is not bytes:
            message = f"{name} is {type(value).__name__}; expected bytes"
            raise MalformedError(message)


def need_kind(value: Any) -> None:
    """Refuse a value that is not one of the kinds of entry."""
    if type(value) is not int or value not in KIND_NAMES:
        message = f"kind {shown(value)} is unknown; expected one of {sorted(KIND_NAMES)}"
        raise MalformedError(message)


def read_route(value: Any) -> Route | None:
    """Read a route, or nil for none (docs/protocol.md). Raises `MalformedError` that says what is right."""
    if value is None:
        return None
    match value:
        case str() if value in _MULTI_NODE_ROUTES:
            return _MULTI_NODE_ROUTES[value]
        case ["slot_key", bytes(key), "primary" | "replica" as role]:
            return SlotRoute(key_slot(key), _IS_REPLICA[role])
        case ["slot_id", int(slot), "primary" | "replica" as role] if type(slot) is int and 0 <= slot < SLOTS:
            return SlotRoute(slot, _IS_REPLICA[role])
        case ["address", str(host), int(port)] if type(port) is int:
            try:
                return network_address(host, port)
            except ValueError as error:
                message = f"route: {error}"
                raise MalformedError(message) from error
    message = f"route {shown(value, 120)} is none; expected {_ROUTE_FORMS}"
    raise MalformedError(message)


class Screening:
    """The facts about a batch, once `steps` is exhausted. `steps` raises `MalformedError` for an invalid command.

    A batch is checked in one go while its commands are few, in slices when they are many (I10).
    """

    def __init__(self, commands: list[Any], *, atomic: bool) -> None:
        self._commands = commands
        self._atomic = atomic
        self._lanes: set[int] = set()
        self.refusal: str | None = None
        self.reads = True
        self.blocks = False
        """True if the server may keep a reply back. In a transaction nothing blocks."""

    @property
    def lane(self) -> int:
        """Return the lane of the most demanding member: a batch goes whole (isolation I3)."""
        return most_demanding(self._lanes)

    @property
    def fits_at_once(self) -> bool:
        """Return whether one slice is enough."""
        return len(self._commands) <= _AT_ONCE

    def steps(self) -> Iterator[None]:
        """Check all commands, up to the first one that is refused."""
        commands = self._commands
        for begin in range(0, len(commands), _AT_ONCE):
            if begin:
                yield None
            self._check(commands[begin : begin + _AT_ONCE])

    def _check(self, commands: list[Any]) -> None:
        # All elements must be commands: that error comes before the refusal of any one of them.
        for command in commands:
            need_command(command)
        if self.refusal is not None:
            return
        lane, reads, self.refusal = survey(commands, atomic=self._atomic)
        self._lanes.add(lane)
        self.reads = self.reads and reads
        self.blocks = self.blocks or (not self._atomic and any_blocks(commands))
