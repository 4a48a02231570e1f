"""Reading a route: where in a cluster the client wants its command to go (docs/protocol.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glidecached.formatting import shown
from glidecached.frontend.dispatcher import MalformedError
from glidecached.upstream.cluster.routing import MultiNodeRoute, SlotRoute
from glidecached.upstream.cluster.slots import SLOTS, key_slot
from glidecached.upstream.target import network_address

if TYPE_CHECKING:
    from glidecached.upstream.cluster.routing import Route

_FORMS = (
    '"random", "all_nodes", "all_primaries", ["slot_key", key, "primary" | "replica"], '
    '["slot_id", 0 to 16383, "primary" | "replica"] or ["address", host, port]'
)
_SPREADS = {spread.value: spread for spread in MultiNodeRoute}
_IS_REPLICA = {"primary": False, "replica": True}


def read_route(value: Any) -> Route | None:
    """Read a route, or nil for none. Raises `MalformedError` that says what is right."""
    if value is None:
        return None
    match value:
        case str() if value in _SPREADS:
            return _SPREADS[value]
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
    message = f"route {shown(value, 120)} is none; expected {_FORMS}"
    raise MalformedError(message)
