"""Typing of the compiled settings; the implementation is in `settings.pyx`."""

from typing import TypedDict

class StoreSettings(TypedDict):
    """The settings of a store: the pool's own, and of the daemon its instance and its readers' grace."""

    max_cache_kb: int
    entry_ttl_ms: int
    eviction_policy: str
    enable_metrics: bool
    instance_id: int
    grace_ms: int

def check_settings(
    *,
    max_cache_kb: int,
    entry_ttl_ms: int,
    eviction_policy: str,
    enable_metrics: bool,
    instance_id: int,
    grace_ms: int,
) -> None:
    """Raise `ValueError` for settings that no pool can have."""

def check_ttl(entry_ttl_ms: int) -> None:
    """Raise `ValueError` for a TTL that no pool can have."""
