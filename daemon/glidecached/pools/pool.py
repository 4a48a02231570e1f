"""One pool: its store, its lease, its flights, and whose it is."""

from __future__ import annotations

import hashlib
import logging
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

from glidecache_shared import lease
from glidecache_shared.pool.store import PoolStore
from glidecached.flights import Flights

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from glidecached.pools.settings import PoolSettings
    from glidecached.upstream.identity import Identity

logger = logging.getLogger(__name__)

_LEASE_MODE = 0o640


class PoolKey(NamedTuple):
    """What clients call a pool by: a name that all share, or the id of one cache object."""

    name: str | None
    cache_id: str | None

    def __str__(self) -> str:
        return f"cache {self.name!r}" if self.name is not None else f"cache object {self.cache_id}"


class Pool:
    """A pool from its creation until `end`. Its three files stand in `directory`; for the loop's thread.

    Raises from construction what `PoolStore.create` raises, and `OSError`.
    """

    def __init__(
        self,
        key: PoolKey,
        identity: Identity,
        settings: PoolSettings,
        *,
        directory: Path,
        generation: int,
        instance_id: int,
        grace_ms: int,
        next_number: Callable[[], int],
        configured: bool,
    ) -> None:
        self.key = key
        self.identity = identity
        self.settings = settings
        self.configured = configured
        self.ended = False
        self.handed_out_ns = time.monotonic_ns()
        self.flights = Flights(self, next_number)
        file_id = _file_id(key)
        self._lease_path = directory / f"{file_id}.lease"
        self._lease_path.unlink(
            missing_ok=True
        )  # a dropped pool's, which its last holders may still have open
        self._store = PoolStore.create(
            str(directory),
            file_id,
            generation,
            max_cache_kb=settings.max_cache_kb,
            entry_ttl_ms=settings.entry_ttl_ms,
            eviction_policy=settings.eviction_policy,
            enable_metrics=settings.enable_metrics,
            instance_id=instance_id,
            grace_ms=grace_ms,
        )
        try:
            self._lease = lease.create(str(self._lease_path), _LEASE_MODE)
        except OSError:
            self._store.unlink()
            self._store.close()
            raise
        self._lease_inode = lease.inode(self._lease)

    @property
    def label(self) -> str:
        """The name, or the cache object's id."""
        return self.key.name or self.key.cache_id or ""

    def lookup(self, key: bytes, kind: int, floor: int) -> Any:
        """The daemon's own lookup (contract C7a): a value, or None."""
        return self._store.lookup(key, kind, floor)

    def store(self, key: bytes, kind: int, value: Any, flight: int) -> None:
        """Keep a reply, if the pool still exists. Never raises: whoever waits for the reply must get it."""
        if self.ended:
            return
        try:
            stored = self._store.insert(key, kind, value, flight)
        except Exception:
            logger.exception("%s could not store a reply", self.key)
            return
        if not stored:
            logger.debug("%s did not store the reply for a key of %d bytes", self.key, len(key))

    def lookup_many(self, keys: list[bytes], kind: int, floor: int) -> list[Any]:
        """`lookup` of each."""
        return self._store.lookup_many(keys, kind, floor)

    def store_many(self, values: dict[bytes, Any], kind: int, flight: int) -> None:
        """`store` of each that is not None."""
        if self.ended:
            return
        try:
            self._store.insert_many(values, kind, flight)
        except Exception:
            logger.exception("%s could not store replies", self.key)

    def beat(self) -> None:
        """Renew the heartbeat that readers trust."""
        self._store.beat()

    def flush(self) -> int:
        """Remove all entries; how many there were."""
        return self._store.flush()

    def held(self) -> bool:
        """Whether any process holds the lease now."""
        return lease.has_holders(self._lease)

    def handout(self) -> dict[str, Any]:
        """What a client needs to map the files (docs/protocol.md, `ATTACH`)."""
        self.handed_out_ns = time.monotonic_ns()
        return {
            "pool_path": self._store.pool_path,
            "board_path": self._store.board_path,
            "lease_path": str(self._lease_path),
            "lease_inode": self._lease_inode,
            "enable_metrics": self.settings.enable_metrics,
        }

    def end_if_unheld(self) -> bool:
        """End the pool unless a process holds it; whether it ended."""
        if not self.ended:
            if not lease.end(str(self._lease_path), self._lease):
                return False
            self._end_store()
        return True

    def end(self) -> None:
        """End the pool whoever holds it: readers are told, and attach again if they can. Idempotent."""
        if self.end_if_unheld():
            return
        self._end_store()
        self._lease_path.unlink(missing_ok=True)
        lease.Lease(self._lease).close()

    def stats(self) -> dict[str, Any]:
        """Numbers for the operator."""
        store = self._store
        metrics = store.metrics()
        return {
            "name": self.key.name,
            "id": self.key.cache_id,
            "configured": self.configured,
            "identity": str(self.identity),
            "generation": store.generation,
            "settings": asdict(self.settings),
            "metrics": {**metrics._asdict(), "hit_rate": metrics.hit_rate},
            "charged_bytes": store.charged_bytes,
            "max_bytes": store.max_bytes,
            "resident_bytes": store.resident_bytes,
            "file_system_full": store.file_system_full,
            "flights": len(self.flights),
            "held": self.held(),
        }

    def _end_store(self) -> None:
        self.ended = True
        self._store.retire()
        self._store.unlink()
        self._store.close()


def _file_id(key: PoolKey) -> str:
    """A file name of our own making: what clients call their pools never becomes a path."""
    kind = "named" if key.name is not None else "unnamed"
    return f"{kind}-{hashlib.sha256(repr(tuple(key)).encode()).hexdigest()[:24]}"
