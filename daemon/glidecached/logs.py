"""The log: one line per event on standard error; frequent repeats are left out and counted.

An event is a constant text. Its data are fields, given as `extra`: CONTRIBUTING.md has the rules.
"""

from __future__ import annotations

import logging
import os
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

from glidecached.log_lines import FORMATTERS, event_of, fields_of, plain_value, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from glidecached.log_lines import LogFormat

BURST = 20
WINDOW_SECONDS = 10.0
MAX_EVENTS = 256
MAX_SUBJECTS = 16
SUMMARY_INTERVAL_MS = WINDOW_SECONDS * 1e3
"""The interval at which `log_left_out` is due."""

SUBJECT_FIELDS = ("upstream", "cluster", "node", "cache", "uid")
"""Fields that name what an event is about. A flood about one of them does not hide the same event about another."""

_ANSWERS = ("glidecached.cli.", "glidecached.reloader")
"""Loggers that answer an operator's own actions: each action is logged, and each fault of a file."""

_MAX_KEPT_CHARACTERS = 500
"""The greatest length of an event's text or field while its repeats are counted."""

_MAX_KEPT_FIELDS = 16


class LogHandler(logging.StreamHandler[TextIO]):
    """A handler that writes one line per event to `stream`, and limits repeats. For any thread.

    `environment` shows whether the stream is the journal's (`$JOURNAL_STREAM`, systemd.exec(5)).
    """

    def __init__(self, stream: TextIO, environment: Mapping[str, str]) -> None:
        super().__init__(stream)
        self.in_journal = _identity(stream) == environment.get("JOURNAL_STREAM")
        self._limiter = RepeatLimiter()
        self.use("logfmt")

    @property
    def for_people(self) -> bool:
        """Return whether people read the stream, and no program: neither the journal nor a reader of JSON."""
        return self.log_format == "logfmt" and not self.in_journal

    def use(self, log_format: LogFormat) -> None:
        """Write lines of this form from now on."""
        self.log_format = log_format
        encoding = self.stream.encoding or "utf-8"
        self.setFormatter(FORMATTERS[log_format](for_journal=self.in_journal, encoding=encoding))

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


@dataclass(slots=True)
class _Repeats:
    """The repeats of one event about one subject, and the fields of the last one that was left out."""

    seen: int = 0
    last_event: str = ""
    last_fields: dict[str, Any] = field(default_factory=dict)


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
        event = (record.name, record.levelno, text_of(record.msg)[:_MAX_KEPT_CHARACTERS])
        window = self._windows.setdefault(event, _Window(now + WINDOW_SECONDS))
        repeats = window.repeats(_subject(record))
        repeats.seen += 1
        if repeats.seen <= BURST:
            return True
        repeats.last_event = event_of(record)[:_MAX_KEPT_CHARACTERS]
        repeats.last_fields = {
            name: _kept(value) for name, value in list(fields_of(record).items())[:_MAX_KEPT_FIELDS]
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


def _subject(record: logging.LogRecord) -> tuple[str, ...]:
    found = record.__dict__
    return tuple(
        f"{name}={text_of(found[name])[:_MAX_KEPT_CHARACTERS]}" for name in SUBJECT_FIELDS if name in found
    )


def _kept(value: object) -> Any:
    """Return a field that is kept until its window ends: not the object itself, which may be large or change."""
    plain = plain_value(value)
    return plain[:_MAX_KEPT_CHARACTERS] if isinstance(plain, str) else plain


def use_format(log_format: LogFormat) -> None:
    """Have the daemon's log written in this form from now on."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LogHandler):
            handler.use(log_format)


def _summary(event: tuple[str, int, str], repeats: _Repeats) -> logging.LogRecord:
    name, level, _ = event
    record = logging.LogRecord(name, level, "", 0, "%s", (repeats.last_event,), None)
    record.__dict__.update(repeats.last_fields)
    record.left_out = repeats.seen - BURST
    return record


def _identity(stream: TextIO) -> str:
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):  # not a file: a test's buffer
        return ""
    return f"{status.st_dev}:{status.st_ino}"
