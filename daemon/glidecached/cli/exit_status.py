"""The exit statuses of `glidecache`, once for the code, the manual and the tests."""

from __future__ import annotations

from enum import IntEnum


class ExitStatus(IntEnum):
    """What a shell sees. 2 is click's own, for wrong options and arguments; so the daemon's absence has another."""

    DONE = 0
    FAILED = 1
    """The daemon refused, or `doctor` found something that fails."""
    USAGE = 2
    """Options or arguments are wrong."""
    UNREACHABLE = 3
    """No daemon answers."""
    NOT_CONFIRMED = 4
    """Nothing was done: the question was answered with no, or there was nobody to ask and no `--yes`."""
