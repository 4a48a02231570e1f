"""Counters of upstreams by label, which only grow: several upstreams may share a label, and each may end."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Totals:
    """The sums by label, which never become smaller while the label exists.

    Prometheus takes a counter that falls for one that began again at 0, and adds its whole value to the rate. So the
    counts of an upstream stay in the sum of its label when it ends. A label without upstreams is forgotten.
    """

    def __init__(self) -> None:
        self._past: dict[str, tuple[Sequence[float], list[float]]] = {}

    def advance(self, sums: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
        """Return the totals for these sums of the remaining upstreams. The sums must be later than the last call's."""
        past = {}
        totals = {}
        for label, now in sums.items():
            before, ended = self._past.get(label, (now, [0.0] * len(now)))
            ended = [lost + max(0, old - new) for lost, old, new in zip(ended, before, now, strict=True)]
            past[label] = now, ended
            totals[label] = [new + lost for new, lost in zip(now, ended, strict=True)]
        self._past = past
        return totals
