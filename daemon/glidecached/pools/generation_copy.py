"""A pool's next generation: it is filled beside the one in use, in slices of the loop's time."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from glidecache_shared.pool.resize import PoolResize
from glidecached.pools.file_access import PRIVATE_MODE, permit

if TYPE_CHECKING:
    from pathlib import Path

    from glidecache_shared.pool.generation import StoreSettings
    from glidecache_shared.pool.store import PoolStore
    from glidecached.access import Access
    from glidecached.pools.metadata import PoolKey

logger = logging.getLogger(__name__)

_ENTRIES = 256
"""The number of entries copied between two readings of the clock: about 0.2 ms."""


class GenerationCopy:
    """The copy of one generation of a pool into the next. For the loop's thread.

    Construction raises the errors of `PoolStore.create`, `PermissionsError` and `OSError`; then nothing is left behind,
    and `store` has not changed.
    """

    def __init__(
        self,
        key: PoolKey,
        store: PoolStore,
        directory: Path,
        file_id: str,
        generation: int,
        *,
        store_settings: StoreSettings,
        access: Access,
    ) -> None:
        """Create the new store, with `store_settings` for `PoolStore.create`, for the users of `access`."""
        self._key = key
        self._store = store
        self._started_ns = time.monotonic_ns()
        self._resize = PoolResize(
            store,
            str(directory),
            file_id,
            generation,
            pool_mode=PRIVATE_MODE,
            board_mode=PRIVATE_MODE,
            **store_settings,
        )
        pool_path, board_path = self._resize.paths
        try:
            permit(pool_path, access, writable=False)
            permit(board_path, access, writable=True)
        except BaseException:
            self.abandon()
            raise

    def run(self, until_ns: int | None) -> PoolStore | None:
        """Work until that time, or to the end. Return the new store once it is in use: the old one is retired then.

        Raises `PoolFull` and `MemoryError` if there is no room for both; then the caller must `abandon` the copy.
        """
        while not self._resize.step(_ENTRIES):
            if until_ns is not None and time.monotonic_ns() >= until_ns:
                return None
        whole_ns = time.monotonic_ns()
        store = self._resize.finish()
        now_ns = time.monotonic_ns()
        logger.info(
            "pool resized",
            extra={
                "cache": self._key.label,
                "generation": store.generation,
                "previous_generation": self._store.generation,
                "entries": store.metrics().entry_count,
                "took_ms": round((now_ns - self._started_ns) / 1e6),
                "pause_ms": round((now_ns - whole_ns) / 1e6, 1),
            },
        )
        return store

    def abandon(self) -> None:
        """Remove the unfinished new generation. Idempotent."""
        self._resize.abandon()
