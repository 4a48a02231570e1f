"""The thread that asks the daemon again and again, so that a slow or absent daemon never holds up the screen."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from glidecache_shared import protocol
from glidecached.cli.daemon_client import DaemonClient, DaemonUnreachableError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

HOTTEST_COUNT = 50
_REST_PER_SEARCH = 20
"""The pause after a search, in durations of that search: the daemon looks through all entries for the hottest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """An answer to STATS, and the monotonic second in which it came."""

    numbers: dict[str, Any]
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Hottest:
    """The hottest entries of the cache `label`, or why the daemon does not report them."""

    label: str
    entries: list[dict[str, Any]]
    refusal: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Away:
    """The absence of a daemon to ask, and the reason."""

    reason: str


Look = Numbers | Hottest | Away


class Poller:
    """The poller of the daemon of `directory`: it asks every `interval_s` seconds and hands each answer to `tell`.

    It has a thread of its own, which runs until `stop`. While there is no daemon it reports that once an interval, and
    tries again.
    """

    def __init__(self, directory: str, interval_s: float, tell: Callable[[Look], object]) -> None:
        self._directory = directory
        self._interval_s = interval_s
        self._tell = tell
        self._selected: str | None = None
        self._leaving = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watcher")

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def select(self, label: str | None) -> None:
        """Report the hottest entries of this cache from now on; the first time at once."""
        self._selected = label
        self._wake.set()

    def stop(self) -> None:
        """End the thread, even while it waits for an answer."""
        self._leaving.set()
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._leaving.is_set():
            try:
                with DaemonClient(self._directory, give_up=self._leaving) as link:
                    self._ask(link)
            except (DaemonUnreachableError, RefusedError) as error:
                self._tell(Away(reason=str(error)))
                self._leaving.wait(self._interval_s)

    def _ask(self, link: DaemonClient) -> None:
        due_s = search_due_s = time.monotonic()
        searched = None
        while not self._leaving.is_set():
            if time.monotonic() >= due_s:
                numbers = link.request(protocol.STATS)
                now_s = time.monotonic()
                self._tell(Numbers(numbers=numbers, at_s=now_s))
                due_s = max(due_s + self._interval_s, now_s)
            label = self._selected
            began_s = time.monotonic()
            if label is not None and (label != searched or began_s >= search_due_s):
                self._tell(_hottest(link, label))
                searched, ended_s = label, time.monotonic()
                search_due_s = ended_s + _REST_PER_SEARCH * (ended_s - began_s)
            self._wake.wait(max(0.0, due_s - time.monotonic()))
            self._wake.clear()


def _hottest(link: DaemonClient, label: str) -> Hottest:
    try:
        answer = link.request(protocol.HOTTEST, label, HOTTEST_COUNT)
    except RefusedError as error:
        # A cache that has just been dropped is the next STATS' matter; to be no administrator does not pass.
        return Hottest(label=label, entries=[], refusal=str(error))
    return Hottest(label=label, entries=answer["entries"], refusal=None)
