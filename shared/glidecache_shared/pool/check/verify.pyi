"""Typing of the compiled verification; the implementation is in `verify.pyx`."""

from typing import NamedTuple

from glidecache_shared.pool.reader import PoolReader

LAYOUT_VERSION: int
"""The version of the pool's layout that this core reads and writes."""

class Verification(NamedTuple):
    """How many entries are sound and how many damaged; `unsettled` chains were being changed at every look."""

    sound: int
    damaged: int
    unsettled: int

def verify_entries(reader: PoolReader) -> Verification:
    """Read every entry of the reader's pool and check its checksum, beside a daemon that goes on writing.

    Nothing is written. Takes about a second per million small entries (`make bench-restart`). Raises `MemoryError`
    where an entry is larger than what this process can have.
    """
