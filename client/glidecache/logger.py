"""GLIDE's logger, for code that calls it: it forwards to `logging`, whose handlers are the application's."""

from __future__ import annotations

import logging
from enum import Enum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar

_NAME = "glidecache"
_TRACE = 5


class LogLevel(Enum):
    """The amount that is logged; each level includes those before it."""

    ERROR = 0
    WARN = 1
    INFO = 2
    DEBUG = 3
    TRACE = 4
    OFF = 5


Level = LogLevel
"""The name within GLIDE's module."""

_LEVELS = {
    LogLevel.ERROR: logging.ERROR,
    LogLevel.WARN: logging.WARNING,
    LogLevel.INFO: logging.INFO,
    LogLevel.DEBUG: logging.DEBUG,
    LogLevel.TRACE: _TRACE,
    LogLevel.OFF: logging.CRITICAL + 1,
}


class Logger:
    """The one logger of a process. Messages that pass its level go to `logging.getLogger("glidecache")`.

    A given level becomes that logger's level, too. Without one it is WARN, unless it was set before. `file_name` is
    ignored, with one warning: give that logger a handler instead. Raises `TypeError` for a level that is no `LogLevel`.
    """

    _instance: ClassVar[Logger | None] = None
    logger_level: ClassVar[LogLevel] = LogLevel.OFF

    def __init__(self, level: LogLevel | None = None, file_name: str | None = None) -> None:
        if level is not None:
            _need_level(level)
            logging.getLogger(_NAME).setLevel(_LEVELS[level])
        Logger.logger_level = LogLevel.WARN if level is None else level
        if file_name:
            logging.getLogger(_NAME).warning(
                "Logger ignores file_name; add a handler to the logger instead",
                extra={"file_name": file_name, "logger": _NAME},
            )

    @classmethod
    def init(cls, level: LogLevel | None = None, file_name: str | None = None) -> None:
        """Configure the logger, unless it has been configured already."""
        if Logger._instance is None:
            Logger._instance = cls(level, file_name)

    @classmethod
    def log(
        cls, log_level: LogLevel, log_identifier: str, message: str, err: Exception | None = None
    ) -> None:
        """Log a message under an identifier, with an error's traceback if there is one."""
        _need_level(log_level)
        cls.init()
        # OFF is no level of a message: in GLIDE's order it would come after all others.
        if log_level is LogLevel.OFF or log_level.value > Logger.logger_level.value:
            return
        logging.getLogger(_NAME).log(_LEVELS[log_level], "%s - %s", log_identifier, message, exc_info=err)

    @classmethod
    def set_logger_config(cls, level: LogLevel | None = None, file_name: str | None = None) -> None:
        """Configure the logger, even if it has been configured already."""
        Logger._instance = cls(level, file_name)


def _need_level(level: object) -> None:
    if not isinstance(level, LogLevel):
        message = f"level must be a LogLevel, not {type(level).__name__}"
        raise TypeError(message)
