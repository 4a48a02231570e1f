"""The selected cache's recent past: one sparkline a line, its newest value at the right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text
from textual.widgets import Static

from glidecached.cli.top.sparkline_history import sparkline
from glidecached.stats import formatting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from glidecached.cli.top.sparkline_history import Moment

_LABEL_WIDTH = 10
_VALUE_WIDTH = 11


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
