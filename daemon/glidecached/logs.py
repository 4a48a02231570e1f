"""The log: one line per event on standard error, in `key=value` form; frequent repeats are left out and counted.

An event is a constant text. Its data are fields, given as `extra`: CONTRIBUTING.md has the rules.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

BURST = 20
WINDOW_SECONDS = 10.0
MAX_EVENTS = 256
MAX_SUBJECTS = 16
SUMMARY_INTERVAL_MS = WINDOW_SECONDS * 1e3
"""The interval at which `log_left_out` is due."""

SUBJECT_FIELDS = ("upstream", "cluster", "node", "cache", "uid")
"""Fields that name what an event is about. A flood about one of them does not hide the same event about another."""

RECORD_ATTRIBUTES = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
"""Attributes of any log record: `logging` raises `KeyError` for a field of such a name."""

LINE_KEYS = frozenset({"time", "level", "logger", "event", "exception", "left_out"})
"""Keys that a line has of its own: no field may have such a name."""

_ANSWERS = ("glidecached.cli.", "glidecached.reloader")
"""Loggers that answer an operator's own actions: each action is logged, and each fault of a file."""

_MAX_KEPT_CHARACTERS = 500
"""The greatest length of an event's text or field while its repeats are counted."""

_MAX_KEPT_FIELDS = 16
_BARE = re.compile(r"[A-Za-z0-9_./:@%+,\-]+")
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Characters that JSON does not escape, but that affect a terminal or a line reader."""

_MOST_CHARACTERS = (8_000, 1_000)
"""The greatest length of a value, and of each value where the line is too long."""

_MOST_BYTES = 45_000
"""The greatest length of a line: the journal cuts at 48 KB (journald.conf(5), LineMax=), and logs the rest apart."""

_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
"""The priorities of syslog, which the journal reads at the beginning of a line (sd-daemon(3))."""


class LogHandler(logging.StreamHandler[TextIO]):
    """A handler that writes one line per event to `stream`, and limits repeats. For any thread.

    `environment` shows whether the stream is the journal's (`$JOURNAL_STREAM`, systemd.exec(5)).
    """

    def __init__(self, stream: TextIO, environment: Mapping[str, str]) -> None:
        super().__init__(stream)
        self.in_journal = _identity(stream) == environment.get("JOURNAL_STREAM")
        self.setFormatter(LineFormatter(for_journal=self.in_journal))
        self._limiter = RepeatLimiter()

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, unless there were too many of its kind."""
        now = time.monotonic()
        self._write(self._limiter.ended(now))
        if self._limiter.admit(record, now):
            super().emit(record)

    def log_left_out(self) -> None:
        """Log how many events were left out. Must be called regularly, or only the next event would report it."""
        self.acquire()
        try:
            self._write(self._limiter.ended(time.monotonic()))
        finally:
            self.release()

    def close(self) -> None:
        """Log the remaining counts of left-out events. Idempotent."""
        self._write(self._limiter.all_ended())
        super().close()

    def _write(self, records: Iterable[logging.LogRecord]) -> None:
        for record in records:
            super().emit(record)


class LineFormatter(logging.Formatter):
    """A line: `time=… level=… logger=… event="…"`, then the event's fields, then `exception` with its traceback.

    Bounded in length: a long value is shown by its beginning and its end. For the journal, which has a clock and
    priorities of its own, `<6>` takes the place of `time`.
    """

    def __init__(self, *, for_journal: bool) -> None:
        super().__init__()
        self._for_journal = for_journal

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without a line end."""
        pairs = {"level": record.levelname.lower(), "logger": record.name, "event": record.getMessage()}
        for name, value in _fields(record).items():
            pairs.setdefault(name, str(value))
        if record.exc_info:
            pairs["exception"] = self.formatException(record.exc_info)
        for most in _MOST_CHARACTERS:
            line = " ".join(f"{name}={_quoted(_shortened(value, most))}" for name, value in pairs.items())
            if len(line.encode()) <= _MOST_BYTES:
                break
        if self._for_journal:
            return f"<{_PRIORITIES.get(record.levelno, 5)}>{line}"
        return f"time={datetime.fromtimestamp(record.created, UTC):%Y-%m-%dT%H:%M:%S.%f}Z {line}"


@dataclass(slots=True)
class _Repeats:
    """The repeats of one event about one subject, and the fields of the last one that was left out."""

    seen: int = 0
    last_event: str = ""
    last_fields: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Window:
    """The time in which the repeats of one event are counted, for each subject."""

    ends: float
    subjects: dict[tuple[str, ...], _Repeats] = field(default_factory=dict)

    def repeats(self, subject: tuple[str, ...]) -> _Repeats:
        """Return the count of that subject. Subjects beyond `MAX_SUBJECTS` share one."""
        if subject not in self.subjects and len(self.subjects) >= MAX_SUBJECTS:
            subject = ()
        return self.subjects.setdefault(subject, _Repeats())


class RepeatLimiter:
    """A filter: it passes the first `BURST` events of a kind per `WINDOW_SECONDS`.

    Of one kind are records of one logger, level and event text, about one subject (`SUBJECT_FIELDS`). Other fields make
    no kind of their own: clients choose their values, and could fill the log with them. Bounded in memory and lines:
    with more than `MAX_EVENTS` events the oldest window ends early, and subjects beyond `MAX_SUBJECTS` count as one.
    All debug lines pass, because an operator asked for them, and so do answers to an operator. `now` is any clock in
    seconds that does not go back.
    """

    def __init__(self) -> None:
        self._windows: OrderedDict[tuple[str, int, str], _Window] = OrderedDict()

    def __len__(self) -> int:
        """Return the number of events that are being counted."""
        return len(self._windows)

    def admit(self, record: logging.LogRecord, now: float) -> bool:
        """Return whether the event passes."""
        if record.levelno <= logging.DEBUG or record.name.startswith(_ANSWERS):
            return True
        event = (record.name, record.levelno, str(record.msg)[:_MAX_KEPT_CHARACTERS])
        window = self._windows.setdefault(event, _Window(now + WINDOW_SECONDS))
        repeats = window.repeats(_subject(record))
        repeats.seen += 1
        if repeats.seen <= BURST:
            return True
        repeats.last_event = record.getMessage()[:_MAX_KEPT_CHARACTERS]
        repeats.last_fields = {
            name: str(value)[:_MAX_KEPT_CHARACTERS]
            for name, value in list(_fields(record).items())[:_MAX_KEPT_FIELDS]
        }
        return False

    def ended(self, now: float) -> Iterator[logging.LogRecord]:
        """End the windows that are over, or too many. Yield a summary for each subject that had events left out."""
        # All windows are equally long, so the first made is the first to end.
        while self._windows:
            event, window = next(iter(self._windows.items()))
            if window.ends > now and len(self._windows) <= MAX_EVENTS:
                return
            del self._windows[event]
            for repeats in window.subjects.values():
                if repeats.seen > BURST:
                    yield _summary(event, repeats)

    def all_ended(self) -> Iterator[logging.LogRecord]:
        """End all windows: no more events will come."""
        return self.ended(float("inf"))


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in record.__dict__.items() if name not in RECORD_ATTRIBUTES}


def _subject(record: logging.LogRecord) -> tuple[str, ...]:
    found = record.__dict__
    return tuple(
        f"{name}={str(found[name])[:_MAX_KEPT_CHARACTERS]}" for name in SUBJECT_FIELDS if name in found
    )


def _summary(event: tuple[str, int, str], repeats: _Repeats) -> logging.LogRecord:
    name, level, _ = event
    record = logging.LogRecord(name, level, "", 0, "%s", (repeats.last_event,), None)
    record.__dict__.update(repeats.last_fields)
    record.left_out = repeats.seen - BURST
    return record


def _shortened(value: str, most: int) -> str:
    if len(value) <= most:
        return value
    half = most // 2
    return f"{value[:half]} … {len(value) - 2 * half} characters … {value[-half:]}"


def _quoted(value: str) -> str:
    if _BARE.fullmatch(value):
        return value
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))


def _identity(stream: TextIO) -> str:
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):  # not a file: a test's buffer
        return ""
    return f"{status.st_dev}:{status.st_ino}"
