"""GLIDE's logger forwards to `logging`, at the level that was set."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from glidecache import Logger, LogLevel
from glidecache.logger import Level

if TYPE_CHECKING:
    from collections.abc import Iterator

LOGGER = logging.getLogger("glidecache")


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(Logger, "_instance", None)
    monkeypatch.setattr(Logger, "logger_level", LogLevel.OFF)
    level = LOGGER.level
    yield
    LOGGER.setLevel(level)


LEVELS = [LogLevel.ERROR, LogLevel.WARN, LogLevel.INFO, LogLevel.DEBUG, LogLevel.TRACE]


@pytest.mark.parametrize("level", LogLevel)
def test_what_passes_the_level_is_forwarded(level: LogLevel, caplog: pytest.LogCaptureFixture) -> None:
    Logger.set_logger_config(level)
    for each in LogLevel:
        Logger.log(each, "here", each.name)
    passed = [] if level is LogLevel.OFF else LEVELS[: LEVELS.index(level) + 1]
    assert [record.getMessage() for record in caplog.records] == [f"here - {each.name}" for each in passed]
    assert {record.name for record in caplog.records} <= {"glidecache"}
    numbers = [record.levelno for record in caplog.records]
    assert numbers == sorted(numbers, reverse=True)


def test_without_configuration_warnings_are_forwarded(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "glidecache")
    Logger.log(LogLevel.WARN, "a", "seen")
    Logger.log(LogLevel.INFO, "a", "unseen")
    assert caplog.messages == ["a - seen"]
    assert Logger.logger_level is LogLevel.WARN


def test_only_the_first_init_counts(caplog: pytest.LogCaptureFixture) -> None:
    Logger.init(LogLevel.ERROR)
    Logger.init(LogLevel.DEBUG)
    assert Logger.logger_level is LogLevel.ERROR
    Logger.set_logger_config(LogLevel.DEBUG)
    Logger.log(LogLevel.DEBUG, "a", "seen")
    assert caplog.messages == ["a - seen"]


def test_an_error_comes_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    Logger.log(LogLevel.ERROR, "a", "failed", ValueError("why"))
    assert caplog.records[0].exc_info is not None
    assert "ValueError: why" in caplog.text


def test_a_file_name_is_not_heeded_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    Logger.init(None, "glide.log")
    assert "Logger ignores file_name" in caplog.text
    assert caplog.records[0].__dict__["file_name"] == "glide.log"


@pytest.mark.parametrize("level", ["DEBUG", 3, logging.DEBUG])
def test_what_is_no_level_is_refused(level: object) -> None:
    for do in (Logger.init, Logger.set_logger_config, lambda level: Logger.log(level, "a", "b")):
        with pytest.raises(TypeError, match="level must be a LogLevel, not"):
            do(level)  # type: ignore[operator]
    assert Level is LogLevel
