"""The screen of `glidecache top` over looks of the test's own: many caches, odd names, small terminals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from glidecached.cli.top.app import Top
from glidecached.cli.top.cache_table import Listing
from glidecached.cli.top.poller import Away, Hottest, Numbers, Poller

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from textual.pilot import Pilot

    from glidecached.cli.top.poller import Look

DAEMON = {"version": "1", "pid": 1, "started_at": 1, "uptime_seconds": 1, "sessions": 0, "refused": {}}


def look(hits: Mapping[str, int], at_s: float, error: str | None = None) -> Numbers:
    """STATS with these caches, and a server that is not reached for that reason."""
    caches = [
        {
            "name": name,
            "id": None,
            "settings": {"enable_metrics": True},
            "metrics": {"hits": number, "misses": 0, "evictions": 0, "expirations": 0, "entry_count": 1},
            "charged_bytes": 256,
            "max_bytes": 1024,
            "attached_processes": 2,
        }
        for name, number in hits.items()
    ]
    upstream: dict[str, Any] = {
        "name": "default",
        "identity": "h:1",
        "requests": 0,
        "latency": {"bounds_us": [100], "counts": [0, 0]},
        "in_flight": 0,
        "queued": 0,
        "connected_to": None,
        "last_error": error,
    }
    return Numbers(numbers={"daemon": DAEMON, "caches": caches, "upstreams": [upstream]}, at_s=at_s)


@pytest.fixture
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Top:
    """A screen whose looks come from the test."""
    for name in ("start", "stop"):
        monkeypatch.setattr(Poller, name, lambda _self: None)
    return Top(str(tmp_path), 1.0)


async def show(pilot: Pilot[Any], top: Top, *looks: Look) -> None:
    """Let the screen show these, one after the other."""
    for each in looks:
        top.post_message(Top.Looked(each))
    await pilot.pause()


def listed(top: Top) -> list[str]:
    """The caches, from the first row to the last."""
    table = top.query_one("#caches", Listing)
    return [str(table.get_row_at(number)[0]) for number in range(table.row_count)]


async def test_of_many_caches_the_busiest_stand_first_and_all_can_be_reached(top: Top) -> None:
    names = [f"cache-{number:03}" for number in range(200)]
    quiet = look(dict.fromkeys(names, 0), 1)
    async with top.run_test(size=(100, 30)) as pilot:
        await show(pilot, top, quiet)
        assert listed(top) == names
        table = top.query_one("#caches", Listing)
        assert table.selected == "cache-000"
        await show(pilot, top, look({name: int(name[-3:]) for name in names}, 2))
        assert listed(top) == names[::-1]
        assert table.selected == "cache-199", "the busiest, until somebody chooses"
        await show(
            pilot, top, look({name: int(name[-3:]) + 9_000 * (name == "cache-100") for name in names}, 3)
        )
        assert listed(top)[:2] == ["cache-100", "cache-199"]
        assert table.selected == "cache-199", "that of the beginning, or it would jump between two alike"
        await pilot.press("ctrl+end")
        assert table.selected == "cache-000"
        assert table.scroll_y > 0, "the last row is in sight"


async def test_the_cursor_follows_the_cache_that_was_chosen(top: Top) -> None:
    async with top.run_test(size=(100, 30)) as pilot:
        await show(pilot, top, look({"a": 0, "b": 0, "c": 0}, 1))
        await pilot.press("down")
        table = top.query_one("#caches", Listing)
        assert table.selected == "b"
        await show(pilot, top, look({"a": 5, "b": 0, "c": 9}, 2))
        assert (listed(top), table.selected, table.cursor_row) == (["c", "a", "b"], "b", 2)
        await show(pilot, top, look({"b": 50, "new": 0, "c": 9, "a": 5}, 3))
        assert (table.selected, table.cursor_row) == ("b", listed(top).index("b"))
        assert str(top.query_one("#hottest-box").border_title) == "hottest keys of b"


async def test_the_order_can_be_chosen_and_is_told(top: Top) -> None:
    async with top.run_test(size=(100, 30)) as pilot:
        await show(pilot, top, look({"a": 0, "b": 0}, 1), look({"a": 0, "b": 9}, 2))
        box = top.query_one("#caches-box")
        assert (str(box.border_title), listed(top)) == ("caches, busiest first", ["b", "a"])
        await pilot.press("o", "o")
        assert (str(box.border_title), listed(top)) == ("caches, by name", ["a", "b"])
        assert top.query_one("#caches", Listing).selected == "b"
        assert str(top.query_one("#hottest-box").border_title) == "hottest keys of b"


async def test_no_text_of_others_steers_the_terminal(top: Top) -> None:
    evil = "\x1b[2Jred\x9b31m"
    async with top.run_test(size=(100, 30)) as pilot:
        await show(
            pilot,
            top,
            look({evil: 0}, 1, error=evil),
            Hottest(label=evil, entries=[], refusal=f"there is no cache; there are: {evil}"),
        )
        shown = screen_text(top)
        await show(pilot, top, Away(reason=evil))
        shown += screen_text(top)
    assert shown.count(r"\x1b[2Jred\x9b31m") >= 4
    assert "\x1b" not in shown
    assert "\x9b" not in shown


def screen_text(top: Top) -> str:
    """All that stands on the screen."""
    return "\n".join(
        "".join(segment.text for segment in strip) for strip in top.screen._compositor.render_strips()
    )


@pytest.mark.parametrize("size", [(1, 1), (10, 3), (20, 5), (40, 12), (500, 120)])
@pytest.mark.parametrize(
    "names", [[], ["日本語のキャッシュ", "e\u0301", "<b>[red]"], [f"{n}" for n in range(50)]]
)
async def test_no_size_is_too_small_or_too_large(top: Top, size: tuple[int, int], names: list[str]) -> None:
    async with top.run_test(size=size) as pilot:
        await show(
            pilot,
            top,
            look(dict.fromkeys(names, 0), 1),
            look(dict.fromkeys(names, 3), 2),
            Away(reason="gone"),
        )
        await pilot.resize_terminal(100, 30)
        await pilot.pause()
        assert sorted(listed(top)) == sorted(names)
        await pilot.press("q")
    assert top.return_code == 0
