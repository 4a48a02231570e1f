"""All groups, one after another, and their results."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from comparison import machine
from comparison.groups import (
    cluster,
    concurrent,
    evictions,
    fan_out,
    growth,
    many_keys,
    misses,
    other_kinds,
    processes,
    starvation,
    string_hits,
    traffic,
)
from comparison.rows import LeftOut
from comparison.stand import stand

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from comparison.rows import Group
    from comparison.scale import Scale
    from comparison.stand import Stand

GROUPS: dict[str, Callable[[Stand, Scale], Group]] = {
    "blocking": string_hits.measure_blocking,
    "awaited": string_hits.measure_awaited,
    "hash": other_kinds.measure_hash,
    "set": other_kinds.measure_set,
    "get-many": string_hits.measure_many,
    "large": other_kinds.measure_large,
    "processes": processes.measure,
    "evictions": evictions.measure,
    "growth": growth.measure,
    "misses": misses.measure,
    "large-misses": misses.measure_large,
    "cluster": cluster.measure,
    "waiters": fan_out.measure,
    "concurrent": concurrent.measure,
    "starvation": starvation.measure,
    "traffic": traffic.measure,
    "many-keys": many_keys.measure,
}
"""The groups to choose from, in the order of the report; the largest data come last."""

NAMES = tuple(GROUPS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """The results of one whole run."""

    environment: dict[str, Any]
    scale: Scale
    seconds: float
    groups: dict[str, Group]
    left_out: dict[str, str]
    """The measures that could not be made here, with the reason."""


def measure(names: Sequence[str], scale: Scale) -> Results:
    """Measure the groups of these names, on servers of their own."""
    start = time.monotonic()
    load_before, _, _ = os.getloadavg()
    groups: dict[str, Group] = {}
    left_out: dict[str, str] = {}
    with stand() as servers:
        for name in (name for name in NAMES if name in names):
            print(f"measuring: {name}", file=sys.stderr, flush=True)
            try:
                groups[name] = GROUPS[name](servers, scale)
            except LeftOut as reason:
                left_out[f"group {name}"] = str(reason)
            else:
                left_out |= groups[name].left_out
        environment = machine.describe(servers) | {"load_before": load_before}
    return Results(
        environment=environment,
        scale=scale,
        seconds=time.monotonic() - start,
        groups=groups,
        left_out=left_out,
    )
