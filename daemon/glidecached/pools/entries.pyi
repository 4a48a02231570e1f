"""A pool's entries, as those use them who answer requests: looked up, and stored as replies come."""

from typing import Any

from glidecache_shared.pool.errors import PoolDamagedError
from glidecache_shared.pool.store import PoolStore

class PoolEntries:
    """What of a pool each request needs. Subclasses set `_store` before all else; the log shows them as their `key`.

    Storing never raises, and does nothing once the pool has `ended`: whoever waits for the reply must get it. A damaged
    store is replaced by whoever meets it, who goes on as if nothing stood there.
    """

    _store: PoolStore
    ended: bool

    def lookup(self, key: bytes, kind: int, floor: int) -> Any:
        """The daemon's own lookup (contract C7a): a value, or None."""

    def lookup_many(self, keys: list[bytes], kind: int, floor: int) -> list[Any]:
        """`lookup` of each."""

    def store(self, key: bytes, kind: int, value: Any, flight: int) -> None:
        """Keep a reply."""

    def store_many(self, values: dict[bytes, Any], kind: int, flight: int) -> None:
        """`store` of each that is not None."""

    def replace_damaged(self, error: PoolDamagedError) -> bool:
        """The subclass's: put a fresh store in the place of the damaged one; whether that was done. Never raises."""
