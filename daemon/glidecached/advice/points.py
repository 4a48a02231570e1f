"""The sizes and TTLs that an operator may ask about."""

from __future__ import annotations

MOST_POINTS = 64


def fault_of(point: int, least: int, most: int) -> str | None:
    """Return what is wrong with a size in KB or a TTL in ms, and what is right; None if nothing is."""
    return None if least <= point <= most else f"{str(point)[:40]}; expected {least} to {most:,}"
