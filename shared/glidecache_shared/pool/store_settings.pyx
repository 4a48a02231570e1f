"""The settings of a store, and the check of values that no pool can have."""

from libc.stdint cimport uint64_t

from glidecache_shared.pool.layout cimport GPOOL_GRANULE_BYTES, GPOOL_MAX_GRANULES, GPOOL_POLICY_LFU, GPOOL_POLICY_LRU

from typing import TypedDict

POLICIES = {"LRU": GPOOL_POLICY_LRU, "LFU": GPOOL_POLICY_LFU}
MOST_NS = <uint64_t>-1


class StoreSettings(TypedDict):
    max_cache_kb: int
    entry_ttl_ms: int
    eviction_policy: str
    enable_metrics: bool
    instance_id: int
    grace_ms: int


def check_settings(*, max_cache_kb, entry_ttl_ms, eviction_policy, enable_metrics, instance_id, grace_ms):
    if max_cache_kb <= 0:
        raise ValueError(f"max_cache_kb must be positive, not {max_cache_kb}")
    if eviction_policy not in POLICIES:
        raise ValueError(f"eviction_policy must be LRU or LFU, not {eviction_policy!r}")
    if max_cache_kb * 1024 // GPOOL_GRANULE_BYTES + 2 > GPOOL_MAX_GRANULES:
        raise ValueError(f"max_cache_kb must be at most {(<uint64_t>(GPOOL_MAX_GRANULES - 1) * GPOOL_GRANULE_BYTES - 1) // 1024}")
    check_ttl(entry_ttl_ms)
    if grace_ms * 1_000_000 > MOST_NS // 2:
        raise ValueError("grace_ms must fit into 64 bits as nanoseconds")
    if not 0 <= instance_id <= MOST_NS:
        raise ValueError("instance_id must be an unsigned 64-bit number")


def check_ttl(entry_ttl_ms):
    if entry_ttl_ms < 0:
        raise ValueError("entry_ttl_ms must be non-negative (0 = no expiration)")
    if entry_ttl_ms * 1_000_000 > MOST_NS:
        raise ValueError("entry_ttl_ms must fit into 64 bits as nanoseconds")
