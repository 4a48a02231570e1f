"""The recent past of each cache as sparklines: one line for each value, its newest at the right."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from rich.text import Text
from textual.widgets import Static

from glidecached import formatting

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from glidecached.cli.top.rates import CacheFigures

LENGTH = 512
"""The number of moments that are kept: more than a terminal has columns."""

_BARS = "▁▂▃▄▅▆▇█"
_LABEL_WIDTH = 10
_VALUE_WIDTH = 11


class Moment(NamedTuple):
    """The values drawn for one moment of a cache; None leaves a gap."""

    hit_rate: float | None
    lookups_per_s: float | None
    fill: float | None


_GAP = Moment(hit_rate=None, lookups_per_s=None, fill=None)


class SparklineHistory:
    """The last `LENGTH` moments of each cache that there is; all of the same length in time."""

    def __init__(self) -> None:
        self._moments: dict[str, deque[Moment]] = {}

    def add(self, caches: Iterable[CacheFigures]) -> None:
        """Append one moment of every cache; caches that are no more are forgotten."""
        kept: dict[str, deque[Moment]] = {}
        for cache in caches:
            moments = self._moments.get(cache.asked_as) or deque(maxlen=LENGTH)
            moments.append(
                Moment(hit_rate=cache.hit_rate, lookups_per_s=cache.lookups_per_s, fill=cache.fill)
            )
            kept[cache.asked_as] = moments
        self._moments = kept

    def add_gap(self) -> None:
        """Append a moment in which the daemon was away."""
        for moments in self._moments.values():
            moments.append(_GAP)

    def of(self, cache: str) -> Sequence[Moment]:
        """Return the moments of one cache, the oldest first."""
        return list(self._moments.get(cache, ()))


def sparkline(values: Iterable[float | None], width: int, top: float | None = None) -> str:
    """Return the last `width` values as bars from 0 to `top`, or to the largest of those; None is a gap.

    Exactly `width` characters, the newest at the right. A bar once drawn moves to the left and does not change, unless
    the scale does.
    """
    if width <= 0:
        return ""
    shown = list(values)[-width:]
    if top is None:
        top = max((value for value in shown if value is not None), default=0.0)
    bars = "".join(" " if value is None else _bar(value, top) for value in shown)
    return bars.rjust(width)


def _bar(value: float, top: float) -> str:
    if top <= 0:
        return _BARS[0]
    return _BARS[min(len(_BARS) - 1, int(value / top * len(_BARS)))]


class Trends(Static):
    """The sparklines: hit rate and memory from 0 to 100 %, lookups from 0 to the most that is seen."""

    def __init__(self, *, id: str) -> None:
        super().__init__("", id=id)
        self._moments: Sequence[Moment] = ()

    def show(self, moments: Sequence[Moment]) -> None:
        """Draw these moments, the oldest first."""
        self._moments = moments
        self._draw()

    def on_resize(self) -> None:
        """Draw as much of the past as there is room for."""
        self._draw()

    def _draw(self) -> None:
        moments = self._moments
        rates = [each.hit_rate for each in moments]
        lookups = [each.lookups_per_s for each in moments]
        fills = [each.fill for each in moments]
        text = Text(no_wrap=True)
        for label, values, top, newest in (
            ("hit rate", rates, 1.0, formatting.share(rates[-1] if rates else None)),
            ("lookups/s", lookups, None, formatting.per_second(lookups[-1] if lookups else None)),
            ("memory", fills, 1.0, formatting.share(fills[-1] if fills else None)),
        ):
            width = self.size.width - _LABEL_WIDTH - _VALUE_WIDTH
            line = f"{label:<{_LABEL_WIDTH}}{sparkline(values, width, top)}{newest:>{_VALUE_WIDTH}}"
            text.append(line + "\n")
        text.rstrip()
        self.update(text)
