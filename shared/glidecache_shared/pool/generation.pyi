"""Typing of a generation's life; the implementation is in `generation.pyx`."""

from typing import NamedTuple, Self, TypedDict, Unpack

from glidecache_shared.pool.reader import PoolMetrics

class PoolFull(Exception):
    """The pool's file system has no room: for even an empty pool, or for a second generation beside the first."""

class TakeOverError(Exception):
    """An earlier daemon's files cannot be taken over: `args[0]` is the reason. Their readers detach."""

class PoolDamagedError(Exception):
    """A pool's file contradicts its daemon's own record of it: no part of it may be used any more.

    Another process has written to it, or memory has failed. The store can still be retired, unlinked and closed.
    """

    path: str
    entries: int
    def __init__(self, path: str, entries: int) -> None: ...

class StoreSettings(TypedDict):
    """The settings of a store: the pool's own, and of the daemon its instance and its readers' grace."""

    max_cache_kb: int
    entry_ttl_ms: int
    eviction_policy: str
    enable_metrics: bool
    instance_id: int
    grace_ms: int

class Recovery(NamedTuple):
    """The origin of a store's entries: kept at once after a stop in order, else each verified, and some dropped."""

    clean: bool
    dropped: int

class HotEntry(NamedTuple):
    """One of the entries that would be evicted last; `accesses` is None under LRU, which does not count them."""

    key: bytes
    key_bytes: int
    kind: int
    payload_bytes: int
    accesses: int | None
    idle_ns: int

class PoolGeneration:
    """One generation's files and the managers of their regions: everything about it but its entries (`PoolStore`).

    Owned by the daemon's one thread. `now_ns` arguments are CLOCK_MONOTONIC; when not given, the clock is read.
    """

    @classmethod
    def create(
        cls,
        directory: str,
        pool_id: str,
        generation: int,
        *,
        pool_mode: int = 0o640,
        board_mode: int = 0o660,
        secret: bytes | None = None,
        now_ns: int = ...,
        opened: bool = True,
        **settings: Unpack[StoreSettings],
    ) -> Self:
        """Make `<pool_id>.<generation>.pool` and `.board` in `directory`.

        `secret` (16 bytes; random when None) keys the hash.
        Readers refuse a pool that is not `opened`: one that a `PoolResize` fills.
        Raises `ValueError`, `OSError`, or `PoolFull`.
        """

    @classmethod
    def take_over(
        cls,
        directory: str,
        pool_id: str,
        generation: int,
        *,
        now_ns: int = ...,
        **settings: Unpack[StoreSettings],
    ) -> Self:
        """Take over the files of a daemon that is gone (architecture 14): entries, recency, counters, readers stay.

        At once if that daemon called `seal`. If it was killed, each entry is verified, which takes about a second per
        million. Entries count as stored by flight 0. Raises `TakeOverError` when the files are of another layout, other
        settings, another boot or time namespace, or damaged; `ValueError` as `create`.
        The earlier daemon must be gone.
        """

    def beat(self, now_ns: int = ...) -> None:
        """Renew the heartbeat that readers trust (architecture 9), mend a board that a worker truncated, and trim.

        Trimming gives memory that entries no longer need back to the file system, step by step, one grace after it
        was vacated.
        """

    def seal(self, now_ns: int = ...) -> bool:
        """Close the store so that `take_over` need not check its entries; readers trust them for another grace.

        Returns whether the state was saved. If not (the file system is full), `take_over` verifies the entries.
        """

    def set_ttl(self, entry_ttl_ms: int) -> None:
        """Set the TTL of entries stored from now on (0: they do not expire); existing entries keep theirs."""

    def retire(self) -> None:
        """Have readers stop using this generation; they attach again."""

    def unlink(self) -> None:
        """Remove both files from the directory; mappings stay valid."""

    def lost_file(self) -> str | None:
        """Return the path of a file that lost its name, or whose name leads to another one; None if both are in place.

        Checks the file system twice. Raises `ValueError` once it is closed.
        """

    def free_some(self) -> bool:
        """Give up to 16 MiB of its files' memory back to the file system. Return whether there was none left to give.

        For a retired generation: only `close` may follow. Processes that have the files mapped find zeros there.
        """

    def close(self) -> None:
        """Unmap. Idempotent; every other method raises `ValueError` afterwards."""

    def metrics(self) -> PoolMetrics: ...
    def misses_by_cause(self) -> dict[str, int]:
        """Return all misses by cause: `absent`, `expired`, `other_kind`, or `own_write`: an entry older than that.

        An expired entry that was already removed to make room counts as absent.
        """

    @property
    def forgotten(self) -> int:
        """The number of live entries that were removed by their keys (contract C25)."""

    @property
    def cached_key_writes(self) -> int:
        """The number of writes of this host's clients to keys that were in the pool at that moment."""

    def hottest(self, count: int, most_key_bytes: int = 256, now_ns: int = ...) -> list[HotEntry]:
        """Return at most `count` entries, the hottest first: by accesses under LFU, by the last access under LRU.

        Longer keys are cut to the first `most_key_bytes`. Looks through all access records once, some 2 ms for a
        million.
        """

    @property
    def pool_path(self) -> str: ...
    @property
    def board_path(self) -> str: ...
    @property
    def generation(self) -> int: ...
    @property
    def max_bytes(self) -> int: ...
    @property
    def charged_bytes(self) -> int:
        """Return the sum of all entries' charges (contract C8)."""

    @property
    def resident_bytes(self) -> int:
        """Return the memory that the two files occupy."""

    @property
    def recovery(self) -> Recovery | None:
        """Return the result of `take_over`; None for a store that was newly made."""

    @property
    def file_system_full(self) -> int:
        """Return how many times growing failed because the file system had no room."""

    @property
    def board_faults(self) -> int:
        """Return how many accesses found the board shorter than its size: a worker truncated it (architecture 12)."""

    @property
    def selection_work(self) -> tuple[int, int]:
        """Return the scans for victims, and the candidates that went back because they had been touched meanwhile."""

def retire_file(path: str) -> None:
    """Have the readers of the pool file at `path` detach; do nothing if there is none of this layout."""
