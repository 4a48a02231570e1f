"""One pool: its store, its lease, its flights, and whose it is."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from glidecache_shared import lease
from glidecache_shared.pool.store import PoolFull, PoolStore, TakeOverError
from glidecached.flights import Flights
from glidecached.pools.leftovers import Leftover, remove_generation
from glidecached.pools.origin import OPEN, PoolOrigin
from glidecached.pools.permissions import PRIVATE_MODE, PermissionsError, permit
from glidecached.pools.renewal import Renewal

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from glidecache_shared.pool.store import HotEntry
    from glidecached.pools.origin import Admission, PoolKey
    from glidecached.pools.settings import PoolSettings
    from glidecached.upstream.identity import Identity

logger = logging.getLogger(__name__)


class Pool:
    """A pool from its creation until `end` or `leave`. Its three files stand in `directory`; for the loop's thread.

    It goes on with what an earlier daemon left of it, if that can be; `inheritable` says whether the next one may.
    Raises from construction what `PoolStore.create` raises, `PermissionsError`, and `OSError`.
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
        inheritable: bool,
        admission: Admission = OPEN,
        leftover: Leftover | None = None,
    ) -> None:
        self.key = key
        self.identity = identity
        self.settings = settings
        self.admission = admission
        self.configured = configured
        self.ended = False
        self.handed_out_ns = time.monotonic_ns()
        self.flights = Flights(self, next_number)
        self._directory = directory
        self._instance_id = instance_id
        self._grace_ms = grace_ms
        self._inheritable = inheritable
        self._renewal: Renewal | None = None
        self._coming = settings
        self.readmitting = False
        """Whether what is under way keeps users out who have mapped the files."""
        self._lease_path = directory / f"{key.file_id}.lease"
        store = None if leftover is None else self._take_over(leftover)
        self._store = store or PoolStore.create(
            str(directory),
            key.file_id,
            generation,
            pool_mode=PRIVATE_MODE,
            board_mode=PRIVATE_MODE,
            **self._making(settings),
        )
        try:
            self._permit()
            self._lease = self._make_lease() if leftover is None else leftover.lease
        except (OSError, PermissionsError):
            self._store.unlink()
            self._store.close()
            raise
        self._describe()
        self._lease_inode = lease.inode(self._lease)

    def _making(self, settings: PoolSettings) -> dict[str, Any]:
        return {**asdict(settings), "instance_id": self._instance_id, "grace_ms": self._grace_ms}

    def _take_over(self, leftover: Leftover) -> PoolStore | None:
        """The earlier daemon's store; None, and a line in the log that says why, where a fresh generation is needed."""
        started_ns = time.monotonic_ns()
        foreign = leftover.origin.identity.differences(self.identity)
        reason = f"its upstream identity is another: {'; '.join(foreign)}"
        if not foreign and leftover.origin.admission.access != self.admission.access:
            # Who has mapped the old files would go on reading what comes.
            foreign = [reason := "other users may use it now"]
        store = None
        if not foreign:
            try:
                store = PoolStore.take_over(
                    str(self._directory), leftover.file_id, leftover.generation, **self._making(self.settings)
                )
            except TakeOverError as error:
                reason = str(error)
        if store is None:
            logger.warning("%s begins a fresh generation; of the one before: %s", self.key, reason)
            remove_generation(self._directory, leftover.file_id, leftover.generation)
            return None
        recovery = store.recovery
        how = "sealed" if recovery is None or recovery.clean else f"verified, {recovery.dropped} dropped"
        logger.info(
            "%s taken over: %d entries (%s) in %.0f ms",
            self.key,
            store.metrics().entry_count,
            how,
            (time.monotonic_ns() - started_ns) / 1e6,
        )
        return store

    def _make_lease(self) -> int:
        # A dropped pool's, which its last holders may still have open.
        self._lease_path.unlink(missing_ok=True)
        made = lease.create(str(self._lease_path), PRIVATE_MODE)
        try:
            permit(str(self._lease_path), self.admission.access, writable=False)
        except (OSError, PermissionsError):
            lease.end(str(self._lease_path), made)
            raise
        return made

    def _permit(self) -> None:
        """Let those map the pool whom the admission allows. Raises `PermissionsError`, `OSError`."""
        permit(self._store.pool_path, self.admission.access, writable=False)
        permit(self._store.board_path, self.admission.access, writable=True)

    def _describe(self) -> None:
        """Write into the lease what the next daemon needs to know. Half of it, after a kill, is as good as nothing."""
        if not self._inheritable:
            return
        origin = PoolOrigin(
            key=self.key,
            identity=self.identity,
            settings=self.settings,
            configured=self.configured,
            admission=self.admission,
        )
        try:
            os.ftruncate(self._lease, 0)
            os.pwrite(self._lease, origin.encode(), 0)
        except OSError as error:
            logger.warning("%s will not outlive this daemon: %s", self.key, error)

    @property
    def label(self) -> str:
        """The name, or the cache object's id."""
        return self.key.name or self.key.cache_id or ""

    @property
    def claimed_kb(self) -> int:
        """What it may grow to: its bound, or the larger one that it is about to have."""
        return max(self.settings.max_cache_kb, self._coming.max_cache_kb)

    @property
    def is_renewing(self) -> bool:
        """Whether `go_on` has something to do."""
        return self._renewal is not None

    def renew(self, settings: PoolSettings, admission: Admission, generation: int) -> None:
        """Change the settings and who may use it, keeping the entries. Another TTL is in force at once.

        What readers looked at when they mapped the files needs new files: these are made now, and filled by `go_on`.
        Raises what construction raises; the pool then goes on with its old bound, policy and metrics, but with
        the new admission, so that it must be ended where that is another.
        """
        self._store.set_ttl(settings.entry_ttl_ms)
        self.settings = replace(self.settings, entry_ttl_ms=settings.entry_ttl_ms)
        readmitted = admission != self.admission
        self.readmitting = readmitted
        if readmitted:
            self.admission = admission
            permit(str(self._lease_path), admission.access, writable=False)
            self._permit()
        self._describe()
        if readmitted or settings != self.settings:
            self._renewal = Renewal(
                self._store,
                self._directory,
                self.key.file_id,
                generation,
                making=self._making(settings),
                access=admission.access,
            )
            self._coming = settings

    def go_on(self, until_ns: int | None) -> bool:
        """Work at what `renew` has begun, until that time or to the end; whether it is done.

        Where both generations do not fit into memory nothing is under way any more, and the pool stays
        as it is, with the smaller bound if that had been reached.
        """
        renewal = self._renewal
        if renewal is None:
            return True
        try:
            store = renewal.go_on(until_ns)
        except (PoolFull, MemoryError) as error:
            self._stop_renewing()
            self.settings = replace(self.settings, max_cache_kb=self._store.max_bytes // 1024)
            self._coming = self.settings
            logger.warning("%s keeps its files and %d KB: %s", self.key, self.settings.max_cache_kb, error)
            return False
        if store is None:
            return False
        self._store, self._renewal, self.readmitting = store, None, False
        self.settings = self._coming
        self._describe()
        return True

    def _stop_renewing(self) -> None:
        renewal, self._renewal = self._renewal, None
        if renewal is not None:
            renewal.abandon()

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

    def hottest(self, count: int, most_key_bytes: int) -> list[HotEntry]:
        """The entries that would leave last, the hottest first."""
        return self._store.hottest(count, most_key_bytes)

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

    def leave(self) -> None:
        """Leave the pool to the next daemon of this directory; an unnamed one only while it is held. Idempotent."""
        if self.ended or (self.key.name is None and self.end_if_unheld()):
            return
        self.go_on(None)
        self.ended = True
        if not self._store.seal():
            logger.warning(
                "%s is left unsealed: its file system is full; the next daemon verifies it", self.key
            )
        lease.Lease(self._lease).close()

    @property
    def lease_file(self) -> tuple[int, int]:
        """The device of the lease, its numbers as 12 and 20 bits, and its inode."""
        status = os.fstat(self._lease)
        return os.major(status.st_dev) << 20 | os.minor(status.st_dev), status.st_ino

    def stats(self, processes: Collection[int] = ()) -> dict[str, Any]:
        """Numbers for the operator. `processes`: those that are known to use the pool."""
        store = self._store
        metrics = store.metrics()
        held = self.held()
        return {
            "name": self.key.name,
            "id": self.key.cache_id,
            "configured": self.configured,
            "identity": str(self.identity),
            "generation": store.generation,
            "settings": asdict(self.settings),
            "metrics": {**metrics._asdict(), "hit_rate": metrics.hit_rate},
            "misses_by_cause": store.misses_by_cause(),
            "charged_bytes": store.charged_bytes,
            "max_bytes": store.max_bytes,
            "resident_bytes": store.resident_bytes,
            "file_system_full": store.file_system_full,
            "flights": len(self.flights),
            "held": held,
            # Who cannot be seen from here, as in another container, still holds it.
            "attached_processes": max(len(processes), int(held)),
        }

    def _end_store(self) -> None:
        self.ended = True
        self._stop_renewing()
        self._store.retire()
        self._store.unlink()
        self._store.close()
