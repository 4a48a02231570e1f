"""Values as text: numbers with their nouns."""

from __future__ import annotations

import pytest

from glidecached.formatting import counted


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 entries"), (1, "1 entry"), (2, "2 entries"), (1_234_567, "1,234,567 entries")],
)
def test_one_is_singular_and_large_numbers_have_separators(number: int, text: str) -> None:
    assert counted(number, "entry", "entries") == text


def test_a_plural_with_an_s_needs_no_mention() -> None:
    assert [counted(number, "cache") for number in (0, 1, 2)] == ["0 caches", "1 cache", "2 caches"]
