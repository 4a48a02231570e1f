"""What an upstream counts over all its connections, those that are gone included: durations and reconnections."""

from typing import Any

BOUNDS_US: tuple[int, ...]
"""The histogram's upper bounds, inclusive; beyond the last there is one more place."""

class LatencyHistogram:
    """One upstream's counts. Shared by its connections, in the loop's one thread."""

    reconnects: int
    """How many connections were made in the place of one that was lost."""

    def __init__(self) -> None: ...
    def replied(self, duration_ns: int) -> None:
        """A reply came, so long after its request was submitted."""

    def stats(self) -> dict[str, Any]:
        """Numbers for the operator: `counts` has one number a bound and one beyond, each of its own place alone."""
