"""Tables as plain text, which fit the terminal: one line a row, or where that is too wide one line a value."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_GAP = "  "
_INDENT = "  "


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], width: int | None) -> Iterator[str]:
    """Yield the lines of a table: the first column to the left, the others to the right.

    `width` None: as wide as needed.
    """
    lines = [list(headings), *map(list, rows)]
    widths = [max(_width(line[column]) for line in lines) for column in range(len(headings))]
    if width is not None and len(_INDENT) + sum(widths) + len(_GAP) * (len(widths) - 1) > width:
        yield from _one_below_the_other(headings, rows)
        return
    for line in lines:
        first, *others = line
        cells = [first + " " * (widths[0] - _width(first))]
        cells += [" " * (size - _width(cell)) + cell for size, cell in zip(widths[1:], others, strict=True)]
        yield (_INDENT + _GAP.join(cells)).rstrip()


def _one_below_the_other(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widest = max(map(_width, headings))
    for row in rows:
        yield f"{_INDENT}{row[0]}"
        for heading, cell in zip(headings[1:], row[1:], strict=True):
            yield f"{_INDENT}{_INDENT}{heading:<{widest}}  {cell}"


def _width(text: str) -> int:
    """Return the number of terminal columns that the text takes."""
    return sum(_columns(each) for each in text)


def _columns(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
