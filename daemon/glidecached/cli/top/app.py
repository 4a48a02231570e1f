"""The screen of `glidecache top`."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

from textual.app import App
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.css.query import NoMatches
from textual.message import Message
from textual.widgets import DataTable, Static

from glidecache_shared.protocol import KIND_NAMES
from glidecached import formatting
from glidecached.cli.top.cache_table import Column, Listing, Order, ordered
from glidecached.cli.top.poller import Away, Hottest, Look, Numbers, Poller
from glidecached.cli.top.rates import CacheFigures, Figures, UpstreamFigures, compare
from glidecached.cli.top.sparklines import SparklineHistory, Trends
from glidecached.formatting import counted

if TYPE_CHECKING:
    from textual.app import ComposeResult

_CACHE_COLUMNS = (
    Column("cache", 0),
    Column("hit rate", 8),
    Column("could be", 8, spare=1),
    Column("lookups/s", 9),
    Column("entries", 10, spare=2),
    Column("memory", 8, spare=5),
    Column("of bound", 8),
    Column("evicted/s", 9, spare=3),
    Column("expired/s", 9, spare=4),
    Column("forgotten/s", 11, spare=7),
    Column("processes", 9, spare=6),
)
_UPSTREAM_COLUMNS = (
    Column("upstream", 0),
    Column("requests/s", 10),
    Column("p50", 8, spare=2),
    Column("p95", 8, spare=3),
    Column("p99", 8),
    Column("in flight", 9, spare=4),
    Column("queued", 7, spare=5),
    Column("state", 13, spare=1),
)
_HOTTEST_COLUMNS = (
    Column("key", 0),
    Column("kind", 6, spare=2),
    Column("size", 8, spare=1),
    Column("accesses", 9),
    Column("idle", 12),
)
_STOPPING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Top(App[None]):
    """One screen about the daemon of `directory`, renewed every `interval_s` seconds."""

    ENABLE_COMMAND_PALETTE = False
    CSS = """
    Screen { layout: vertical; }
    #daemon { height: 1; padding: 0 1; }
    #daemon.away { color: $text-error; text-style: bold; }
    Vertical { border: round $surface-lighten-2; border-title-color: $text-muted; height: auto; }
    DataTable { height: auto; background: $background; scrollbar-size-vertical: 1; }
    DataTable > .datatable--header { background: $background; color: $text-muted; text-style: none; }
    #caches-box { max-height: 40%; }
    #upstreams-box { max-height: 25%; }
    #hottest-box { height: 1fr; min-height: 4; }
    #trends { height: 3; padding: 0 1; color: $text-primary; }
    .note { height: auto; padding: 0 1; color: $text-muted; display: none; }
    #keys { height: 1; padding: 0 1; color: $text-muted; }
    #upstream-error { color: $text-error; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", show=False, priority=True),
        Binding("ctrl+c", "quit", show=False, priority=True),
        Binding("o", "reorder", show=False, priority=True),
    ]

    class Looked(Message):
        """The watcher's answer, on its way into the screen's own thread."""

        def __init__(self, look: Look) -> None:
            super().__init__()
            self.look = look

    def __init__(self, directory: str, interval_s: float) -> None:
        super().__init__()
        self._watcher = Poller(directory, interval_s, lambda look: self.post_message(self.Looked(look)))
        self._interval_s = interval_s
        self._history = SparklineHistory()
        self._before: Numbers | None = None
        self._caches: list[CacheFigures] = []
        self._order = Order.BUSIEST
        self._selected: str | None = None

    def compose(self) -> ComposeResult:
        """Yield, top to bottom: the daemon, its caches, the selected one's past, upstreams, the selected one's keys."""
        yield Static("", id="daemon", markup=False)
        with Vertical(id="caches-box"):
            yield Listing(_CACHE_COLUMNS, id="caches", selectable=True)
        with Vertical(id="trends-box"):
            yield Trends(id="trends")
        with Vertical(id="upstreams-box"):
            yield Listing(_UPSTREAM_COLUMNS, id="upstreams")
            yield Static("", id="upstream-error", classes="note", markup=False)
        with Vertical(id="hottest-box"):
            yield Listing(_HOTTEST_COLUMNS, id="hottest")
            yield Static("", id="hottest-note", classes="note", markup=False)
        yield Static("↑ ↓ choose a cache   o another order   q quit", id="keys", markup=False)

    def on_mount(self) -> None:
        """Begin to watch, and leave the terminal as it was however the end comes."""
        loop = asyncio.get_running_loop()
        for number in _STOPPING_SIGNALS:
            loop.add_signal_handler(number, self.exit)
        self.query_one("#upstreams-box").border_title = "upstreams"
        self.query_one("#caches", Listing).focus()
        self._show_caches()
        self._watcher.start()

    async def on_unmount(self) -> None:
        """End the watcher's thread."""
        loop = asyncio.get_running_loop()
        for number in _STOPPING_SIGNALS:
            loop.remove_signal_handler(number)
        await loop.run_in_executor(None, self._watcher.stop)

    def on_top_looked(self, message: Looked) -> None:
        """Show what the watcher saw."""
        look = message.look
        with suppress(NoMatches):  # the screen is being taken down, its widgets first
            if isinstance(look, Numbers):
                self._show_numbers(look)
            elif isinstance(look, Hottest):
                self._show_hottest(look)
            else:
                self._show_absence(look)

    def action_reorder(self) -> None:
        """List the caches in the next order."""
        self._order = self._order.following
        self._show_caches()

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        """Follow the cursor."""
        with suppress(NoMatches):  # as above
            if event.data_table.id == "caches":
                self._follow_selection()

    def _show_numbers(self, look: Numbers) -> None:
        figures = compare(self._before, look)
        self._before = look
        self._history.add(figures.caches)
        self._caches = figures.caches
        self._show_daemon(figures)
        self._show_caches()
        if any(cache.lookups_per_s for cache in self._caches):
            # The first row was the busiest cache's: were the cursor to stay there, it would jump between two alike.
            self.query_one("#caches", Listing).hold()
        self.query_one("#upstreams", Listing).show(
            [(upstream.identity, _upstream_cells(upstream)) for upstream in figures.upstreams]
        )
        errors = [
            f"{upstream.label}: {formatting.printable(upstream.last_error)}"
            for upstream in figures.upstreams
            if not upstream.connected and upstream.last_error
        ]
        self._note("#upstream-error", "\n".join(errors))
        self._show_trends()

    def _show_daemon(self, figures: Figures) -> None:
        daemon = figures.daemon
        refused = sum(daemon["refused"].values())
        line = self.query_one("#daemon", Static)
        line.remove_class("away")
        line.update(
            f"glidecached {daemon['version']} · pid {daemon['pid']} · {counted(daemon['sessions'], 'session')} · "
            f"{refused:,} refused · every {self._interval_s:g} s · up {formatting.duration(daemon['uptime_seconds'])}"
        )

    def _show_caches(self) -> None:
        self.query_one("#caches-box").border_title = f"caches, {self._order.value}"
        self.query_one("#caches", Listing).show(
            [
                (cache.asked_as, _cache_cells(cache))
                for cache in ordered(self._caches, self._history, self._order)
            ]
        )
        self._follow_selection()

    def _show_absence(self, look: Away) -> None:
        line = self.query_one("#daemon", Static)
        line.add_class("away")
        line.update(formatting.printable(f"the daemon is away: {look.reason}"))
        # The previous numbers stay: they are the last that is known. A later rate must not include this gap.
        self._before = None
        self._history.add_gap()
        self._show_trends()

    def _show_hottest(self, look: Hottest) -> None:
        if look.label != self._selected:
            return  # the cursor has moved on since it was asked
        self._note("#hottest-note", formatting.printable(look.refusal or ""))
        table = self.query_one("#hottest", Listing)
        table.display = look.refusal is None
        table.show(
            [
                (
                    str(number),
                    (
                        formatting.printable(entry["key"]),
                        KIND_NAMES.get(entry["kind"], formatting.NOT_KNOWN),
                        formatting.byte_size(entry["payload_bytes"]),
                        formatting.count(entry["accesses"]),
                        formatting.duration(entry["idle_ns"] / 1e9),
                    ),
                )
                for number, entry in enumerate(look.entries)
            ]
        )

    def _follow_selection(self) -> None:
        selected = self.query_one("#caches", Listing).selected
        if selected == self._selected:
            return
        self._selected = selected
        title = formatting.printable(selected, 40) if selected else "no caches"
        self.query_one("#trends-box").border_title = title
        self.query_one("#hottest-box").border_title = (
            f"hottest keys of {title}" if selected else "hottest keys"
        )
        self.query_one("#hottest", Listing).show([])
        self._watcher.select(selected)
        self._show_trends()

    def _show_trends(self) -> None:
        self.query_one("#trends", Trends).show(self._history.of(self._selected or ""))

    def _note(self, place: str, text: str) -> None:
        note = self.query_one(place, Static)
        note.update(text)
        note.display = bool(text)


def _cache_cells(cache: CacheFigures) -> list[str]:
    return [
        cache.label,
        formatting.share(cache.hit_rate),
        formatting.share(cache.could_be),
        formatting.per_second(cache.lookups_per_s),
        formatting.count(cache.entries),
        formatting.byte_size(cache.charged_bytes),
        formatting.share(cache.fill),
        formatting.per_second(cache.evictions_per_s),
        formatting.per_second(cache.expirations_per_s),
        formatting.per_second(cache.forgotten_per_s),
        formatting.count(cache.processes),
    ]


def _upstream_cells(upstream: UpstreamFigures) -> list[str]:
    unconnected = "not connected" if upstream.last_error else "not used yet"
    return [
        upstream.label,
        formatting.per_second(upstream.requests_per_s),
        *map(formatting.latency, upstream.latencies_us),
        formatting.count(upstream.in_flight),
        formatting.count(upstream.queued),
        "connected" if upstream.connected else unconnected,
    ]
