"""The routing of commands: to the node of their keys, to several nodes, or to any; and the combination of replies.

The rules are GLIDE's: https://valkey.io/valkey-glide-docs/concepts/client-features/multi-slot-command-handling and the
routing table of its core.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from glidecache_shared.command_table import (
    ALL_NODES,
    ALL_PRIMARIES,
    NEEDS_ROUTE,
    SLOT_ARGUMENT,
    find_keys,
    row_of,
)
from glidecached.upstream.cluster.response_policy import POLICIES, first_error
from glidecached.upstream.cluster.slots import SLOTS, key_slot
from glidecached.upstream.target import Address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from glidecache_shared.command_table import Row
    from glidecached.upstream.cluster.response_policy import ResponsePolicy
    from glidecached.upstream.cluster.topology import Topology


class RoutingError(Exception):
    """The command has no valid destination: `args[0]` says why, and what would be right."""


class Part(NamedTuple):
    """One command for one node: its primary of a slot or one of its replicas, a node by address, or any primary."""

    arguments: Sequence[bytes]
    where: int | Address | None
    replica: bool = False


class RoutingPlan(NamedTuple):
    """A command's parts. With `policy` they have one answer together; without, there is one part."""

    parts: list[Part]
    policy: ResponsePolicy | None = None


_SLOT_PLACE = 2


def plan(arguments: Sequence[bytes], route: Route | None, topology: Topology) -> RoutingPlan:
    """Return the destination of a command, whose name comes first. Raises `RoutingError`."""
    if route is not None:
        return _routed(arguments, route, topology)
    row = row_of(arguments)
    keys = row.find_keys(arguments)
    if len(keys) == 1:
        return RoutingPlan([Part(arguments, key_slot(keys[0]))])
    if keys:
        return _split(arguments, row) if row.split else RoutingPlan([Part(arguments, one_slot(keys))])
    if row.spread == ALL_NODES:
        return _several(arguments, topology.nodes, row)
    if row.spread == ALL_PRIMARIES:
        return _several(arguments, topology.primaries, row)
    if row.spread == NEEDS_ROUTE:
        message = f"{row.name} concerns one node of a cluster: say which by a route"
        raise RoutingError(message)
    return RoutingPlan([Part(arguments, _slot_argument(arguments) if row.spread == SLOT_ARGUMENT else None)])


def plan_transaction(
    commands: Sequence[Sequence[bytes]], route: Route | None, topology: Topology
) -> tuple[int | Address | None, bool]:
    """Return the one destination of a transaction, and whether it may be a replica. Raises `RoutingError`."""
    if route is not None:
        part = _routed(commands[0], route, topology).parts[0]
        return part.where, part.replica
    keys = [key for command in commands for key in find_keys(command)]
    return (one_slot(keys) if keys else None), False


def one_slot(keys: Sequence[bytes]) -> int:
    """Return the slot of keys that must all be in one slot. Raises `RoutingError`."""
    slot: int = key_slot(keys[0])
    for key in keys:
        if key_slot(key) != slot:
            message = (
                f"CROSSSLOT Keys in request don't hash to the same slot: {keys[0]!r:.60} is of slot {slot}, "
                f"{key!r:.60} of slot {key_slot(key)}; keys with one hash tag, as in {{tag}}key, share a slot"
            )
            raise RoutingError(message)
    return slot


def _routed(arguments: Sequence[bytes], route: Route, topology: Topology) -> RoutingPlan:
    if isinstance(route, SlotRoute):
        return RoutingPlan([Part(arguments, route.slot, route.replica)])
    if isinstance(route, Address):
        if route not in topology.nodes:
            known = ", ".join(map(str, topology.nodes))
            message = f"the cluster has no node {route}; it has: {known}"
            raise RoutingError(message)
        return RoutingPlan([Part(arguments, route)])
    if route is MultiNodeRoute.RANDOM:
        return RoutingPlan([Part(arguments, None)])
    nodes = topology.nodes if route is MultiNodeRoute.ALL_NODES else topology.primaries
    return _several(arguments, nodes, row_of(arguments))


def _several(arguments: Sequence[bytes], nodes: Sequence[Address], row: Row) -> RoutingPlan:
    return RoutingPlan([Part(arguments, node) for node in nodes], POLICIES[row.policy])


def _split(arguments: Sequence[bytes], row: Row) -> RoutingPlan:
    """Make one command per slot: a server accepts keys of several slots in no command, even if it serves them all.

    Each part gets what follows the last key (the path of JSON.MGET).
    """
    step = row.split
    end = len(arguments) if row.last == -1 else len(arguments) + row.last + 1
    commands: dict[int, list[bytes]] = {}
    places: dict[int, list[int]] = {}
    for place in range(1, end, step):
        slot = key_slot(arguments[place])
        if slot not in commands:
            commands[slot] = [arguments[0]]
            places[slot] = []
        commands[slot] += arguments[place : place + step]
        places[slot].append(place)
    if len(commands) == 1:
        return RoutingPlan([Part(arguments, next(iter(commands)))])
    if (end - 1) % step:
        message = f"ERR wrong number of arguments for '{row.name.lower()}' command"
        raise RoutingError(message)
    parts = [Part([*command, *arguments[end:]], slot) for slot, command in commands.items()]
    if row.policy == "joined":
        return RoutingPlan(parts, _in_order(list(places.values()), end - 1))
    return RoutingPlan(parts, POLICIES[row.policy])


def _in_order(groups: list[list[int]], count: int) -> ResponsePolicy:
    """Return the policy that puts each part's values in the places of its keys in the command."""

    def put(_addresses: Sequence[Address | None], replies: Sequence[Any]) -> Any:
        error = first_error(replies)
        if error is not None:
            return error
        values: list[Any] = [None] * count
        for group, reply in zip(groups, replies, strict=True):
            for place, value in zip(group, reply, strict=True):
                values[place - 1] = value
        return values

    return put


def with_answers_by_key(policy: ResponsePolicy) -> ResponsePolicy:
    """Return the policy for parts that have, behind the reply of the command, one more reply for each of its keys.

    `policy` combines replies that are lists of values by key; the answers behind them are such a list, too.
    """

    def combine(addresses: Sequence[Address | None], replies: Sequence[Any]) -> Any:
        values = policy(addresses, [reply[0] for reply in replies])
        return [values, *policy(addresses, [reply[1:] for reply in replies])]

    return combine


def _slot_argument(arguments: Sequence[bytes]) -> int | None:
    """Return the slot of a command about a slot; None, for any primary, where there is no valid one."""
    if len(arguments) <= _SLOT_PLACE:
        return None
    text = arguments[_SLOT_PLACE]
    return int(text) if text.isdigit() and len(text) < 6 and int(text) < SLOTS else None  # noqa: PLR2004


class MultiNodeRoute(Enum):
    """A route that names no node."""

    RANDOM = "random"
    ALL_NODES = "all_nodes"
    ALL_PRIMARIES = "all_primaries"


class SlotRoute(NamedTuple):
    """The node that serves a slot: its primary, or one of its replicas if it has any."""

    slot: int
    replica: bool


Route = MultiNodeRoute | SlotRoute | Address
"""`Address` is a node of the cluster by the name that the cluster itself gives it."""
