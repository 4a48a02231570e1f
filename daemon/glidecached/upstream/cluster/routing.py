"""Where commands go: to the node of their keys, to several nodes, or to any; and how several replies become one.

What GLIDE does by default: https://valkey.io/valkey-glide-docs/concepts/client-features/multi-slot-command-handling
and the routing table of its core.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from glidecached.upstream.cluster import combine
from glidecached.upstream.cluster.keys import CONTAINERS, find_keys
from glidecached.upstream.cluster.route import SlotRoute, Spread
from glidecached.upstream.cluster.slots import SLOTS, key_slot
from glidecached.upstream.identity import Address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from glidecached.upstream.cluster.combine import Combine
    from glidecached.upstream.cluster.route import Route
    from glidecached.upstream.cluster.topology import Topology


class RoutingError(Exception):
    """The command cannot be sent anywhere: `args[0]` says why, and what would be right."""


class Part(NamedTuple):
    """One command for one node: its primary of a slot or one of its replicas, a node by address, or any primary."""

    arguments: Sequence[bytes]
    where: int | Address | None
    replica: bool = False


class Plan(NamedTuple):
    """A command's parts. With `combine` they have one answer together; without, there is one part."""

    parts: list[Part]
    combine: Combine | None = None


def _rows(**rows: str) -> dict[bytes, Combine]:
    return {
        name.replace("_", " ").encode(): getattr(combine, policy)
        for policy, names in rows.items()
        for name in names.split()
    }


# The words of one name are joined by "_".
_ALL_NODES: dict[bytes, Combine] = _rows(
    all_succeeded="ACL_DELUSER ACL_SAVE ACL_SETUSER CONFIG_RESETSTAT CONFIG_REWRITE CONFIG_SET SCRIPT_FLUSH "
    "SCRIPT_LOAD SLOWLOG_RESET",
    total="PUBSUB_NUMPAT SLOWLOG_LEN",
    joined="PUBSUB_CHANNELS PUBSUB_SHARDCHANNELS SLOWLOG_GET",
    summed_map="PUBSUB_NUMSUB PUBSUB_SHARDNUMSUB",
    one_succeeded="FUNCTION_KILL SCRIPT_KILL",
    by_node="FUNCTION_STATS",
)
_ALL_PRIMARIES: dict[bytes, Combine] = _rows(
    all_succeeded="CLIENT_PAUSE CLIENT_UNPAUSE FLUSHALL FLUSHDB FUNCTION_DELETE FUNCTION_FLUSH FUNCTION_LOAD "
    "FUNCTION_RESTORE MEMORY_PURGE PING SAVE",
    total="DBSIZE LATENCY_RESET",
    least="WAIT",
    least_of_each="WAITAOF",
    everywhere="SCRIPT_EXISTS",
    joined="KEYS",
    first_found="RANDOMKEY",
    by_node="BGREWRITEAOF BGSAVE INFO LATENCY_DOCTOR LATENCY_GRAPH LATENCY_HISTOGRAM LATENCY_HISTORY LATENCY_LATEST "
    "MEMORY_DOCTOR MEMORY_MALLOC-STATS MEMORY_STATS",
)
_SPLIT: dict[bytes, int] = {b"DEL": 1, b"EXISTS": 1, b"MGET": 1, b"MSET": 2, b"TOUCH": 1, b"UNLINK": 1}
"""Commands that are split by slot, and how many arguments belong together there."""

_NEED_ROUTE = frozenset(b"SCAN SHUTDOWN SLAVEOF REPLICAOF FAILOVER".split())
_OF_SLOT = frozenset(
    b"CLUSTER " + name
    for name in b"ADDSLOTS COUNTKEYSINSLOT DELSLOTS DELSLOTSRANGE GETKEYSINSLOT SETSLOT".split()
)
_SLOT_PLACE = 2


def plan(arguments: Sequence[bytes], route: Route | None, topology: Topology) -> Plan:
    """Where to send a command, its name first. Raises `RoutingError`."""
    if route is not None:
        return _routed(arguments, route, topology)
    keys = find_keys(arguments)
    if len(keys) == 1:
        return Plan([Part(arguments, key_slot(keys[0]))])
    if keys:
        step = _SPLIT.get(arguments[0].upper())
        if step is not None:
            return _split(arguments, step)
        return Plan([Part(arguments, one_slot(keys))])
    name = _full_name(arguments)
    if name in _ALL_NODES:
        return _several(arguments, topology.nodes, _ALL_NODES[name])
    if name in _ALL_PRIMARIES:
        return _several(arguments, topology.primaries, _ALL_PRIMARIES[name])
    if name in _NEED_ROUTE:
        message = f"{name.decode()} concerns one node of a cluster: say which by a route"
        raise RoutingError(message)
    return Plan([Part(arguments, _slot_argument(name, arguments))])


def plan_transaction(
    commands: Sequence[Sequence[bytes]], route: Route | None, topology: Topology
) -> tuple[int | Address | None, bool]:
    """The one place of a whole transaction, and whether it may be a replica. Raises `RoutingError`."""
    if route is not None:
        part = _routed(commands[0], route, topology).parts[0]
        return part.where, part.replica
    keys = [key for command in commands for key in find_keys(command)]
    return (one_slot(keys) if keys else None), False


def one_slot(keys: Sequence[bytes]) -> int:
    """The slot of keys that must not be of several. Raises `RoutingError`."""
    slot = key_slot(keys[0])
    for key in keys:
        if key_slot(key) != slot:
            message = (
                f"CROSSSLOT Keys in request don't hash to the same slot: {keys[0]!r:.60} is of slot {slot}, "
                f"{key!r:.60} of slot {key_slot(key)}; keys with one hash tag, as in {{tag}}key, share a slot"
            )
            raise RoutingError(message)
    return slot


def _routed(arguments: Sequence[bytes], route: Route, topology: Topology) -> Plan:
    if isinstance(route, SlotRoute):
        return Plan([Part(arguments, route.slot, route.replica)])
    if isinstance(route, Address):
        if route not in topology.nodes:
            known = ", ".join(map(str, topology.nodes))
            message = f"the cluster has no node {route}; it has: {known}"
            raise RoutingError(message)
        return Plan([Part(arguments, route)])
    if route is Spread.RANDOM:
        return Plan([Part(arguments, None)])
    name = _full_name(arguments)
    policy = _ALL_NODES.get(name) or _ALL_PRIMARIES.get(name) or combine.by_node
    return _several(arguments, topology.nodes if route is Spread.ALL_NODES else topology.primaries, policy)


def _several(arguments: Sequence[bytes], nodes: Sequence[Address], policy: Combine) -> Plan:
    return Plan([Part(arguments, node) for node in nodes], policy)


def _split(arguments: Sequence[bytes], step: int) -> Plan:
    """One command per slot: a server takes keys of several slots in no command, not even if it serves them all."""
    name = arguments[0]
    commands: dict[int, list[bytes]] = {}
    places: dict[int, list[int]] = {}
    for place in range(1, len(arguments), step):
        slot = key_slot(arguments[place])
        if slot not in commands:
            commands[slot] = [name]
            places[slot] = []
        commands[slot] += arguments[place : place + step]
        places[slot].append(place)
    if len(commands) == 1:
        return Plan([Part(arguments, next(iter(commands)))])
    if len(arguments) % step != 1 % step:
        message = f"ERR wrong number of arguments for '{name.decode(errors='replace').lower()}' command"
        raise RoutingError(message)
    parts = [Part(command, slot) for slot, command in commands.items()]
    upper = name.upper()
    if upper == b"MGET":
        return Plan(parts, _in_order(list(places.values()), len(arguments) - 1))
    return Plan(parts, combine.all_succeeded if upper == b"MSET" else combine.total)


def _in_order(groups: list[list[int]], count: int) -> Combine:
    """Put the values of each part where its keys stood in the command."""

    def put(_addresses: Sequence[Address | None], replies: Sequence[Any]) -> Any:
        error = combine.first_error(replies)
        if error is not None:
            return error
        values: list[Any] = [None] * count
        for group, reply in zip(groups, replies, strict=True):
            for place, value in zip(group, reply, strict=True):
                values[place - 1] = value
        return values

    return put


def _full_name(arguments: Sequence[bytes]) -> bytes:
    name = arguments[0].upper()
    if name in CONTAINERS and len(arguments) > 1:
        return name + b" " + arguments[1].upper()
    return name


def _slot_argument(name: bytes, arguments: Sequence[bytes]) -> int | None:
    """The slot of a command about a slot; None, for any primary, where there is no valid one."""
    if name not in _OF_SLOT or len(arguments) <= _SLOT_PLACE:
        return None
    text = arguments[_SLOT_PLACE]
    return int(text) if text.isdigit() and len(text) < 6 and int(text) < SLOTS else None  # noqa: PLR2004
