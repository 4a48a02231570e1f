"""The daemon's log: one line an event, whatever is in it, and no flood of one event."""

from __future__ import annotations

import io
import logging
import os
import re
import sys
from typing import TYPE_CHECKING

import pytest

from glidecached import logs
from glidecached.logs import (
    BURST,
    MAX_EVENTS,
    MAX_SUBJECTS,
    SUBJECT_FIELDS,
    WINDOW_SECONDS,
    LogHandler,
    RepeatLimiter,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Log:
    """A logger of the test's own with the daemon's handler, and a clock by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.stream = io.StringIO()
        self.handler = LogHandler(self.stream, {})
        self.logger = logging.Logger("glidecached.test", logging.DEBUG)  # noqa: LOG001 - no other test's
        self.logger.addHandler(self.handler)

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[Log]:
    log = Log()
    monkeypatch.setattr(logs.time, "monotonic", lambda: log.now)
    yield log
    log.handler.close()


def test_a_line_is_pairs_of_keys_and_values(log: Log) -> None:
    log.logger.warning("upstream %s is slow", "10.0.0.1:6379", extra={"ms": 250, "cache": "a b"})
    (line,) = log.lines
    assert re.fullmatch(
        r"time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z level=warning logger=glidecached\.test "
        r'event="upstream 10\.0\.0\.1:6379 is slow" ms=250 cache="a b"',
        line,
    )


def test_no_text_makes_a_second_line_or_another_key(log: Log) -> None:
    log.logger.info("%s", 'x" level=error\nforged\r\x1b[31m \x9b31m \u2028 \udcff', extra={"empty": ""})
    (line,) = log.lines
    assert line.endswith(r'event="x\" level=error\nforged\r\u001b[31m \u009b31m \u2028 \udcff" empty=""')


@pytest.mark.parametrize(
    "filler", ["x", "\x00", "\U0001f600", "\n"], ids=["bare", "escaped", "wide", "newline"]
)
def test_no_line_is_so_long_that_the_journal_cuts_it_in_two(log: Log, filler: str) -> None:
    """What followed the cut would be a line that somebody else has written."""
    long = filler * 40_000
    try:
        raise ValueError(long)  # noqa: TRY301 - that is the case
    except ValueError:
        log.logger.exception("first %s last", long, extra={"name_of_it": long})
    (line,) = log.lines
    assert len(line.encode()) < 48 * 1024
    assert 'event="first ' in line
    assert ' last" name_of_it=' in line
    assert "ValueError: " in line or "characters" in line
    assert re.search(r" … \d+ characters … ", line)


def test_an_exception_stays_in_its_line(log: Log) -> None:
    try:
        int("broken\nin two")
    except ValueError:
        log.logger.exception("it failed")
    (line,) = log.lines
    assert 'exception="Traceback (most recent call last):\\n' in line
    assert line.endswith(r"base 10: 'broken\\nin two'" '"')


@pytest.mark.parametrize(
    ("level", "priority"),
    [(logging.DEBUG, 7), (logging.INFO, 6), (logging.WARNING, 4), (logging.ERROR, 3), (logging.CRITICAL, 2)],
)
def test_the_journal_gets_priorities_and_no_time(tmp_path: Path, level: int, priority: int) -> None:
    with (tmp_path / "journal").open("w+") as stream:
        status = os.fstat(stream.fileno())
        handler = LogHandler(stream, {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})
        handler.handle(logging.LogRecord("glidecached", level, "", 0, "started", (), None))
        stream.seek(0)
        name = logging.getLevelName(level).lower()
        assert stream.read() == f"<{priority}>level={name} logger=glidecached event=started\n"


def test_another_process_journal_is_none() -> None:
    assert not LogHandler(sys.__stderr__ or sys.stderr, {"JOURNAL_STREAM": "1:1"}).in_journal
    assert not LogHandler(io.StringIO(), {}).in_journal


def test_repeats_are_left_out_and_counted(log: Log) -> None:
    """Clients choose most fields, so the values of those make no event another one."""
    for number in range(BURST + 5):
        log.logger.warning("client refused", extra={"client": number})
    log.logger.warning("something else")
    assert len(log.lines) == BURST + 1
    log.now += WINDOW_SECONDS
    log.handler.log_left_out()
    assert log.lines[-1].endswith('event="client refused" client=24 left_out=5')
    log.logger.warning("client refused", extra={"client": 99})
    assert log.lines[-1].endswith('event="client refused" client=99')


@pytest.mark.parametrize("name", SUBJECT_FIELDS)
def test_a_flood_about_one_thing_does_not_hide_the_same_event_about_another(log: Log, name: str) -> None:
    for _ in range(BURST + 5):
        log.logger.warning("not reachable", extra={name: "a", "reason": "refused"})
    log.logger.warning("not reachable", extra={name: "b", "reason": "refused"})
    assert log.lines[-1].endswith(f'event="not reachable" {name}=b reason=refused')
    log.now += WINDOW_SECONDS
    log.handler.log_left_out()
    assert log.lines[BURST + 1 :] == log.lines[-1:]
    assert log.lines[-1].endswith(f'event="not reachable" {name}=a reason=refused left_out=5')


def test_clients_that_name_many_things_do_not_fill_the_log(log: Log) -> None:
    for number in range(100 * MAX_SUBJECTS):
        log.logger.warning("cache full", extra={"cache": f"name {number}"})
    assert len(log.lines) == MAX_SUBJECTS + BURST
    for _ in range(BURST):
        log.logger.warning("cache full", extra={"cache": "name 0"})
    assert len(log.lines) == MAX_SUBJECTS + 2 * BURST - 1
    log.now += WINDOW_SECONDS
    log.handler.log_left_out()
    left_out = [int(line.rpartition("left_out=")[2]) for line in log.lines if "left_out=" in line]
    assert left_out == [1, 99 * MAX_SUBJECTS - BURST]


def test_a_field_cannot_replace_what_a_line_says_itself(log: Log) -> None:
    log.logger.warning("real", extra={"event": "forged", "level": "info", "logger": "another"})
    assert log.lines[-1].endswith("level=warning logger=glidecached.test event=real")


def test_the_next_event_reports_too_and_so_does_the_end(log: Log) -> None:
    for _ in range(BURST + 1):
        log.logger.info("one")
    log.now += WINDOW_SECONDS
    log.logger.info("two")
    assert [line.partition("event=")[2] for line in log.lines[BURST:]] == ["one left_out=1", "two"]
    for _ in range(BURST + 2):
        log.logger.info("three")
    log.handler.close()
    assert log.lines[-1].endswith("event=three left_out=2")


def test_debug_lines_all_pass(log: Log) -> None:
    for _ in range(10 * BURST):
        log.logger.debug("request")
    assert len(log.lines) == 10 * BURST


def test_an_operator_is_always_answered(log: Log) -> None:
    log.logger.name = "glidecached.reloader"
    for number in range(BURST + 5):
        log.logger.error("configuration fault", extra={"fault": number})
    assert len(log.lines) == BURST + 5


def test_memory_is_bounded_and_nothing_is_lost_by_that() -> None:
    limiter = RepeatLimiter()

    def record(number: int) -> logging.LogRecord:
        return logging.LogRecord("logger", logging.INFO, "", 0, f"event {number}", (), None)

    for _ in range(BURST + 3):
        limiter.admit(record(0), 0.0)
    summaries = []
    for number in range(1, 10 * MAX_EVENTS):
        limiter.admit(record(number), 0.0)
        summaries += list(limiter.ended(0.0))
    assert [(each.getMessage(), each.__dict__["left_out"]) for each in summaries] == [("event 0", 3)]
    assert len(limiter) == MAX_EVENTS
    long = logging.LogRecord("logger", logging.INFO, "", 0, "x" * 100_000, (), None)
    long.__dict__.update({f"field_{number}": "y" * 100_000 for number in range(100)}, upstream="z" * 100_000)
    for _ in range(BURST + 1):
        limiter.admit(long, 0.0)
    assert max(len(text) for _, _, text in limiter._windows) < 1_000
    window = list(limiter._windows.values())[-1]
    ((subject, repeats),) = window.subjects.items()
    assert len(repr(subject)) + len(repr(repeats)) < 20_000
