"""The settings of a pool; two clients that share a name must agree on them (contract C19)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

EvictionPolicy = Literal["LRU", "LFU"]
EVICTION_POLICIES: tuple[EvictionPolicy, ...] = ("LRU", "LFU")

MAX_CACHE_KB = 159_383_551
"""A pool's granules have numbers of 31 bits. This and the next are the compiled core's limits, as a test checks."""
MAX_TTL_MS = 18_446_744_073_709
"""As nanoseconds it fits into 64 bits: 584 years."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSettings:
    """A pool's bound in KB, its TTL in ms (0: entries do not expire), its policy, and whether metrics may be read."""

    max_cache_kb: int
    entry_ttl_ms: int
    eviction_policy: EvictionPolicy = "LRU"
    enable_metrics: bool = False

    def __post_init__(self) -> None:
        """Raise `ValueError` for values that no pool can have."""
        if not 0 < self.max_cache_kb <= MAX_CACHE_KB:
            right = "positive" if self.max_cache_kb <= 0 else f"at most {MAX_CACHE_KB}"
            message = f"max_cache_kb is {self.max_cache_kb}; it must be {right}"
            raise ValueError(message)
        if not 0 <= self.entry_ttl_ms <= MAX_TTL_MS:
            right = "non-negative" if self.entry_ttl_ms < 0 else f"at most {MAX_TTL_MS}"
            message = f"entry_ttl_ms is {self.entry_ttl_ms}; it must be {right} (0 = no expiration)"
            raise ValueError(message)
        if self.eviction_policy not in EVICTION_POLICIES:
            message = f"eviction_policy is {self.eviction_policy!r}; it must be one of {', '.join(EVICTION_POLICIES)}"
            raise ValueError(message)

    def differences(self, other: PoolSettings) -> list[str]:
        """Return `"entry_ttl_ms 5000, not 1000"` for each field in which `other` is different."""
        return [
            f"{name} {mine}, not {theirs}"
            for name in (each.name for each in fields(self))
            if (mine := getattr(self, name)) != (theirs := getattr(other, name))
        ]
