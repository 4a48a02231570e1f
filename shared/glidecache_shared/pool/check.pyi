"""Typing of the compiled checks; the implementation is in `check.pyx`."""

from typing import NamedTuple

from glidecache_shared.pool.reader import PoolReader

class Verification(NamedTuple):
    """The numbers of sound and of damaged entries; `unsettled` chains were being changed at every look."""

    sound: int
    damaged: int
    unsettled: int

def verify_entries(reader: PoolReader) -> Verification:
    """Read every entry of the reader's pool and check its checksum, beside a daemon that continues to write.

    Writes nothing. Takes about a second per million small entries (`make bench-restart`). Raises `MemoryError`
    if an entry is larger than the memory that this process can have.
    """
