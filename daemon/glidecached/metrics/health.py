"""Health: the daemon is well while its loop runs. An upstream that is down is only reported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glidecached.stats.formatting import printable
from glidecached.stats.labels import upstream_label

if TYPE_CHECKING:
    from collections.abc import Iterator

    from glidecached.stats.snapshots import Snapshots

_LEAST_SECONDS = 2.0


class Health:
    """The health check. It answers from any thread without asking the loop, so also while the loop hangs.

    The daemon is unwell when its loop has not turned for the grace period, but at least for two seconds. After the
    grace period clients do not trust its pools any more (architecture 9).
    """

    def __init__(self, snapshots: Snapshots, grace_ms: int) -> None:
        self._snapshots = snapshots
        self._longest_seconds = max(_LEAST_SECONDS, grace_ms / 1e3)

    def check(self) -> tuple[bool, str]:
        """Return whether the daemon is well, and lines with the reasons."""
        silent_seconds = self._snapshots.silent_seconds
        well = silent_seconds <= self._longest_seconds
        return well, "\n".join([self._loop_line(silent_seconds, well=well), *self._upstream_lines(), ""])

    def _loop_line(self, silent_seconds: float, *, well: bool) -> str:
        if well:
            return f"ok: the loop turned {silent_seconds:.1f} s ago"
        return f"unwell: the loop has not turned for {silent_seconds:.1f} s; {self._longest_seconds:g} s are too long"

    def _upstream_lines(self) -> Iterator[str]:
        latest = self._snapshots.latest
        for upstream in latest.numbers["upstreams"] if latest else ():
            if upstream["connected_to"]:
                state = f"connected to {upstream['connected_to']}"
            elif upstream["last_error"]:
                state = f"not connected: {upstream['last_error']}"
            else:
                state = "not used yet"
            yield f"upstream {printable(upstream_label(upstream))}: {printable(state)}"
