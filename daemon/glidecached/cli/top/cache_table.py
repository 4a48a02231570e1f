"""A table of numbers in fixed places: columns have fixed widths, and those that do not fit are left out."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from rich.text import Text
from textual.widgets import DataTable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from textual import events

    from glidecached.cli.top.rates import CacheFigures
    from glidecached.cli.top.sparklines import SparklineHistory

_PADDING = 1
_FIRST_LEAST = 14
_FIRST_MOST = 40


class Column(NamedTuple):
    """A column: its heading, the cells of a terminal that its values take, and how soon it may go.

    Where the terminal is too narrow, the columns with the largest `spare` go first. The first column of a table takes
    what room the others leave, and stays.
    """

    heading: str
    width: int
    spare: int = 0


Row = tuple[str, "Sequence[str]"]
"""A row's identity and its cells."""


def fitting(columns: Sequence[Column], width: int) -> list[int]:
    """Return the places of the columns to show in `width` cells."""
    places = list(range(len(columns)))

    def taken() -> int:
        return sum(columns[place].width for place in places[1:]) + 2 * _PADDING * len(places) + _FIRST_LEAST

    while len(places) > 1 and taken() > width:
        places.remove(max(places[1:], key=lambda place: (columns[place].spare, place)))
    return places


class Listing(DataTable[Text]):
    """A table with rows under `columns`. `selected` is the identity of the row under the cursor.

    Once the user has moved the cursor, or `hold` was called, it follows its row; until then it stays on the first.
    """

    def __init__(self, columns: Sequence[Column], *, id: str, selectable: bool = False) -> None:
        super().__init__(
            id=id, cursor_type="row", show_cursor=selectable, cell_padding=_PADDING, header_height=1
        )
        self.can_focus = selectable
        self._columns_known = columns
        self._places: list[int] = []
        self._room = 0
        self._rows_shown: list[Row] = []
        self._keys_laid_out: list[str] = []
        self._held = False

    @property
    def selected(self) -> str | None:
        """Return the identity of the row under the cursor; None in an empty table."""
        if not 0 <= self.cursor_row < len(self._keys_laid_out):
            return None
        return self._keys_laid_out[self.cursor_row]

    def hold(self) -> None:
        """Let the cursor follow its row from now on."""
        self._held = True

    def show(self, rows: Sequence[Row]) -> None:
        """Show these rows instead of those before."""
        self._rows_shown = list(rows)
        if not self._places:
            return  # no size is known yet: the first resize lays it out
        if len(rows) != len(self._keys_laid_out):
            self._lay_out_rows()
            return
        self._reorder()
        for number, (_, cells) in enumerate(rows):
            for column, place in enumerate(self._places):
                text = self._cell(place, cells[place])
                if self.get_cell_at((number, column)) != text:  # type: ignore[arg-type]  # a NamedTuple of two ints
                    self.update_cell_at((number, column), text)  # type: ignore[arg-type]

    def on_data_table_row_highlighted(self) -> None:
        """Handle a cursor that the user has moved: moves made by this class send no message."""
        self.hold()

    def on_resize(self, event: events.Resize) -> None:
        """Choose the columns again."""
        if event.size.width == self._room:
            return
        self._room = event.size.width
        self._places = fitting(self._columns_known, self._room)
        others = sum(self._columns_known[place].width for place in self._places[1:])
        first = self._room - others - 2 * _PADDING * len(self._places)
        selected = self.selected
        with self.prevent(DataTable.RowHighlighted):
            self.clear(columns=True)
            for place in self._places:
                known = self._columns_known[place]
                width = known.width if place else max(_FIRST_LEAST, min(_FIRST_MOST, first))
                self.add_column(self._cell(place, known.heading), width=width)
        self._lay_out_rows(selected)

    def _lay_out_rows(self, selected: str | None = None) -> None:
        selected = selected or self.selected
        with self.prevent(DataTable.RowHighlighted):
            self.clear()
            for _, cells in self._rows_shown:
                self.add_row(*(self._cell(place, cells[place]) for place in self._places))
        self._reorder(selected)

    def _reorder(self, selected: str | None = None) -> None:
        """Put the cursor on its row after the rows or their order have changed."""
        selected = selected or self.selected
        self._keys_laid_out = [key for key, _ in self._rows_shown]
        if self._held and selected in self._keys_laid_out:
            with self.prevent(DataTable.RowHighlighted):
                self.move_cursor(row=self._keys_laid_out.index(selected))

    def _cell(self, place: int, text: str) -> Text:
        return Text(text, justify="right" if place else "left", no_wrap=True, overflow="ellipsis")


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
