"""Typing of the compiled settings; the implementation is in `settings.pyx`."""

from typing import TypedDict

class StoreSettings(TypedDict):
    """What a store is made with: the pool's own settings, and of the daemon its instance and its readers' grace."""

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
    """Raise `ValueError` for what no pool can have."""

def check_ttl(entry_ttl_ms: int) -> None:
    """The same for a TTL alone."""
