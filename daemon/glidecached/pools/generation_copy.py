"""A pool's next generation: it is filled beside the one in use, in slices of the loop's time."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from glidecache_shared.pool.resize import Succession
from glidecached.formatting import counted
from glidecached.pools.file_access import PRIVATE_MODE, permit

if TYPE_CHECKING:
    from pathlib import Path

    from glidecache_shared.pool.store import PoolStore
    from glidecache_shared.pool.store_settings import StoreSettings
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
        making: StoreSettings,
        access: Access,
    ) -> None:
        """Create the new store. `making`: the arguments of `PoolStore.create`. `access`: the users of the new files."""
        self._key = key
        self._store = store
        self._started_ns = time.monotonic_ns()
        self._succession = Succession(
            store,
            str(directory),
            file_id,
            generation,
            pool_mode=PRIVATE_MODE,
            board_mode=PRIVATE_MODE,
            **making,
        )
        pool_path, board_path = self._succession.paths
        try:
            permit(pool_path, access, writable=False)
            permit(board_path, access, writable=True)
        except BaseException:
            self.abandon()
            raise

    def go_on(self, until_ns: int | None) -> PoolStore | None:
        """Work until that time, or to the end. Return the new store once it is in use: the old one is retired then.

        Raises `PoolFull` and `MemoryError` if there is no room for both; then the caller must `abandon` the copy.
        """
        while not self._succession.step(_ENTRIES):
            if until_ns is not None and time.monotonic_ns() >= until_ns:
                return None
        whole_ns = time.monotonic_ns()
        store = self._succession.finish()
        now_ns = time.monotonic_ns()
        logger.info(
            "%s: generation %d of %s follows generation %d after %.0f ms, the last %.1f ms of them in one piece",
            self._key,
            store.generation,
            counted(store.metrics().entry_count, "entry", "entries"),
            self._store.generation,
            (now_ns - self._started_ns) / 1e6,
            (now_ns - whole_ns) / 1e6,
        )
        return store

    def abandon(self) -> None:
        """Remove the unfinished new generation. Idempotent."""
        self._succession.abandon()
