"""STATS within bounds: lists that clients can lengthen are cut, and the omitted items are counted (isolation I8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from glidecached.process.loop import Loop

MOST_CACHES = 500
MOST_UPSTREAMS = 500
_MOST_ADDRESSES = 16
_MOST_NODES = 256
_MOST_TEXT = 1_000


class OncePerTurn:
    """One shared answer for all requests in a turn of the loop: a flood of them costs one answer. It is not changed."""

    def __init__(self, loop: Loop, ask: Callable[[], dict[str, Any]]) -> None:
        self._loop = loop
        self._ask = ask
        self._answer: dict[str, Any] | None = None

    def __call__(self) -> dict[str, Any]:
        """Return the answer of this turn."""
        answer = self._answer
        if answer is None:
            answer = self._answer = self._ask()
            self._loop.defer(self._forget)
        return answer

    def _forget(self) -> None:
        self._answer = None


def bounded_upstreams(upstreams: Iterable[dict[str, Any]]) -> tuple[list[dict[str, Any]], int]:
    """Return the first upstreams with bounded lists and texts, and the number of the others."""
    every = list(upstreams)
    return [_bounded(upstream) for upstream in every[:MOST_UPSTREAMS]], max(0, len(every) - MOST_UPSTREAMS)


def _bounded(upstream: dict[str, Any]) -> dict[str, Any]:
    addresses = upstream.get("addresses", [])
    if len(addresses) > _MOST_ADDRESSES:
        rest = len(addresses) - _MOST_ADDRESSES
        upstream["addresses"] = [*addresses[:_MOST_ADDRESSES], f"and {rest} more"]
    for name in ("nodes", "replicas"):
        if len(upstream.get(name) or ()) > _MOST_NODES:
            upstream[f"{name}_left_out"] = len(upstream[name]) - _MOST_NODES
            upstream[name] = upstream[name][:_MOST_NODES]
    for name in ("identity", "connected_to", "last_error"):
        text = upstream.get(name)
        if isinstance(text, str) and len(text) > _MOST_TEXT:
            upstream[name] = f"{text[:_MOST_TEXT]}…"
    return upstream
