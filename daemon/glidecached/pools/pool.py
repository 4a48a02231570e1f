"""One pool: its store, its lease, its flights, and its owner."""

from __future__ import annotations

import contextlib
import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from glidecache_shared.pool.generation import PoolDamagedError, PoolFull
from glidecache_shared.pool.store import PoolStore
from glidecached.pools.entries import PoolEntries
from glidecached.pools.file_access import PRIVATE_MODE, PermissionsError, PoolLease, permit
from glidecached.pools.generation_copy import GenerationCopy
from glidecached.pools.metadata import OPEN, PoolMetadata
from glidecached.pools.sampling_switch import follow_settings, stop_sampling
from glidecached.pools.warm_restart import take_over
from glidecached.single_flight import Flights

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from glidecache_shared.pool.generation import HotEntry, StoreSettings
    from glidecached.advice.pool_sampling import PoolSampling
    from glidecached.pools.cache_shares import Maker
    from glidecached.pools.metadata import Admission, PoolKey, PoolSettings
    from glidecached.pools.warm_restart import PreviousPool
    from glidecached.sequence import Sequence
    from glidecached.upstream.target import Identity

logger = logging.getLogger(__name__)

FROM_THE_TOP = 0xFFFF_FFFF
"""For `flush`: all records."""
_FLUSHED_RECORDS = 512
"""The number of records handled between two readings of the clock: about 0.2 ms."""
_DAMAGE_RETRY_NS = 1_000_000_000
"""The time until the next attempt to replace a damaged store."""


class Pool:
    """A pool from its creation until `end` or `detach`. Its three files are in `directory`. For the loop's thread.

    It continues an earlier daemon's pool, if that is possible; `inheritable`: the next daemon may do the same.
    `next_generation` numbers its files: damaged ones are replaced by fresh ones at any time. `dispose` receives each
    retired store, to remove its files and close it. `sampled`: its traffic is sampled for advice, if it has metrics.
    Construction raises the errors of `PoolStore.create`, `PermissionsError`, and `OSError`.
    """

    def __init__(
        self,
        key: PoolKey,
        identity: Identity,
        settings: PoolSettings,
        *,
        directory: Path,
        next_generation: Callable[[], int],
        instance_id: int,
        grace_ms: int,
        next_number: Sequence,
        dispose: Callable[[PoolStore], object],
        configured: bool,
        inheritable: bool,
        admission: Admission = OPEN,
        maker: Maker | None = None,
        previous: PreviousPool | None = None,
        sampled: bool = False,
    ) -> None:
        self.key = key
        self.maker = maker
        self.counted_kb = 0
        """The KB that count for its maker."""
        self.identity = identity
        self.settings = settings
        self.admission = admission
        self.configured = configured
        self.last_attach_ns = time.monotonic_ns()
        self._directory = directory
        self._next_generation = next_generation
        self._instance_id = instance_id
        self._grace_ms = grace_ms
        self._dispose = dispose
        self._inheritable = inheritable
        self._copy: GenerationCopy | None = None
        self._coming = settings
        self._replaceable_at_ns = 0
        self._refusals = 0
        self._files_are_for = admission
        """The users that may have mapped the files in use."""
        self.file_id = key.new_file_id() if previous is None else previous.file_id
        store_settings = self._store_settings(settings)
        store = None if previous is None else take_over(previous, self._metadata(), directory, store_settings)
        store = store or self._fresh(settings)
        try:
            self._permit(store)
            self._lease = PoolLease(
                directory, self.file_id, admission.access, None if previous is None else previous.lease
            )
        except (OSError, PermissionsError):
            store.unlink()
            store.close()
            raise
        self.entries = PoolEntries(key.label, store, self.replace_damaged)
        self.entries.server_ttl = settings.server_ttl
        self.flights = Flights(self.entries, next_number)
        self.sampling: PoolSampling | None = None
        """The sampling of its traffic; None without."""
        self.sample(wanted=sampled)
        self._describe()

    def _fresh(self, settings: PoolSettings) -> PoolStore:
        return PoolStore.create(
            str(self._directory),
            self.file_id,
            self._next_generation(),
            pool_mode=PRIVATE_MODE,
            board_mode=PRIVATE_MODE,
            **self._store_settings(settings),
        )

    def _store_settings(self, settings: PoolSettings) -> StoreSettings:
        return {
            "max_cache_kb": settings.max_cache_kb,
            "entry_ttl_ms": settings.entry_ttl_ms,
            "eviction_policy": settings.eviction_policy,
            "enable_metrics": settings.enable_metrics,
            "instance_id": self._instance_id,
            "grace_ms": self._grace_ms,
        }

    def _metadata(self) -> PoolMetadata:
        return PoolMetadata(
            key=self.key,
            identity=self.identity,
            settings=self.settings,
            configured=self.configured,
            admission=self._files_are_for,
            maker_uid=None if self.maker is None else self.maker.uid,
        )

    def _permit(self, store: PoolStore) -> None:
        """Let the users that the admission allows map a store. Raises `PermissionsError`, `OSError`."""
        permit(store.pool_path, self.admission.access, writable=False)
        permit(store.board_path, self.admission.access, writable=True)

    def _describe(self) -> None:
        """Record the settings and the users of the files in use for the next daemon."""
        if not self._inheritable:
            return
        try:
            self._lease.describe(self._metadata())
        except OSError as error:
            logger.warning(
                "pool metadata not written, the next daemon cannot restore the pool",
                extra={"cache": self.label, "reason": error},
            )

    @property
    def ended(self) -> bool:
        """Return whether it has ended: sessions that use it must attach again."""
        return self.entries.ended

    @property
    def label(self) -> str:
        """Return the name, or the cache object's id."""
        return self.key.label

    @property
    def generation(self) -> int:
        """Return the generation number of the files in use."""
        return self.entries.store.generation

    @property
    def claimed_kb(self) -> int:
        """Return the KB that it may grow to: its limit, or the larger one that it is about to have."""
        return max(self.settings.max_cache_kb, self._coming.max_cache_kb)

    @property
    def coming_kb(self) -> int:
        """Return its limit in KB after the generation copy in progress."""
        return self._coming.max_cache_kb

    @property
    def is_resizing(self) -> bool:
        """Return whether `continue_resize` has work to do."""
        return self._copy is not None

    def admit(self, admission: Admission) -> None:
        """Change who may use it. If that shuts a user out, the caller must `resize`, for files not mapped by that user.

        Raises `PermissionsError` and `OSError`; then no user may open the files any more, and the caller must end it.
        """
        self.admission = admission
        self._lease.permit(admission.access)
        self._permit(self.entries.store)
        if not self.shuts_out:
            self._files_are_for = admission
        self._describe()

    @property
    def shuts_out(self) -> bool:
        """Return whether a user may have mapped the files who may not read new entries.

        As long as that is so, the lease names the previous users: no later daemon continues these files then.
        """
        return not self.admission.access.covers(self._files_are_for.access)

    def resize(self, settings: PoolSettings, generation: int) -> None:
        """Change the settings, and keep the entries. A new TTL is in force at once.

        Settings that readers read when they mapped the files need new files. These are made now, and filled by
        `continue_resize`. They stay empty if `server_ttl` is turned on: no entry knows what its key had left.
        Raises the errors of construction; the pool then continues with its old limit, policy and metrics.
        """
        if settings.server_ttl and not self.settings.server_ttl:
            self._start_fresh(settings)
            return
        self.entries.store.set_ttl(settings.entry_ttl_ms)
        self.entries.server_ttl = settings.server_ttl
        self.settings = replace(
            self.settings, entry_ttl_ms=settings.entry_ttl_ms, server_ttl=settings.server_ttl
        )
        self._coming = replace(
            self._coming, entry_ttl_ms=settings.entry_ttl_ms, server_ttl=settings.server_ttl
        )
        self._describe()
        self.sampling = follow_settings(self.entries, self.settings, wanted=self._wants_sample)
        if self.shuts_out or settings != self.settings:
            self._copy = GenerationCopy(
                self.key,
                self.entries.store,
                self._directory,
                self.file_id,
                generation,
                store_settings=self._store_settings(settings),
                access=self.admission.access,
            )
            self._coming = settings

    def continue_resize(self, until_ns: int | None) -> bool:
        """Continue the generation copy of `resize`, until that time or to the end. Return whether it is done.

        If both generations do not fit into memory, the copy is given up. The pool stays as it is, with the smaller
        limit if that was already reached. The same happens when an unexpected exception is raised.
        """
        copy = self._copy
        if copy is None:
            return True
        try:
            store = copy.run(until_ns)
        except (PoolFull, MemoryError) as error:
            self._give_up_resize()
            logger.warning(
                "pool not resized",
                extra={"cache": self.label, "max_cache_kb": self.settings.max_cache_kb, "reason": error},
            )
            return False
        except PoolDamagedError as error:
            if self.replace_damaged(error):
                return True
            self._give_up_resize()
            return False
        except BaseException:
            self._give_up_resize()
            raise
        if store is None:
            return False
        self._copy = None
        self._switch_to(store)
        return True

    def _switch_to(self, store: PoolStore) -> None:
        """Serve a store that was made with the new settings; the previous one is retired already."""
        before = self.entries.serve(store)
        if self.entries.sampling is not None:
            self.entries.sampling.serve(store)
        self._refusals = 0
        self.settings, self._files_are_for = self._coming, self.admission
        self.entries.server_ttl = self.settings.server_ttl
        self.sampling = follow_settings(self.entries, self.settings, wanted=self._wants_sample)
        self._describe()
        self._dispose(before)

    def replace_damaged(self, error: PoolDamagedError) -> bool:
        """Replace a damaged generation by a fresh one, with new counters. Return whether that was done.

        If a generation copy is in progress, the new files get its settings. Without room for them, the damaged files
        stay: readers verify each reference in them. The next attempt is made a second later at the earliest.
        """
        now_ns = time.monotonic_ns()
        if self.ended or now_ns < self._replaceable_at_ns:
            return False
        self._replaceable_at_ns = now_ns + _DAMAGE_RETRY_NS
        try:
            self._start_fresh()
        except Exception as obstacle:  # noqa: BLE001  # on any error, requests are answered from upstream
            logger.warning(
                "damaged pool cannot be replaced now",
                extra={
                    "cache": self.label,
                    "reason": obstacle,
                    "path": error.path,
                    "entries": error.entries,
                },
            )
            return False
        self._replaceable_at_ns = 0
        logger.warning(
            "damaged pool replaced, starting empty",
            extra={
                "cache": self.label,
                "path": error.path,
                "lost_entries": error.entries,
                "generation": self.generation,
            },
        )
        return True

    @property
    def lost_file(self) -> str | None:
        """Return the path of a file of this pool that has lost its name, so that no client can attach; else None."""
        if self._lease.lost:
            return str(self._lease.path)
        return self.entries.store.lost_file()

    def replace_lost(self) -> None:
        """Begin a fresh generation if `lost_file` returns a path (I13); its counters begin with it, too.

        Sessions stay. Clients that have the files mapped see that their generation has ended, and attach again.
        Raises the errors of construction; then nothing has changed.
        """
        path = None if self.ended else self.lost_file
        if path is None:
            return
        entries = self.entries.store.metrics().entry_count
        if self._lease.lost:
            # A new name is needed: another file may have the old one now.
            before, file_id = self._lease, self.file_id
            self.file_id = self.key.new_file_id()
            try:
                self._lease = PoolLease(self._directory, self.file_id, self.admission.access)
            except BaseException:
                self.file_id = file_id
                raise
            try:
                self._start_fresh()
            except BaseException:
                self._lease.end()
                self._lease, self.file_id = before, file_id
                raise
            before.close()
            with contextlib.suppress(OSError):  # there is no file, or it is another user's directory
                before.path.unlink()
        else:
            self._start_fresh()
        # Holders of the pool have to take its new lease first.
        self.last_attach_ns = time.monotonic_ns()
        logger.warning(
            "pool file vanished, starting empty",
            extra={
                "cache": self.label,
                "path": path,
                "lost_entries": entries,
                "generation": self.generation,
            },
        )

    def _start_fresh(self, settings: PoolSettings | None = None) -> None:
        """Serve a fresh generation with these settings, or else those of the one that is being prepared or in use."""
        coming = settings or self._coming
        store = self._fresh(coming)
        try:
            self._permit(store)
        except BaseException:
            store.unlink()
            store.close()
            raise
        self._stop_resize()
        self.entries.store.retire()
        self._coming = coming
        self._switch_to(store)

    def _give_up_resize(self) -> None:
        self._stop_resize()
        self.settings = replace(self.settings, max_cache_kb=self.entries.store.max_bytes // 1024)
        self._coming = self.settings

    def _stop_resize(self) -> None:
        copy, self._copy = self._copy, None
        if copy is not None:
            copy.abandon()

    def beat(self) -> None:
        """Renew the heartbeat that readers trust."""
        try:
            self.entries.store.beat()
        except PoolDamagedError as error:
            self.replace_damaged(error)

    def flush(self, below: int, until_ns: int) -> tuple[int, int]:
        """Remove entries of records below that number, until that time. Return the next one (0: done) and the count."""
        total = 0
        if below == FROM_THE_TOP and self.entries.sampling is not None:
            self.entries.sampling.flushed()
        while below:
            try:
                below, removed = self.entries.store.flush_below(below, _FLUSHED_RECORDS)
            except PoolDamagedError as error:
                self.replace_damaged(error)
                return 0, total + error.entries
            total += removed
            if time.monotonic_ns() >= until_ns:
                break
        return below, total

    def sample(self, *, wanted: bool) -> None:
        """Sample its traffic for advice from now on, or no more. A pool without metrics is not sampled."""
        self._wants_sample = wanted
        self.sampling = follow_settings(self.entries, self.settings, wanted=wanted)

    def hottest(self, count: int, most_key_bytes: int) -> list[HotEntry]:
        """Return the entries that would be evicted last, the hottest first."""
        try:
            return self.entries.store.hottest(count, most_key_bytes)
        except PoolDamagedError as error:
            self.replace_damaged(error)
            return []

    def held(self) -> bool:
        """Return whether any process holds the lease now."""
        return self._lease.held

    def take_refusals(self) -> int:
        """Return how often the file system refused it memory since the last call."""
        refusals = self.entries.store.file_system_full
        more, self._refusals = refusals - self._refusals, refusals
        return max(more, 0)

    @property
    def unused(self) -> bool:
        """Return whether nothing was ever looked up or stored in it."""
        metrics = self.entries.store.metrics()
        return not (metrics.entry_count or metrics.total_lookups)

    def client_info(self) -> dict[str, Any]:
        """Return the map that a client needs to map the files (docs/protocol.md, `ATTACH`)."""
        self.last_attach_ns = time.monotonic_ns()
        return {
            "pool_path": self.entries.store.pool_path,
            "board_path": self.entries.store.board_path,
            "lease_path": str(self._lease.path),
            "lease_inode": self._lease.inode,
            "enable_metrics": self.settings.enable_metrics,
        }

    def end_if_unheld(self) -> bool:
        """End the pool unless a process holds it. Return whether it ended."""
        if not self.ended:
            if not self._lease.end_if_unheld():
                return False
            self._end_store()
        return True

    def end(self) -> None:
        """End the pool, even if processes hold it: readers notice, and attach again if they can. Idempotent."""
        if not self.ended:
            self._lease.end()
            self._end_store()

    def detach(self) -> None:
        """Leave the pool to the next daemon of this directory; an unnamed one only while it is held. Idempotent."""
        if self.ended or (self.key.name is None and self.end_if_unheld()):
            return
        self.continue_resize(None)
        self.sampling = None
        stop_sampling(self.entries)
        self.entries.end()
        if not self.entries.store.seal():
            logger.warning(
                "pool not sealed, the next daemon verifies its entries",
                extra={"cache": self.label, "reason": "its file system is full"},
            )
        self._lease.close()

    @property
    def lease_file(self) -> tuple[int, int]:
        """Return the lease's device, as the kernel numbers it in its list of locks, and its inode."""
        return self._lease.file

    def _end_store(self) -> None:
        self.sampling = None
        stop_sampling(self.entries)
        self.entries.end()
        self._stop_resize()
        self.entries.store.retire()
        self._dispose(self.entries.store)
