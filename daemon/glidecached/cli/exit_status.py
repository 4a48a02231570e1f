"""The exit statuses of `glidecache`, once for the code, the manual and the tests."""

from __future__ import annotations

from enum import IntEnum


class ExitStatus(IntEnum):
    """The exit statuses that a shell sees.

    2 is click's own, for wrong options and arguments; so the daemon's absence has another.
    """

    DONE = 0
    FAILED = 1
    """The daemon refused, or `doctor` found something that fails."""
    USAGE = 2
    """Options or arguments are wrong."""
    UNREACHABLE = 3
    """No daemon answers."""
    NOT_CONFIRMED = 4
    """Nothing was done: the answer was no, or there was no terminal to ask on and no `--yes`."""
