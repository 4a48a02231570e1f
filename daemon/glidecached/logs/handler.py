"""The log handler: writes lines to standard error, in the journal's form if the journal reads them."""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING, TextIO

from glidecached.logs.lines import LineFormatter
from glidecached.logs.repeats import WINDOW_SECONDS, Repeats

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

TELL_INTERVAL_MS = WINDOW_SECONDS * 1e3
"""The interval at which `tell_repeats` is due."""


class LogHandler(logging.StreamHandler[TextIO]):
    """A handler that writes one line per event to `stream`; frequent repeats are left out and counted. For any thread.

    `environment` shows whether the stream is the journal's (`$JOURNAL_STREAM`, systemd.exec(5)).
    """

    def __init__(self, stream: TextIO, environment: Mapping[str, str]) -> None:
        super().__init__(stream)
        self.in_journal = _identity(stream) == environment.get("JOURNAL_STREAM")
        self.setFormatter(LineFormatter(for_journal=self.in_journal))
        self._repeats = Repeats()

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, unless there were too many of its kind."""
        now = time.monotonic()
        self._write(self._repeats.ended(now))
        if self._repeats.admit(record, now):
            super().emit(record)

    def tell_repeats(self) -> None:
        """Log how many events were left out. Must be called regularly, or only the next event would report it."""
        self.acquire()
        try:
            self._write(self._repeats.ended(time.monotonic()))
        finally:
            self.release()

    def close(self) -> None:
        """Log the remaining counts of left-out events. Idempotent."""
        self._write(self._repeats.all_ended())
        super().close()

    def _write(self, records: Iterable[logging.LogRecord]) -> None:
        for record in records:
            super().emit(record)


def _identity(stream: TextIO) -> str:
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):  # not a file: a test's buffer
        return ""
    return f"{status.st_dev}:{status.st_ino}"
