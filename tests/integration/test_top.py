"""`glidecache top`: the screen over a real daemon under traffic, and the command in a real terminal."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from typing import TYPE_CHECKING, Any, Self

import pytest
from textual.widgets import Static

from glidecache_shared import protocol
from glidecached.cli import daemon_client
from glidecached.cli.top.app import Top
from glidecached.cli.top.cache_table import Listing
from glidecached.cli.top.sparklines import Trends
from support.caches import new_cache
from support.clients import at
from support.terminal import Terminal
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from textual.pilot import Pilot

    from support.clients import AnyClient
    from support.connector import Connector
    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer

INTERVAL_S = 0.1
PATIENCE_S = 60.0
PROGRAM = "import sys; from glidecached.cli.operator import main; sys.exit(main())"


@pytest.fixture
def kind() -> str:
    """One kind of client: what the screen shows is the daemon's."""
    return "blocking"


class Traffic:
    """A thread that reads one key, now and then one that is not cached, and forgets; a context manager."""

    def __init__(self, client: AnyClient) -> None:
        self._client = client
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _read(self) -> None:
        number = 0
        while not self._stop.wait(0.001):
            number += 1
            self._client.get("steady")
            if number % 10 == 0:
                self._client.get(f"fresh-{number}")
                self._client.call("forget", ["steady"])


def column(top: Top, table: str, heading: str) -> dict[str, str]:
    """A column of a table on the screen, by its rows' first cells."""
    listing = top.query_one(f"#{table}", Listing)
    headings = [str(each.label) for each in listing.ordered_columns]
    if heading not in headings:
        return {}
    place = headings.index(heading)
    rows = [listing.get_row_at(number) for number in range(listing.row_count)]
    return {str(row[0]): str(row[place]) for row in rows}


def text(top: Top, place: str) -> str:
    """What a line of text on the screen says, if it is to be seen."""
    line = top.query_one(place, Static)
    return str(line.render()) if line.display else ""


async def until(pilot: Pilot[Any], condition: Callable[[], object], what: str) -> None:
    """Let the screen go on until `condition()` is true."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(INTERVAL_S / 2)
        await pilot.pause()


async def test_the_screen_shows_what_traffic_does(
    connect: Connector, daemon: Daemon, valkey: ValkeyServer, unique_name: str
) -> None:
    valkey.admin.set("steady", "v")
    client = connect(new_cache(name=unique_name))
    top = Top(str(daemon.runtime_dir), INTERVAL_S)
    async with top.run_test(size=(130, 40)) as pilot:
        with Traffic(client):

            def moving() -> bool:
                rate = column(top, "caches", "lookups/s").get(unique_name, "–")
                return rate not in ("–", "0") and column(top, "caches", "hit rate")[unique_name] != "–"

            await until(pilot, moving, "lookups are seen")
            assert column(top, "caches", "processes")[unique_name] == "1"
            await until(
                pilot,
                lambda: column(top, "caches", "forgotten/s").get(unique_name, "–") not in ("–", "0"),
                "forgotten entries are seen",
            )
            await until(
                pilot,
                lambda: any(value != "–" for value in column(top, "upstreams", "p99").values()),
                "latencies are seen",
            )
            table = top.query_one("#caches", Listing)
            await pilot.press("ctrl+home")
            while table.selected != unique_name:
                before = table.selected
                await pilot.press("down")
                assert table.selected != before, "the cursor reached the end without the cache"
            await until(pilot, lambda: "steady" in column(top, "hottest", "kind"), "the hottest key")
            bars = str(top.query_one("#trends", Trends).render())
            assert "▁" in bars or "█" in bars
            assert top.query_one("#hottest-box").border_title == f"hottest keys of {unique_name}"
            # The cursor stays on its cache when others come and go around it.
            connect(new_cache(name="before-all"))
            await until(pilot, lambda: "before-all" in column(top, "caches", "entries"), "a new cache")
            assert table.selected == unique_name
        await pilot.press("q")
    assert top.return_code == 0


async def test_columns_that_do_not_fit_are_left_out(
    connect: Connector, daemon: Daemon, unique_name: str
) -> None:
    connect(new_cache(name=unique_name))
    top = Top(str(daemon.runtime_dir), INTERVAL_S)
    async with top.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: unique_name in column(top, "caches", "processes"), "all columns")
        await pilot.resize_terminal(60, 24)
        await until(pilot, lambda: not column(top, "caches", "processes"), "fewer columns")
        assert any(unique_name.startswith(row.rstrip("…")) for row in column(top, "caches", "hit rate"))
        await pilot.resize_terminal(120, 40)
        await until(pilot, lambda: unique_name in column(top, "caches", "processes"), "all columns again")


async def test_an_absent_daemon_is_said_and_waited_for(own_daemon: Daemon) -> None:
    top = Top(str(own_daemon.runtime_dir), INTERVAL_S)
    async with top.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: f"pid {own_daemon.pid}" in text(top, "#daemon"), "the daemon's line")
        own_daemon.stop()
        await until(pilot, lambda: "the daemon is away" in text(top, "#daemon"), "its absence")
        own_daemon.start()
        await until(pilot, lambda: f"pid {own_daemon.pid}" in text(top, "#daemon"), "its successor")


async def test_who_is_no_administrator_is_told_so(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = "only root, the daemon's own user and admin_users may do this"
    whole = daemon_client.DaemonClient.request

    def request(self: daemon_client.DaemonClient, operation: int, *body: Any) -> Any:
        if operation == protocol.HOTTEST:
            raise daemon_client.RefusedError(protocol.ERROR_FORBIDDEN, refusal)
        return whole(self, operation, *body)

    monkeypatch.setattr(daemon_client.DaemonClient, "request", request)
    top = Top(str(daemon.runtime_dir), INTERVAL_S)
    async with top.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: refusal in text(top, "#hottest-note"), "the refusal")
        assert not top.query_one("#hottest", Listing).display


@pytest.fixture
def terminal(own_daemon: Daemon) -> Iterator[Terminal]:
    # The common daemon holds more caches, after many other tests, than a screen has lines.
    started = Terminal(PROGRAM, "top", "--interval", "0.1", "--runtime-dir", str(own_daemon.runtime_dir))
    yield started
    started.discard()


@pytest.mark.parametrize("key", [b"q", b"\x03"], ids=["q", "ctrl-c"])
def test_a_real_terminal_is_filled_resized_and_given_back(
    connect: Connector,
    terminal: Terminal,
    own_daemon: Daemon,
    own_valkey: ValkeyServer,
    unique_name: str,
    key: bytes,
) -> None:
    connect(new_cache(name=unique_name), **at(own_daemon, own_valkey))
    wait_until(
        lambda: unique_name in terminal.text() and "processes" in terminal.text(),
        "the cache on the screen",
        PATIENCE_S,
    )
    terminal.resize(24, 70)
    wait_until(
        lambda: unique_name in terminal.text() and "processes" not in terminal.text(),
        "the narrow screen",
        PATIENCE_S,
    )
    assert terminal.in_alternate_screen
    terminal.type(key)
    assert terminal.exit_status(PATIENCE_S) == os.EX_OK
    assert not terminal.in_alternate_screen
