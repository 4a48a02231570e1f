"""The size of the measurement: rounds, their length, and the size of the large pools."""

from __future__ import annotations

from dataclasses import dataclass

MILLION = 1_000_000
FEWEST_ENTRIES = 10_000
"""A large pool that is smaller would fit into the processor's caches, and say nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """The lengths of one run. Targets that speak of a million entries are judged only where `entries` is one."""

    rounds: int
    """The number of turns of each candidate where calls are timed."""
    round_ms: float
    """The length of one turn."""
    process_rounds: int
    """The number of turns where processes take turns, which are longer."""
    process_ms: float
    entries: int
    """Entries of the large pools."""
    sequence: int
    """Reads of one turn of random access."""
    evictions: int
    """Evicting inserts of one turn, several scans for victims long: an eviction's cost is amortised over them."""
    eviction_rounds: int
    crowded_entries: int
    """Entries of the larger pool where whole clients are compared."""
    misses: int
    """Single misses of one turn."""
    large_values: int
    """The number of values of 1 MB; a pool that grows stores each of them once."""
    crew_rounds: int
    """The number of turns where eight or sixteen processes take turns."""
    crew_ms: float
    spin_s: float
    """The time for which readers keep the processors busy; commands beside them must be done by then."""
    watch_s: float
    """The time for which the daemon is watched while workers hit."""

    @property
    def million(self) -> bool:
        """Return whether targets for a million entries can be judged."""
        return self.entries >= MILLION


DEFAULT = Scale(
    rounds=25,
    round_ms=20,
    process_rounds=15,
    process_ms=150,
    entries=MILLION,
    sequence=50_000,
    evictions=50_000,
    eviction_rounds=7,
    crowded_entries=50_000,
    misses=200,
    large_values=240,
    crew_rounds=7,
    crew_ms=700,
    spin_s=12,
    watch_s=5,
)

QUICK = Scale(
    rounds=7,
    round_ms=8,
    process_rounds=5,
    process_ms=60,
    entries=100_000,
    sequence=20_000,
    evictions=10_000,
    eviction_rounds=3,
    crowded_entries=10_000,
    misses=50,
    large_values=60,
    crew_rounds=3,
    crew_ms=200,
    spin_s=6,
    watch_s=2,
)
