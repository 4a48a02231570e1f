"""Where log lines go: standard error, as the journal wants them where it is at the other end."""

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
"""How often `tell_repeats` is due."""


class LogHandler(logging.StreamHandler[TextIO]):
    """Writes a line an event to `stream`; what comes too often is left out and counted. For any thread.

    `environment` tells whether the stream is the journal's (`$JOURNAL_STREAM`, systemd.exec(5)).
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
        """Tell how many events were left out: to be called regularly, or only the next event would tell."""
        self.acquire()
        try:
            self._write(self._repeats.ended(time.monotonic()))
        finally:
            self.release()

    def close(self) -> None:
        """Tell what is left to tell. Idempotent."""
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
