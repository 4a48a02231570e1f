"""Typing of the compiled resize; the implementation is in `resize.pyx`."""

from typing import Unpack

from glidecache_shared.pool.generation import StoreSettings
from glidecache_shared.pool.store import PoolStore

class PoolResize:
    """A pool's change from one generation to the next, which has another bound, policy or metrics.

    Until `finish`, `store` is used as before: lookups, inserts, beats, flushes. It must not be closed
    before `finish` or `abandon`. Owned by the daemon's one thread.
    """

    def __init__(
        self,
        store: PoolStore,
        directory: str,
        pool_id: str,
        generation: int,
        *,
        pool_mode: int,
        board_mode: int,
        now_ns: int = ...,
        **settings: Unpack[StoreSettings],
    ) -> None:
        """Make the new generation's files, which no process can read yet. Raises what `PoolStore.create` raises.

        From now on `store` takes no entry that alone is over the new bound.
        """

    @property
    def paths(self) -> tuple[str, str]:
        """Return the new generation's pool and board."""

    def step(self, count: int, now_ns: int = ...) -> bool:
        """Continue by up to `count` entries; True once all have been copied, and `finish` has little left to do.

        Raises `PoolFull` when the file system has no room for both generations, `PoolDamagedError` and `MemoryError`:
        `abandon` then.
        """

    def finish(self, now_ns: int = ...) -> PoolStore:
        """Open the new generation, with exactly the content of `store`, and retire `store`, which the caller removes.

        Counters continue, unless `store` did not count. A hit that a reader is in the middle of counts up to a grace
        later.
        Raises as `step` (nothing has happened then: `abandon`), and `ValueError` before `step` is done.
        """

    def abandon(self) -> None:
        """Remove the new generation; idempotent. `store` stays, with the smaller bound if that was reached."""
