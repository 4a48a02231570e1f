"""One record as one line of `key=value` pairs, for any text that a client or a server put into it."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime

_BARE = re.compile(r"[A-Za-z0-9_./:@%+,\-]+")
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Characters that JSON does not escape, but that affect a terminal or a line reader."""

_RECORDS_OWN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}

_MOST_CHARACTERS = (8_000, 1_000)
"""The greatest length of a value, and of each value where the line is too long."""

_MOST_BYTES = 45_000
"""The greatest length of a line: the journal cuts at 48 KB (journald.conf(5), LineMax=), and logs the rest apart."""

_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
"""The priorities of syslog, which the journal reads at the beginning of a line (sd-daemon(3))."""


class LineFormatter(logging.Formatter):
    """A line: `time=… level=… logger=… event="…"`, then the fields of `extra`, then `exception` with its traceback.

    Bounded in length: a long value is shown by its beginning and its end. For the journal, which has a clock and
    priorities of its own, `<6>` takes the place of `time`.
    """

    def __init__(self, *, for_journal: bool) -> None:
        super().__init__()
        self._for_journal = for_journal

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without a line end."""
        pairs = {
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **{name: str(value) for name, value in record.__dict__.items() if name not in _RECORDS_OWN},
        }
        if record.exc_info:
            pairs["exception"] = self.formatException(record.exc_info)
        for most in _MOST_CHARACTERS:
            line = " ".join(f"{name}={_quoted(_shortened(value, most))}" for name, value in pairs.items())
            if len(line.encode()) <= _MOST_BYTES:
                break
        if self._for_journal:
            return f"<{_PRIORITIES.get(record.levelno, 5)}>{line}"
        return f"time={datetime.fromtimestamp(record.created, UTC):%Y-%m-%dT%H:%M:%S.%f}Z {line}"


def _shortened(value: str, most: int) -> str:
    if len(value) <= most:
        return value
    half = most // 2
    return f"{value[:half]} … {len(value) - 2 * half} characters … {value[-half:]}"


def _quoted(value: str) -> str:
    if _BARE.fullmatch(value):
        return value
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))
