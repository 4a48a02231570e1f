"""Where things stand in a pool's file, for tests that damage it (docs/design/pool-layout.md), in bytes."""

from __future__ import annotations

HEADER_BYTES, BUCKET_BYTES, GRANULE_BYTES = 4096, 64, 76

OVERFLOW_OFFSET_AT, ARENA_OFFSET_AT = 80, 96
"""Words of 8 bytes: where those regions begin."""

BUCKETS_AT, OVERFLOW_BUCKETS_AT, GRANULES_AT = 196, 200, 204
"""Words of 4 bytes, one behind the other; the fourth counts records: how many are in use."""

COUNTERS_AT, COUNTERS_END = 256, 312
BUCKET_LINK_AT = 8
"""In each bucket: which overflow bucket follows."""
