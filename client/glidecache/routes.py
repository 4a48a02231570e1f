"""A cluster command's nodes, if the caller chooses them: GLIDE's routes, and their form on the wire."""

from __future__ import annotations

from enum import Enum

from glidecache.errors import RequestError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias, TypeVar

    Answer = TypeVar("Answer")

    ClusterResponse: TypeAlias = Answer | dict[bytes, Answer]
    """One node's answer, or a map from address to answer if a command went to several nodes."""

    SingleNodeRoute: TypeAlias = "RandomNode | SlotKeyRoute | SlotIdRoute | ByAddressRoute"

_SLOTS = 16_384


class SlotType(Enum):
    """The node of the slot's shard: its primary, or one of its replicas, whatever the client's `read_from`."""

    PRIMARY = 1
    REPLICA = 2


class Route:
    """The base of the routes. `is_single_node`: whether the command goes to one node only."""

    __slots__ = ()

    is_single_node = True

    def as_wire(self) -> Any:
        """Return the route as it is sent to the daemon."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class AllNodes(Route):
    """The route to all primaries and replicas. Not for writes: replicas refuse them."""

    __slots__ = ()

    is_single_node = False

    def as_wire(self) -> Any:
        """Return the route as it is sent to the daemon."""
        return "all_nodes"


class AllPrimaries(Route):
    """The route to all primaries."""

    __slots__ = ()

    is_single_node = False

    def as_wire(self) -> Any:
        """Return the route as it is sent to the daemon."""
        return "all_primaries"


class RandomNode(Route):
    """The route to any one node. Not for writes: it may be a replica."""

    __slots__ = ()

    def as_wire(self) -> Any:
        """Return the route as it is sent to the daemon."""
        return "random"


class _SlotRoute(Route):
    __slots__ = ("slot_type",)

    def __init__(self, slot_type: SlotType) -> None:
        if not isinstance(slot_type, SlotType):
            message = f"slot_type must be a SlotType, not {type(slot_type).__name__}"
            raise TypeError(message)
        self.slot_type = slot_type

    @property
    def _role(self) -> str:
        return self.slot_type.name.lower()


class SlotKeyRoute(_SlotRoute):
    """The shard that holds this key."""

    __slots__ = ("slot_key",)

    def __init__(self, slot_type: SlotType, slot_key: str | bytes) -> None:
        super().__init__(slot_type)
        if not isinstance(slot_key, (str, bytes)):
            message = f"slot_key must be a str or bytes, not {type(slot_key).__name__}"
            raise TypeError(message)
        self.slot_key = slot_key

    def as_wire(self) -> Any:
        """Return the route as it is sent to the daemon."""
        key = self.slot_key
        return ["slot_key", key if isinstance(key, bytes) else key.encode(), self._role]

    def __repr__(self) -> str:
        return f"SlotKeyRoute({self.slot_type}, {self.slot_key!r})"


class SlotIdRoute(_SlotRoute):
    """The shard that holds this slot, 0 to 16383."""

    __slots__ = ("slot_id",)

    def __init__(self, slot_type: SlotType, slot_id: int) -> None:
        super().__init__(slot_type)
        if type(slot_id) is not int:
            message = f"slot_id must be an int, not {type(slot_id).__name__}"
            raise TypeError(message)
        if not 0 <= slot_id < _SLOTS:
            message = f"slot_id must be from 0 to {_SLOTS - 1}, not {slot_id}"
            raise ValueError(message)
        self.slot_id = slot_id

    def as_wire(self) -> Any:
        """Return the route as it is sent to the daemon."""
        return ["slot_id", self.slot_id, self._role]

    def __repr__(self) -> str:
        return f"SlotIdRoute({self.slot_type}, {self.slot_id})"


class ByAddressRoute(Route):
    """The node of this address, as the cluster itself names it; without `port`, `host` is `host:port`.

    Raises `RequestError` for an address without a port.
    """

    __slots__ = ("host", "port")

    def __init__(self, host: str, port: int | None = None) -> None:
        if not isinstance(host, str):
            message = f"host must be a str, not {type(host).__name__}"
            raise TypeError(message)
        if port is None:
            host, colon, digits = host.rpartition(":")
            if not colon or not digits.isdecimal():
                message = f"no port given, and host is not of the form host:port: {host}{colon}{digits}"
                raise RequestError(message)
            port = int(digits)
        self.host = host
        self.port = port

    def as_wire(self) -> Any:
        """Return the route as it is sent to the daemon."""
        return ["address", self.host, self.port]

    def __repr__(self) -> str:
        return f"ByAddressRoute({self.host!r}, {self.port})"


def need_route(route: object) -> None:
    """Raise `TypeError` unless it is a route, or None."""
    if route is not None and not isinstance(route, Route):
        message = f"route must be a Route, not {type(route).__name__}"
        raise TypeError(message)
