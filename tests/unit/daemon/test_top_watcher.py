"""How often `glidecache top` asks the daemon for what costs it time."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from glidecache_shared import protocol
from glidecached.cli.top import poller as module
from glidecached.cli.top.poller import Poller

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


class Asked:
    """A link to a daemon that takes its time over HOTTEST, a clock that passes with it, and what was asked when."""

    def __init__(self, search_s: float) -> None:
        self.now_s = 0.0
        self.searches: list[tuple[float, str]] = []
        self._search_s = search_s

    def request(self, operation: int, *body: Any) -> Any:
        if operation == protocol.STATS:
            return {}
        self.searches.append((self.now_s, body[0]))
        self.now_s += self._search_s
        return {"entries": []}


def watch(monkeypatch: pytest.MonkeyPatch, directory: Path, asked: Asked, selections: dict[int, str]) -> None:
    """Twenty looks, one a second, with a selection before some of them."""
    watcher = Poller(str(directory), 1.0, lambda _look: None)
    looks = iter(range(20))

    def wait(seconds: float) -> None:
        asked.now_s += seconds
        number = next(looks, None)
        if number is None:
            watcher._leaving.set()
        elif number in selections:
            watcher.select(selections[number])

    monkeypatch.setattr(module.time, "monotonic", lambda: asked.now_s)
    monkeypatch.setattr(watcher, "_wake", SimpleNamespace(wait=wait, set=lambda: None, clear=lambda: None))
    watcher._ask(asked)  # type: ignore[arg-type]  # what it uses of a link


def test_a_search_that_is_quick_is_made_at_every_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked(search_s=0.001)
    watch(monkeypatch, tmp_path, asked, {0: "small"})
    assert len(asked.searches) == 20


def test_a_search_that_takes_long_is_made_seldom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(search_s=0.2)
    watch(monkeypatch, tmp_path, asked, {0: "large"})
    times = [when for when, _ in asked.searches]
    assert min(later - earlier for earlier, later in itertools.pairwise(times)) >= 0.2 * 20
    assert len(times) >= 4


def test_another_cache_is_searched_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(search_s=10)
    watch(monkeypatch, tmp_path, asked, {0: "large", 1: "other"})
    assert [label for _, label in asked.searches] == ["large", "other"]
