"""Typing of a generation's life; the implementation is in `generation.pyx`."""

from typing import NamedTuple, Self, Unpack

from glidecache_shared.pool.metrics import PoolMetrics
from glidecache_shared.pool.settings import StoreSettings

class Recovery(NamedTuple):
    """How a store came to its entries: at once after a stop in order, else by verifying each, and dropping some."""

    clean: bool
    dropped: int

class HotEntry(NamedTuple):
    """One of the entries that would leave last; `accesses` is None under LRU, which does not count them."""

    key: bytes
    key_bytes: int
    kind: int
    payload_bytes: int
    accesses: int | None
    idle_ns: int

class PoolGeneration:
    """One generation's files and what manages their regions: everything about it but its entries (`PoolStore`).

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
        Readers refuse a pool that is not `opened`: one that a `Succession` fills.
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
        """Go on with the files of a daemon that is gone (architecture 14): entries, recency, counters, readers stay.

        If that daemon called `seal`, at once; if it was killed, by verifying each entry, which takes about a second
        per million. Entries count as stored by flight 0. Raises `TakeOverError` when the files are of another layout,
        other settings, another boot or time namespace, or damaged; `ValueError` as `create`. The earlier daemon must be
        gone.
        """

    def beat(self, now_ns: int = ...) -> None:
        """Renew the heartbeat that readers trust (architecture 9), mend a board that a worker truncated, and trim.

        Trimming gives memory that entries no longer need back to the file system, step by step, one grace after it
        was vacated.
        """

    def seal(self, now_ns: int = ...) -> bool:
        """Close the store so that `take_over` need not look at its entries, which readers trust for another grace.

        Returns whether that could be set down; if not (the file system is full), `take_over` verifies them.
        """

    def set_ttl(self, entry_ttl_ms: int) -> None:
        """Entries stored from now on have this TTL (0: they do not expire); those that are there keep theirs."""

    def retire(self) -> None:
        """Tell readers to stop using this generation; they attach again."""

    def unlink(self) -> None:
        """Remove both files from the directory; mappings stay valid."""

    def lost_file(self) -> str | None:
        """Return the path of a file that lost its name, or whose name leads to another one; None if both are in place.

        It looks at the file system twice. Raises `ValueError` once it is closed.
        """

    def give_back(self) -> bool:
        """Give up to 16 MiB of its files' memory back to the file system; whether there was none left to give.

        For a generation that is retired: nothing but `close` is to follow. Who has the files mapped finds zeros there.
        """

    def close(self) -> None:
        """Unmap. Idempotent; every other method raises `ValueError` afterwards."""

    def metrics(self) -> PoolMetrics: ...
    def misses_by_cause(self) -> dict[str, int]:
        """All misses by what was found: `absent`, `expired`, `other_kind`, or `own_write`: something older than that.

        What had expired and left for a victim's place is absent.
        """

    def hottest(self, count: int, most_key_bytes: int = 256, now_ns: int = ...) -> list[HotEntry]:
        """At most `count` entries, the hottest first: by accesses under LFU, by the last access under LRU.

        Of a longer key the first `most_key_bytes` are given. Looks through all access records once, some 2 ms for a
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
        """The sum of all entries' charges (contract C8)."""

    @property
    def resident_bytes(self) -> int:
        """What the two files occupy in memory."""

    @property
    def recovery(self) -> Recovery | None:
        """How `take_over` went; None for a store that was made anew."""

    @property
    def file_system_full(self) -> int:
        """How many times growing failed because the file system had no room."""

    @property
    def board_faults(self) -> int:
        """How many accesses found the board shorter than it was made: a worker truncated it (architecture 12)."""

    @property
    def selection_work(self) -> tuple[int, int]:
        """Scans for victims, and candidates that went back because they had been touched meanwhile."""

def retire_file(path: str) -> None:
    """Tell the readers of the pool file at `path` to leave it; nothing is done where there is none of this layout."""
