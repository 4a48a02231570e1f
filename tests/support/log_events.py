"""Log records as the daemon's log shows them, for tests that look for an event and its fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glidecached.log_lines import LogfmtLine

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterable

_FORMATTER = LogfmtLine(for_journal=True)


def event_lines(records: Iterable[logging.LogRecord]) -> list[str]:
    """Return `event="…" field=…` for each record."""
    return ["event=" + _FORMATTER.format(record).partition(" event=")[2] for record in records]
