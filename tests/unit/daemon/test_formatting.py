"""Values as text: numbers with their nouns."""

from __future__ import annotations

import pytest

from glidecached.formatting import cache_ttl, counted


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 entries"), (1, "1 entry"), (2, "2 entries"), (1_234_567, "1,234,567 entries")],
)
def test_one_is_singular_and_large_numbers_have_separators(number: int, text: str) -> None:
    assert counted(number, "entry", "entries") == text


def test_a_plural_with_an_s_needs_no_mention() -> None:
    assert [counted(number, "cache") for number in (0, 1, 2)] == ["0 caches", "1 cache", "2 caches"]


@pytest.mark.parametrize(
    ("entry_ttl_ms", "server_ttl", "text"),
    [
        (60_000, False, "1 min"),
        (0, False, "for ever"),
        (60_000, True, "1 min or key's"),
        (0, True, "key's"),
    ],
)
def test_c29_a_caches_ttl_says_whether_the_servers_counts(
    entry_ttl_ms: int, text: str, *, server_ttl: bool
) -> None:
    assert cache_ttl({"entry_ttl_ms": entry_ttl_ms, "server_ttl": server_ttl}) == text
