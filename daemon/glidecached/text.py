"""A number with its noun, for logs and screens."""

from __future__ import annotations


def counted(number: int, noun: str, nouns: str | None = None) -> str:
    """Return `1 cache`, `2 caches`, `1,234 entries`: `nouns` is the plural where that is not the noun with an s."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"
