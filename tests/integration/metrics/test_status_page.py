"""The status page in a real browser, under real traffic."""

from __future__ import annotations

import random
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glidecache import ClientSideCache
from glidecached import formatting
from glidecached.doctor.gathering import gather
from glidecached.doctor.runner import examine
from support.browser import check_narrow_windows
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.browser import Browser
    from support.connector import Connector
    from support.pages import SeenDaemon
    from support.valkey_server import ValkeyServer

CATALOG = "Array.from(document.querySelectorAll('#cache-list article')).find(a => a.innerText.startsWith('catalog'))"
CHART = f"Array.from({CATALOG}.querySelectorAll('figure')).find(f => f.innerText.startsWith('%s'))"
MORE = {"counted": ", 'cache'"}
"""Further arguments of the formatters."""

SHOWN = "Array.from(document.querySelectorAll('svg.chart')).filter(each => !each.closest('[hidden]'))"
LUMINANCE = """
const parts = getComputedStyle(document.documentElement)[arguments[0]].match(/\\d+/g).map(Number);
return parts[0] + parts[1] + parts[2];
"""


def chart(browser: Browser, name: str) -> str:
    """What stands over one of the cache's charts."""
    return str(browser.evaluate(f"return {CHART % name}.querySelector('.value').innerText"))


def curve(browser: Browser, name: str) -> str:
    """The line of one of the cache's charts."""
    return str(browser.evaluate(f"return {CHART % name}.querySelector('.curve')?.getAttribute('d') ?? ''"))


def test_the_page_shows_the_traffic_to_everybody_and_says_when_it_cannot(
    start_seen: Callable[..., SeenDaemon],
    start_valkey: Callable[..., ValkeyServer],
    connect: Connector,
    browser: Browser,
) -> None:
    """One test, because a browser's start costs more than all of it."""
    server = start_valkey()
    server.admin.mset({f"k{number}": "v" for number in range(50)})
    seen = start_seen(server)
    client = connect(
        ClientSideCache.named("catalog"), runtime_dir=str(seen.daemon.runtime_dir), upstream="default"
    )

    def under_traffic(found: Callable[[], bool]) -> bool:
        for number in range(50):
            client.get(f"k{number}")
        return found()

    browser.driver.get(f"http://127.0.0.1:{seen.port}/")
    wait_until(lambda: under_traffic(lambda: "%" in chart(browser, "Hit rate")), "a hit rate is shown", 40)
    wait_until(
        lambda: under_traffic(lambda: curve(browser, "Lookups").count("L") > 0), "a curve is drawn", 40
    )
    assert browser.text("#state") == "Live"
    before = chart(browser, "Lookups"), curve(browser, "Lookups")
    wait_until(
        lambda: under_traffic(
            lambda: chart(browser, "Lookups") != before[0] and curve(browser, "Lookups") != before[1]
        ),
        "the figures change",
        40,
    )
    check_units(browser)
    check_diagnosis(browser, seen)
    check_losses(browser)
    check_names_are_text(browser)
    check_text_alternatives(browser)
    check_colours(browser)
    check_narrow_windows(browser)
    check_keyboard(browser)
    assert browser.console() == []
    wait_until(lambda: under_traffic(lambda: "%" in chart(browser, "Hit rate")), "lookups are shown", 40)
    seen.daemon.stop()
    wait_until(lambda: "cannot be reached" in browser.text("#unreachable"), "the page says so", 40)
    assert browser.text("#state") == "Unreachable"
    assert "%" in chart(browser, "Hit rate"), "the last figures are gone"
    seen.daemon.start()
    wait_until(lambda: browser.text("#state") == "Live", "the page goes on by itself", 40)
    assert browser.evaluate("return document.getElementById('unreachable').hidden")


def check_units(browser: Browser) -> None:
    """The page and the commands write every figure alike: in decimals, in ties, where one unit ends."""
    chance = random.Random(24)
    rates = [chance.uniform(0, 12) for _ in range(200)] + [10**power * 1.0 for power in range(13)]
    ties = [number / 8 for number in range(200)] + [0.05, 9.95, 9.995, 99.95, 999.5, 1023.95, 1023.5, 0.0005]
    counts = [chance.randrange(10 ** chance.randrange(1, 15)) for _ in range(200)] + [
        0,
        1,
        59,
        60,
        61,
        86_400,
    ]
    numbers = [*rates, *ties, *(tie * 1024 for tie in ties), *(tie * 1e6 for tie in ties), *counts]
    formatters: dict[str, tuple[Callable[[Any], str], list[Any]]] = {
        "count": (formatting.count, [*counts, None]),
        "perSecond": (formatting.per_second, [*numbers, None]),
        "share": (formatting.share, [*(number / 1e4 for number in numbers), 1, None]),
        "byteSize": (formatting.byte_size, numbers),
        "duration": (formatting.duration, numbers),
        "latency": (formatting.latency, [*numbers, None]),
        "ttl": (formatting.ttl, counts),
        "counted": (lambda number: formatting.counted(number, "cache"), counts),
    }
    for name, (formatter, values) in formatters.items():
        call = f"it.{name}(each{MORE.get(name, '')})"
        script = f'return import("/formatting.js").then(it => arguments[0].map(each => {call}))'
        there = browser.driver.execute_script(script, values)
        differing = [
            (value, here, its)
            for value, its in zip(values, there, strict=True)
            if (here := formatter(value)) != its
        ]
        assert differing == [], name


def check_diagnosis(browser: Browser, seen: SeenDaemon) -> None:
    """The worst finding is at the top, in doctor's words, for screen readers too; it goes when it is repaired."""
    pool_dir = Path(seen.daemon.stats()["daemon"]["pool_dir"])
    told = (
        "let it = document.getElementById('diagnosis'), main = document.querySelector('main');"
        "return main.firstElementChild === it ? it.innerText : ''"
    )
    wait_until(lambda: browser.evaluate(told), "the page says whether anything is wrong", 20)
    assert not browser.text("#diagnosis-title").startswith("fail"), browser.text("#diagnosis")
    pool_dir.chmod(0o777)
    try:
        wait_until(lambda: browser.text("#diagnosis-title") == "fail: pool directory", "it is seen", 40)
        findings = list(examine(gather(str(seen.daemon.runtime_dir), None)))
        (finding,) = [each for each in findings if each.check == "pool directory"]
        assert browser.text("#diagnosis-seen") == finding.seen
        assert browser.text("#diagnosis-advice") == f"→ {finding.advice}"
        tree = browser.command("Accessibility.getFullAXTree")["nodes"]
        live = [node for node in tree if node["role"]["value"] == "status" and not node.get("ignored")]
        of = {node["nodeId"]: node for node in tree}
        names = [of[child]["name"]["value"] for node in live for child in node["childIds"]]
        assert "fail: pool directory" in names, names
        check_narrow_windows(browser)
    finally:
        pool_dir.chmod(0o710)
    wait_until(lambda: not browser.text("#diagnosis-title").startswith("fail"), "it is well again", 40)


def check_losses(browser: Browser) -> None:
    """A counted cache shows its misses by cause, and its ended entries; another one shows neither."""
    told = str(browser.evaluate(f"return {CATALOG}.querySelector('.losses').innerText"))
    assert re.fullmatch(r"misses: \d+ absent(, \d+ expired)? · \d+ expirations? · \d+ evictions?", told), told
    memory = chart(browser, "Memory")
    assert re.search(r"of [\d.]+ [KM]B,", memory), memory
    shown = "Array.from(document.querySelectorAll('.losses')).filter(each => !each.hidden && each.innerText === '')"
    assert browser.evaluate(f"return {shown}.length") == 0


def check_names_are_text(browser: Browser) -> None:
    """A cache's name is never markup."""
    names = browser.evaluate(
        "return Array.from(document.querySelectorAll('h3')).map(each => each.textContent)"
    )
    assert "<b>bold</b>" in names
    assert browser.evaluate("return document.querySelectorAll('main b').length") == 0
    uncounted = browser.evaluate("return document.querySelector('#cache-list').innerText")
    assert "lookups are not counted" in uncounted


def check_text_alternatives(browser: Browser) -> None:
    """Each chart has a name that tells its figures, in the accessibility tree."""
    tree = browser.command("Accessibility.getFullAXTree")["nodes"]
    images = [node for node in tree if node["role"]["value"] == "image" and not node.get("ignored")]
    names = [node["name"]["value"] for node in images]
    assert len(names) == len(browser.evaluate(f"return {SHOWN}"))
    assert any("Lookups, last 1 min: from " in name for name in names), names
    latency = (
        r"Time to reply, .* min: median from .* ms to .* ms, now .* ms; 99 % from .* ms to .* ms, now .* ms"
    )
    assert any(re.fullmatch(latency, name) for name in names), names
    headings = [node["name"]["value"] for node in tree if node["role"]["value"] == "heading"]
    assert headings[:3] == ["glidecached", "Daemon", "Caches"]


def check_colours(browser: Browser) -> None:
    """Light and dark follow the reader's wish, and differ the right way round."""
    for scheme in ("light", "dark"):
        browser.prefer(prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
        ground, ink = (
            browser.driver.execute_script(LUMINANCE, each) for each in ("backgroundColor", "color")
        )
        assert (ground > ink) == (scheme == "light")
        assert abs(ground - ink) > 400
    assert (
        browser.evaluate("return getComputedStyle(document.querySelector('main')).transitionDuration") == "0s"
    )


def check_keyboard(browser: Browser) -> None:
    """The tables open by the keyboard alone, and have the minutes' figures."""
    for _ in range(10):
        browser.press("Tab", 9)
        if browser.evaluate("return document.activeElement.tagName") == "SUMMARY":
            break
    assert browser.evaluate("return getComputedStyle(document.activeElement).outlineStyle") != "none"
    browser.press("Enter", 13, text="\r")
    until = time.monotonic() + 20
    while not (rows := browser.evaluate("return document.querySelectorAll('details[open] tbody tr').length")):
        assert time.monotonic() < until, "the table stays empty"
    assert rows >= 1
    head = browser.evaluate("return document.querySelector('details[open] thead').innerText")
    assert " ".join(head.split()) == "Minute Hit rate Lookups Memory Evictions Expirations"
