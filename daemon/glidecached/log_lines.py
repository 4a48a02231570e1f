"""The forms of a log line: an event as `key=value` pairs, or as one object of JSON.

Whatever an event has in it, the line is one line, can be read back, and is bounded in length.
"""

from __future__ import annotations

import json
import logging
import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

LogFormat = Literal["logfmt", "json"]

RECORD_ATTRIBUTES = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
"""Attributes of any log record: `logging` raises `KeyError` for a field of such a name."""

LINE_KEYS = frozenset({"time", "level", "logger", "event", "message", "exception", "left_out"})
"""Keys that a line has of its own: no field may have such a name."""

_COUNTED = "left_out"
"""The one of them that the log itself sets as a field."""

_BARE = re.compile(r"[A-Za-z0-9_./:@%+,\-]+")
_NO_KEY = re.compile(r"[^A-Za-z0-9_.\-]")
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Characters that JSON does not escape, but that affect a terminal or a line reader."""

_MOST_CHARACTERS = (8_000, 1_000, 200, 40)
"""The greatest length of a value, and of each value where the line is too long."""

_MOST_BYTES = 45_000
"""The greatest length of a line: the journal cuts at 48 KB (journald.conf(5), LineMax=), and logs the rest apart."""

_MOST_FIELDS = 100
_MOST_NAME_CHARACTERS = 60

_LARGEST_INTEGER = 2**63
"""From here on an integer is text: readers of JSON refuse it, or make another number of it."""

_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
"""The priorities of syslog, which the journal reads at the beginning of a line (sd-daemon(3))."""


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return the event's data: what was given as `extra`."""
    return {name: value for name, value in record.__dict__.items() if name not in RECORD_ATTRIBUTES}


def event_of(record: logging.LogRecord) -> str:
    """Return the event's text. Never raises: other libraries may give arguments that do not fit their text."""
    try:
        return text_of(record.getMessage())
    except Exception:  # noqa: BLE001 - of any kind: a text's own code makes it
        return text_of(record.msg)


def text_of(value: object) -> str:
    """Return a value's text, whatever its own code does."""
    try:
        return str.__str__(
            value if isinstance(value, str) else str(value)
        )  # no subclass, with methods of its own
    except Exception as error:  # noqa: BLE001 - of any kind: the value's own code makes it
        return f"<{type(value).__name__} without text: {type(error).__name__}>"


def plain_value(value: object) -> str | float | bool | None:
    """Return a value as JSON has it: a number, `true`, `false` or `null`; of everything else the text.

    So are numbers that JSON lacks (`nan`, `inf`), and integers of more than 64 bits.
    """
    if value is None or value is True or value is False:
        return value
    if isinstance(value, int) and -_LARGEST_INTEGER <= value < _LARGEST_INTEGER:
        return int.__index__(value)
    if isinstance(value, float) and math.isfinite(value):
        return float.__float__(value)
    return text_of(value)


class LineFormatter(logging.Formatter):
    """The base of both forms: it collects what a line says, and shortens it.

    Bounded in length: a long value is shown by its beginning and its end. `for_journal`: the journal has priorities of
    its own, so `<6>` begins the line. `encoding`: the stream's, which shows characters that it lacks as escapes.
    """

    def __init__(self, *, for_journal: bool, encoding: str = "utf-8") -> None:
        super().__init__()
        self._for_journal = for_journal
        self._encoding = encoding

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without a line end."""
        fields = list(self._fields(record))
        line = ""
        for most in _MOST_CHARACTERS:
            line = self.line(record, [(name, _shortened(value, most)) for name, value in fields])
            if len(line.encode(self._encoding, "backslashreplace")) <= _MOST_BYTES:
                break
        return f"<{_PRIORITIES.get(record.levelno, 5)}>{line}" if self._for_journal else line

    def line(self, record: logging.LogRecord, fields: list[tuple[str, Any]]) -> str:
        """Return the line of an event whose pairs are given, with its text first and `exception` last."""
        raise NotImplementedError

    def _fields(self, record: logging.LogRecord) -> Iterator[tuple[str, Any]]:
        """Yield the event's text under the name that this form has for it, its fields, and its exception."""
        yield "", event_of(record)
        given = [
            (name, value)
            for name, value in fields_of(record).items()
            if name not in LINE_KEYS or name == _COUNTED
        ]
        taken = {name for name, _ in given}
        for name, value in given[:_MOST_FIELDS]:
            key = name
            if _NO_KEY.search(name) or not 0 < len(name) <= _MOST_NAME_CHARACTERS:
                key = _NO_KEY.sub("_", name[:_MOST_NAME_CHARACTERS])
                while not key or key in taken or key in LINE_KEYS:
                    key += "_"
                taken.add(key)
            yield key, plain_value(value)
        if record.exc_info:
            try:
                yield "exception", self.formatException(record.exc_info)
            except Exception as error:  # noqa: BLE001 - of any kind: an exception's own code makes its text
                yield "exception", f"<without traceback: {type(error).__name__}>"


class LogfmtLine(LineFormatter):
    """A line: `time=… level=… logger=… event="…"`, then the event's fields, then `exception` with its traceback.

    A value is bare, or a string of JSON. The journal has a clock of its own: there the line has no `time`.
    """

    def line(self, record: logging.LogRecord, fields: list[tuple[str, Any]]) -> str:
        """Return the line of an event whose pairs are given."""
        pairs: list[tuple[str, Any]] = [
            ("level", record.levelname.lower()),
            ("logger", _shortened(record.name, _MOST_CHARACTERS[-1] * 5)),
            *((name or "event", value) for name, value in fields),
        ]
        line = " ".join(f"{name}={_quoted(str(value))}" for name, value in pairs)
        if self._for_journal:
            return line
        return f"time={datetime.fromtimestamp(record.created, UTC):%Y-%m-%dT%H:%M:%S.%f}Z {line}"


class JsonLine(LineFormatter):
    """A line: an object with `time`, `level`, `logger`, `message`, then the event's fields, then `exception`.

    Numbers are numbers. All is ASCII, whatever encoding the stream has; a surrogate alone, which strict readers refuse,
    is shown as backslash, `u` and its number.
    """

    def line(self, record: logging.LogRecord, fields: list[tuple[str, Any]]) -> str:
        """Return the line of an event whose pairs are given."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        content: dict[str, Any] = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": _encodable(_shortened(record.name, _MOST_CHARACTERS[-1] * 5)),
        }
        content |= {
            name or "message": _encodable(value) if isinstance(value, str) else value
            for name, value in fields
        }
        return json.dumps(content, allow_nan=False)


FORMATTERS: dict[LogFormat, type[LineFormatter]] = {"logfmt": LogfmtLine, "json": JsonLine}


def _shortened(value: Any, most: int) -> Any:
    if not isinstance(value, str) or len(value) <= most:
        return value
    half = most // 2
    return f"{value[:half]} … {len(value) - 2 * half} characters … {value[-half:]}"


def _quoted(value: str) -> str:
    if _BARE.fullmatch(value):
        return value
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))


def _encodable(value: str) -> str:
    return value.encode("utf-8", "backslashreplace").decode()
