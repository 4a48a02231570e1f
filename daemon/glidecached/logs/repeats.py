"""Holding back events that come too often, and logging their number."""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

BURST = 20
WINDOW_SECONDS = 10.0
MAX_KINDS = 256
_ANSWERS = ("glidecached.cli.", "glidecached.reloader")
"""Loggers that answer an operator's own actions: each action is logged, and each fault of a file."""

_MAX_EVENT_CHARACTERS = 500


@dataclass(slots=True)
class _Window:
    ends: float
    seen: int = 0
    last_event: str = ""


class Repeats:
    """A filter: it passes the first `BURST` events of a kind per `WINDOW_SECONDS`. A kind is a call's unfilled text.

    Bounded in memory: with more than `MAX_KINDS` kinds the oldest window ends early. All debug lines pass, because an
    operator asked for them, and so do answers to an operator. `now` is any clock in seconds that does not go back.
    """

    def __init__(self) -> None:
        self._windows: OrderedDict[tuple[str, int, str], _Window] = OrderedDict()

    def __len__(self) -> int:
        """Return the number of kinds that are being counted."""
        return len(self._windows)

    def admit(self, record: logging.LogRecord, now: float) -> bool:
        """Return whether the event passes."""
        if record.levelno <= logging.DEBUG or record.name.startswith(_ANSWERS):
            return True
        window = self._windows.setdefault(_kind(record), _Window(now + WINDOW_SECONDS))
        window.seen += 1
        if window.seen <= BURST:
            return True
        window.last_event = record.getMessage()[:_MAX_EVENT_CHARACTERS]
        return False

    def ended(self, now: float) -> Iterator[logging.LogRecord]:
        """End the windows that are over, or too many. Yield a summary for each that left events out."""
        # All windows are equally long, so the first made is the first to end.
        while self._windows:
            kind, window = next(iter(self._windows.items()))
            if window.ends > now and len(self._windows) <= MAX_KINDS:
                return
            del self._windows[kind]
            if window.seen > BURST:
                yield _summary(kind, window)

    def all_ended(self) -> Iterator[logging.LogRecord]:
        """End all windows: no more events will come."""
        return self.ended(float("inf"))


def _kind(record: logging.LogRecord) -> tuple[str, int, str]:
    return record.name, record.levelno, str(record.msg)[:_MAX_EVENT_CHARACTERS]


def _summary(kind: tuple[str, int, str], window: _Window) -> logging.LogRecord:
    name, level, _ = kind
    record = logging.LogRecord(name, level, "", 0, "%s", (window.last_event,), None)
    record.left_out = window.seen - BURST
    return record
