"""Typing of the compiled reader; the implementation and its memory-ordering argument are in `reader.pyx`."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar

class PoolMetrics(NamedTuple):
    """The hits, misses, entries, evictions and expirations of one pool, over all its processes (contract C13)."""

    hits: int
    misses: int
    entry_count: int
    evictions: int
    expirations: int

    @property
    def total_lookups(self) -> int:
        """Return the lookups that were answered, hits and misses."""

    @property
    def hit_rate(self) -> float:
        """Return hits per lookup, 0.0–1.0; 0.0 before the first lookup."""

    @property
    def miss_rate(self) -> float:
        """Return misses per lookup, 0.0–1.0; 0.0 before the first lookup."""

Key = bytes | str | bytearray | memoryview | int | float

LAYOUT_VERSION: int
"""The version of the pool's layout that this reader reads, and this distribution's daemon writes."""

class PoolFormatError(Exception):
    """The files are not a pool of this layout version, or their header contradicts itself."""

class PoolLayoutError(PoolFormatError):
    """The file is a pool of another layout version."""

    layout_version: int

    def __init__(self, path: str, layout_version: int) -> None: ...

class PoolReader:
    """A pool, mapped read-only, and its access board, mapped writable: a worker's view of the cache.

    Any number of threads and forked children may share one reader. A lookup is bounded, takes no lock and makes no
    system call. The files' mappings last until the object is garbage collected.
    """

    def __init__(self, pool_path: str, board_path: str) -> None:
        """Map both files. Raises `PoolFormatError` or `OSError`."""

    def get(self, key: Key) -> bytes | None:
        """Return the cached string, or None: not cached, expired, of another kind, or the pool is not trusted."""

    def hgetall(self, key: Key) -> dict[bytes, bytes] | None:
        """Return the cached hash as a fresh dict, or None (as `get`)."""

    def smembers(self, key: Key) -> set[bytes] | None:
        """Return the cached set as a fresh set, or None (as `get`)."""

    def lookup(
        self, key: Key, kind: int, now_ns: int = ...
    ) -> bytes | dict[bytes, bytes] | set[bytes] | None:
        """Look `key` up, for `get`, `hgetall` and `smembers`. `now_ns` (default CLOCK_MONOTONIC's) is for tests."""

    def note_writes(self, keys: Iterable[bytes]) -> int:
        """Leave word to the daemon of each of these keys that is in the pool: its client is about to write to it.

        Nothing is counted as a lookup, or touched. Returns how many were there; 0 at once for a pool without a sample
        (`takes_writes`). Raises `TypeError` for a key that is not bytes.
        """

    @property
    def takes_writes(self) -> bool:
        """Return whether the daemon wants to know of writes: the pool has metrics, and its advice is on."""

    @property
    def trusted(self) -> bool:
        """Return whether the daemon's heartbeat is within its grace and the generation not retired (architecture 9)."""

    @property
    def retired(self) -> bool:
        """Return whether the daemon has replaced or ended this generation: attach again."""

    @property
    def generation(self) -> int: ...
    @property
    def instance_id(self) -> int: ...
    @property
    def metrics_enabled(self) -> bool: ...
    def metrics(self) -> PoolMetrics:
        """Return the pool's counters, summed over all processes (contract C13)."""

class CachedReads:
    """The base of the blocking clients: a hit is answered without leaving compiled code.

    `_reader` is None while no pool is attached. Everything but a hit goes to `_read_miss(kind, key)`, which the
    subclass sets; its result is returned.
    """

    _reader: PoolReader | None
    _read_miss: Callable[[int, Key], Any]

    def get(self, key: Key) -> bytes | None:
        """Return the value of `key`, from the cache if it has it (`GET`); None if there is no such key."""

    def hgetall(self, key: Key) -> dict[bytes, bytes]:
        """Return all fields and values of a hash, from the cache if it has them (`HGETALL`)."""

    def smembers(self, key: Key) -> set[bytes]:
        """Return all members of a set, from the cache if it has them (`SMEMBERS`)."""

Reads = TypeVar("Reads", bound=CachedReads)

def with_own_reads(client_class: type[Reads]) -> type[Reads]:
    """Decorate a subclass of `CachedReads` whose instances are used as they are: it gets the reads as its own methods.

    CPython specialises a call of a compiled method only for instances of the very class that the method is of. The
    class must not inherit an override of a read, which would be hidden.
    """
