"""The entries of a pool, for the request path: lookup and insert."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from glidecache_shared.pool.generation import PoolDamagedError

if TYPE_CHECKING:
    from collections.abc import Callable

    import cython

    from glidecache_shared.pool.store import PoolStore

logger = logging.getLogger(__name__)


class PoolEntries:
    """The entries of one pool, in the store of its present generation. For the loop's thread.

    `label` names the pool in the log. `on_damage` is called with the error when the store is found damaged, to replace
    it by a fresh one; it must not raise. The request that found the damage continues as after a miss.
    """

    def __init__(
        self, label: object, store: PoolStore, on_damage: Callable[[PoolDamagedError], object]
    ) -> None:
        self.label = label
        self.store = store
        self.on_damage = on_damage
        self.ended = False

    def serve(self, store: PoolStore) -> PoolStore:
        """Use the store of the next generation from now on. Return the previous one."""
        previous = self.store
        self.store = store
        return previous

    def end(self) -> None:
        """Store nothing any more: the pool has ended. Sessions that use it must attach again."""
        self.ended = True

    def lookup(self, key: bytes, kind: cython.uint, min_flight: cython.ulonglong) -> Any:
        """Return a live value that a flight above `min_flight` brought, or None. The daemon's own lookup (C7a)."""
        try:
            return self.store.lookup(key, kind, min_flight)
        except PoolDamagedError as error:
            self.on_damage(error)
            return None

    def lookup_many(self, keys: list[bytes], kind: cython.uint, min_flight: cython.ulonglong) -> list[Any]:
        """Return the result of `lookup` for each key."""
        try:
            return self.store.lookup_many(keys, kind, min_flight)
        except PoolDamagedError as error:
            self.on_damage(error)
            return [None] * len(keys)

    def insert(self, key: bytes, kind: cython.uint, value: Any, flight: cython.ulonglong) -> None:
        """Store a reply (contract C4, C22). Never raises: the waiting client must get its reply."""
        if self.ended:
            return
        try:
            stored = self.store.insert(key, kind, value, flight)
        except PoolDamagedError as error:
            self.on_damage(error)
            return
        except Exception:
            logger.exception("could not store a reply", extra={"cache": self.label})
            return
        if not stored:
            logger.debug("reply not stored", extra={"cache": self.label, "key_bytes": len(key)})

    def insert_many(self, values: dict[bytes, object], kind: cython.uint, flight: cython.ulonglong) -> None:
        """Store each value that is not None. Never raises."""
        if self.ended:
            return
        try:
            self.store.insert_many(values, kind, flight)
        except PoolDamagedError as error:
            self.on_damage(error)
        except Exception:
            logger.exception("could not store replies", extra={"cache": self.label})
