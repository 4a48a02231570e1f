"""The route that a client chooses for a command, if it is not the node of its keys."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from glidecached.upstream.target import Address


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
