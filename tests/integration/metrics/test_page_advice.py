"""The advice on the status page, in a real browser: curves, what a screen reader says, tables."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from glidecached.advice.digests import digest_of
from glidecached.config.model import Config
from glidecached.config.schema import MetricsSettings
from glidecached.doctor.self_examination import SelfExamination
from glidecached.metrics.endpoint import MetricsListener
from glidecached.process.loop import Loop
from support.advice_reports import STEP, advice_report
from support.browser import check_narrow_windows
from support.valkey_server import HOST, free_port
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.browser import Browser


ADVISED = "Array.from(document.querySelectorAll('.advice')).filter(each => !each.hidden)"


def cache_numbers(name: str, report: dict[str, Any] | None) -> dict[str, Any]:
    """STATS' map of a cache, with what the page reads of it."""
    return {
        "name": name,
        "id": None,
        "settings": {
            "eviction_policy": "LRU",
            "entry_ttl_ms": 60_000,
            "enable_metrics": True,
            "server_ttl": False,
        },
        "metrics": dict.fromkeys(
            ("hits", "misses", "entry_count", "forgotten", "expirations", "evictions"), 0
        ),
        "misses_by_cause": {},
        "charged_bytes": 0,
        "max_bytes": 64 << 20,
        "resident_bytes": 0,
        "attached_processes": 0,
        "cached_key_writes": None if report is None else 0,
        "advice": None if report is None else digest_of(report, STEP),
    }


@pytest.fixture
def advised() -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """A listener over numbers that a test gives: its port, and the list of caches that it shows."""
    caches: list[dict[str, Any]] = []
    daemon = {
        "version": "1",
        "pid": 1,
        "started_at": 1.0,
        "uptime_seconds": 1.0,
        "sessions": 0,
        "open_requests": 0,
        "refused": {},
        "pool_dir": "/dev/shm",  # noqa: S108 - only looked at
    }
    loop, port = Loop(), free_port()
    listener = MetricsListener(
        loop,
        lambda: {"daemon": daemon, "caches": list(caches), "upstreams": []},
        grace_ms=10_000,
        examination=SelfExamination(Config, "/"),
    )
    listener.start(MetricsSettings(listen=f"{HOST}:{port}"))
    thread = threading.Thread(target=loop.run)
    thread.start()
    yield port, caches
    loop.call_from_thread(loop.stop)
    thread.join()
    listener.stop()
    loop.close()


def test_the_page_shows_advice_as_curves_as_text_and_as_tables(
    advised: tuple[int, list[dict[str, Any]]], browser: Browser
) -> None:
    port, caches = advised
    wanted = advice_report(advice=[{"what": "max_cache_kb", "to": 131_072, "why": "it is <b>starved</b>"}])
    endless = {"entry_ttl_ms": 0, "hit_rate": 0.99, "upstream_per_second": 1.0, "stale_reads": None}
    wanted["by_ttl"].append(endless)
    caches += [
        cache_numbers("catalog", wanted),
        cache_numbers("fine", advice_report()),
        cache_numbers("quiet", advice_report(enough=False)),
        cache_numbers("unsampled", None),
    ]
    browser.driver.get(f"http://127.0.0.1:{port}/")
    wait_until(lambda: browser.evaluate(f"return {ADVISED}.length") == 3, "advice is shown", 40)
    summaries = browser.evaluate(f"return {ADVISED}.map(each => each.querySelector('p').innerText)")
    assert summaries == [
        "With this change the hit rate would be 94.0 % instead of 91.0 %, from 30 min of traffic.",
        "Nothing should be changed, from 30 min of traffic.",
        "Too little traffic so far, from 30 min of traffic.",
    ]
    changes = browser.evaluate(
        f"return {ADVISED}.map(each => each.querySelector('.changes').innerText.trim())"
    )
    assert changes[0] == "max_cache_kb = 131072: it is <b>starved</b>"
    assert browser.evaluate("return document.querySelectorAll('main b').length") == 0
    shown = f"{ADVISED}.map(each => each.querySelector('.charts').offsetHeight > 0)"
    assert browser.evaluate(f"return {shown}") == [True, True, False], "without traffic there is no curve"
    check_curves(browser)
    check_tables_of_advice(browser)
    for scheme in ("light", "dark"):
        browser.prefer(prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
        stroke, card = browser.evaluate(
            f"let mark = {ADVISED}[0].querySelector('.present'); let style = getComputedStyle;"
            "return [style(mark).stroke, style(mark.closest('article')).backgroundColor]"
        )
        assert stroke not in ("none", card)
    check_narrow_windows(browser)
    caches[:] = [cache_numbers("catalog", None)]
    wait_until(lambda: browser.evaluate(f"return {ADVISED}.length") == 0, "old advice is gone", 40)
    assert browser.console() == []


def check_curves(browser: Browser) -> None:
    """Each curve has its points in order, the present one marked, and says all of it to a screen reader."""
    tree = browser.command("Accessibility.getFullAXTree")["nodes"]
    names = [
        node["name"]["value"] for node in tree if node["role"]["value"] == "image" and not node.get("ignored")
    ]
    (by_size, *_) = [name for name in names if name.startswith("Hit rate by size: ")]
    assert by_size.split(": ")[1].split("; ") == [
        "at 16.0 MB 71.2 %",
        "at 32.0 MB 80.0 %",
        "at 48.0 MB 86.0 %",
        "at 64.0 MB (now) 91.0 %",
        "at 96.0 MB 93.0 %",
        "at 128 MB 94.0 %",
        "at 256 MB 94.5 %",
        "at no bound 95.0 %",
    ]
    (by_ttl, *_) = [name for name in names if name.startswith("Hit rate and stale reads by TTL: ")]
    assert "at 1 min (now) hit rate 91.0 %, stale 2.0 %;" in by_ttl
    assert by_ttl.endswith("at for ever hit rate 99.0 %, stale –")
    paths = browser.evaluate(
        f"return Array.from({ADVISED}[0].querySelectorAll('svg')).map(svg => "
        "Array.from(svg.querySelectorAll('.curve')).map(curve => curve.getAttribute('d')))"
    )
    for curves, points in zip(paths, ([8], [5, 4]), strict=True):
        assert [curve.count(" ") for curve in curves] == points
    places = [tuple(map(float, pair.split())) for pair in paths[0][0][1:].split("L")]
    assert places == sorted(places), "a larger size is further to the right"
    assert [y for _, y in places] == sorted((y for _, y in places), reverse=True), "more hits are higher up"
    present = browser.evaluate(
        f"return Array.from({ADVISED}[0].querySelectorAll('.present')).map(each => each.getAttribute('d'))"
    )
    assert len(present) == 3, "one of the size, two of the TTL"
    assert present[0].startswith("M{:.1f} {:.1f}h".format(*places[3]))
    ends = browser.evaluate(f"return {ADVISED}[0].querySelector('.scale').innerText").split("\n")
    assert ends == ["16.0 MB", "no bound"]


def check_tables_of_advice(browser: Browser) -> None:
    """The keyboard opens the same figures as tables."""
    browser.evaluate(f"{ADVISED}[0].querySelector('summary').focus()")
    browser.press("Enter", 13, text="\r")
    tables = f"Array.from({ADVISED}[0].querySelectorAll('details[open] table'))"
    wait_until(lambda: browser.evaluate(f"return {tables}.length") == 2, "the tables are open", 20)
    sizes, ttls = browser.evaluate(
        f"return {tables}.map(table => "
        "Array.from(table.rows).map(row => Array.from(row.cells).map(cell => cell.innerText)))"
    )
    assert sizes[0] == ["Size", "Hit rate"]
    assert sizes[4] == ["64.0 MB (now)", "91.0 %"]
    assert ttls[0] == ["TTL", "Hit rate", "Upstream", "Stale reads"]
    assert ttls[3] == ["1 min (now)", "91.0 %", "600 /s", "2.0 %"]
    assert len(ttls) == 6
