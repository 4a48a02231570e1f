"""The request path's view of a pool: lookup and insert."""

from typing import Any

from glidecache_shared.pool.pool_errors import PoolDamagedError
from glidecache_shared.pool.store import PoolStore

class PoolEntries:
    """The part of a pool that each request needs. Subclasses set `_store` first; the log shows them as their `key`.

    Storing never raises, and does nothing once the pool has `ended`: the waiting client must get its reply. The request
    that finds a damaged store has it replaced, and continues as after a miss.
    """

    _store: PoolStore
    ended: bool

    def lookup(self, key: bytes, kind: int, floor: int) -> Any:
        """Return a value, or None: the daemon's own lookup (contract C7a)."""

    def lookup_many(self, keys: list[bytes], kind: int, floor: int) -> list[Any]:
        """Return the result of `lookup` for each key."""

    def store(self, key: bytes, kind: int, value: Any, flight: int) -> None:
        """Store a reply."""

    def store_many(self, values: dict[bytes, Any], kind: int, flight: int) -> None:
        """Store each value that is not None."""

    def replace_damaged(self, error: PoolDamagedError) -> bool:
        """Replace the damaged store by a fresh one; for subclasses. Return whether that was done. Never raises."""
