"""The durations and reconnections of an upstream, over all its connections, closed ones included."""

from typing import Any

BOUNDS_US: tuple[int, ...]
"""The histogram's upper bounds, inclusive; beyond the last there is one more place."""

class LatencyHistogram:
    """One upstream's counts. Shared by its connections, in the loop's one thread."""

    reconnects: int
    """The number of connections that replaced a lost one."""

    def __init__(self) -> None: ...
    def replied(self, duration_ns: int) -> None:
        """Count a reply that came this long after its request was submitted."""

    def stats(self) -> dict[str, Any]:
        """Return numbers for the operator.

        `counts` has one number for each bound and one beyond; each counts only its own range.
        """
