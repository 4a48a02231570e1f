"""The order in which `top` lists caches: what an operator looks for is first."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from glidecached.cli.top.rates import CacheFigures
    from glidecached.cli.top.sparkline_history import SparklineHistory

_RECENT = 10
"""The number of moments whose mean says how busy a cache is. By the last one alone, rows would move all the time."""


class Order(Enum):
    """An order, its value what it is called on the screen."""

    BUSIEST = "busiest first"
    LARGEST = "largest first"
    NAME = "by name"

    @property
    def following(self) -> Order:
        """Return the next one, in turn."""
        orders = list(Order)
        return orders[(orders.index(self) + 1) % len(orders)]


def ordered(caches: Iterable[CacheFigures], history: SparklineHistory, order: Order) -> list[CacheFigures]:
    """Return the caches in that order; those that are equal in it by name."""

    def place(cache: CacheFigures) -> tuple[float, str]:
        if order is Order.BUSIEST:
            recent = history.of(cache.asked_as)[-_RECENT:]
            return -sum(moment.lookups_per_s or 0.0 for moment in recent) / _RECENT, cache.asked_as
        if order is Order.LARGEST:
            return -cache.charged_bytes, cache.asked_as
        return 0, cache.asked_as

    return sorted(caches, key=place)
