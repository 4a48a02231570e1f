"""Warm restart: the previous daemon's files in the pool directory are continued as pools, or removed."""

from __future__ import annotations

import logging
import os
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from glidecache_shared import lease
from glidecache_shared.pool.generation import TakeOverError, retire_file
from glidecache_shared.pool.store import PoolStore
from glidecached.pools.metadata import PoolKey, PoolMetadata, decode_metadata

if TYPE_CHECKING:
    from pathlib import Path

    from glidecache_shared.pool.generation import StoreSettings

logger = logging.getLogger(__name__)

POOL_SUFFIXES = (".pool", ".board", ".state", ".lease")
_GENERATION_FILE = re.compile(r"((?:un)?named-[0-9a-f]{24})\.([1-9][0-9]{0,18})\.(?:pool|board|state)")
_MAX_METADATA_BYTES = 1 << 20
_MAGIC_BYTES = 8


@dataclass(frozen=True, slots=True)
class PreviousPool:
    """An earlier daemon's pool: the last generation, and its lease, open for this daemon."""

    file_id: str
    generation: int
    lease: int
    metadata: PoolMetadata

    @property
    def held(self) -> bool:
        """Return whether any process holds the pool."""
        return lease.has_holders(self.lease)


class PreviousPools:
    """The pools that were found at the start, each until it is claimed or discarded; other pool files are removed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.last_generation = 0
        """The highest number of any generation here: new ones continue from it."""
        self._by_key: dict[PoolKey, PreviousPool] = {}
        # Of two pools with one key, which no daemon leaves, the later one counts.
        for file_id, generation in sorted(self._find_generations().items(), key=lambda found: found[1]):
            previous = self._open(file_id, generation)
            if previous is not None:
                earlier = self._by_key.pop(previous.metadata.key, None)
                if earlier is not None:
                    lease.Lease(earlier.lease).close()
                self._by_key[previous.metadata.key] = previous
        self._sweep()

    def claim(self, key: PoolKey) -> PreviousPool | None:
        """Return the pool of that key, if there is one: the caller owns it now."""
        return self._by_key.pop(key, None)

    def unclaimed(self) -> list[PreviousPool]:
        """Return the pools that are still unclaimed, named ones first: they outlive their holders."""
        return sorted(self._by_key.values(), key=lambda previous: previous.metadata.key.name is None)

    def discard(self, previous: PreviousPool) -> None:
        """Have the readers of a pool detach from it, and remove it."""
        self._by_key.pop(previous.metadata.key, None)
        lease.Lease(previous.lease).close()
        remove_generation(self._directory, previous.file_id, previous.generation)
        (self._directory / f"{previous.file_id}.lease").unlink(missing_ok=True)

    def _find_generations(self) -> dict[str, int]:
        """Return the last generation of each pool. Remove generations that were being replaced or filled."""
        last: dict[str, int] = {}
        for path in self._directory.iterdir():
            match = _GENERATION_FILE.fullmatch(path.name)
            if match:
                file_id, generation = match[1], int(match[2])
                self.last_generation = max(self.last_generation, generation)
                pool_file = self._directory / f"{file_id}.{generation}.pool"
                if generation > last.get(file_id, 0) and _was_opened(pool_file):
                    last[file_id] = generation
        return last

    def _open(self, file_id: str, generation: int) -> PreviousPool | None:
        path = self._directory / f"{file_id}.lease"
        try:
            descriptor = lease.reopen(str(path))
        except OSError:
            return None
        metadata = decode_metadata(os.pread(descriptor, _MAX_METADATA_BYTES, 0))
        if metadata is None:
            lease.Lease(descriptor).close()
            return None
        return PreviousPool(file_id, generation, descriptor, metadata)

    def _sweep(self) -> None:
        """Remove files that cannot be continued: half made, of an earlier generation, or without a lease."""
        kept = {f"{previous.file_id}.lease" for previous in self._by_key.values()} | {
            f"{previous.file_id}.{previous.generation}{suffix}"
            for previous in self._by_key.values()
            for suffix in (".pool", ".board", ".state")
        }
        for path in self._directory.iterdir():
            if path.suffix in POOL_SUFFIXES and path.name not in kept:
                if path.suffix == ".pool":
                    retire_file(str(path))
                logger.info("removed stale pool file, it cannot be restored", extra={"path": str(path)})
                path.unlink(missing_ok=True)


def take_over(
    previous: PreviousPool, wanted: PoolMetadata, directory: Path, store_settings: StoreSettings
) -> PoolStore | None:
    """Return the earlier daemon's store, for a pool as `wanted`. If a fresh one is needed, remove the old one: None.

    `store_settings`: the arguments of `PoolStore.take_over`. The result is logged.
    """
    started_ns = time.monotonic_ns()
    store = None
    reason = _difference(previous.metadata, wanted)
    if reason is None:
        try:
            store = PoolStore.take_over(
                str(directory), previous.file_id, previous.generation, **store_settings
            )
        except TakeOverError as error:
            reason = str(error)
    if store is None:
        logger.warning(
            "previous pool not restored, starting empty",
            extra={"cache": wanted.key.label, "reason": reason},
        )
        remove_generation(directory, previous.file_id, previous.generation)
        return None
    recovery = store.recovery
    logger.info(
        "pool restored",
        extra={
            "cache": wanted.key.label,
            "entries": store.metrics().entry_count,
            "verified": recovery is not None and not recovery.clean,
            "dropped": 0 if recovery is None else recovery.dropped,
            "took_ms": round((time.monotonic_ns() - started_ns) / 1e6),
        },
    )
    return store


def _difference(before: PoolMetadata, wanted: PoolMetadata) -> str | None:
    foreign = before.identity.differences(wanted.identity)
    if foreign:
        return f"its upstream identity is another: {'; '.join(foreign)}"
    if wanted.settings.server_ttl and not before.settings.server_ttl:
        return "its entries do not know what their keys had left on the server, and server_ttl is on now"
    if not wanted.admission.access.covers(before.admission.access):
        # Users that have mapped the old files could read new entries.
        return "other users may use it now"
    return None


def _was_opened(path: Path) -> bool:
    """Return whether a pool file, if there is one, was ever opened to readers: its beginning is written last.

    A generation that was being filled may lack its pool file, if a daemon was killed while it removed the files.
    """
    try:
        with path.open("rb") as file:
            return file.read(_MAGIC_BYTES) != bytes(_MAGIC_BYTES)
    except FileNotFoundError:
        return False
    except OSError:
        return True  # it cannot be continued, and the attempt reports that


def remove_generation(directory: Path, file_id: str, generation: int) -> None:
    """Have the readers of a generation detach from it, and remove its files."""
    stem = f"{file_id}.{generation}"
    retire_file(str(directory / f"{stem}.pool"))
    for suffix in (".pool", ".board", ".state"):
        (directory / f"{stem}{suffix}").unlink(missing_ok=True)


def remove_all(directory: Path) -> None:
    """Remove every pool: for a daemon that neither inherits nor leaves any."""
    for path in directory.iterdir():
        if path.suffix in POOL_SUFFIXES:
            if path.suffix == ".pool":
                retire_file(str(path))
            path.unlink(missing_ok=True)
