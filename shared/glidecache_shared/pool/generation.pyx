"""One pool generation's life: made or taken over, kept alive by its heartbeat, retired, closed (see generation.pyi).

Its content, and the storing and removal of entries, belong to `PoolStore`.
"""

import errno
import os

from libc.stdint cimport uint32_t, uint64_t

from glidecache_shared.pool.memory.arena cimport Arena
from glidecache_shared.pool.memory.access_board cimport Board, LateHits
from glidecache_shared.pool.clock cimport monotonic_ns, never_reached_ns
from glidecache_shared.pool.files.pool_file cimport PoolFiles, retire_at
from glidecache_shared.pool.memory.hash_index cimport Index
from glidecache_shared.pool.layout cimport (
    GPOOL_GRANULE_BYTES,
    GPOOL_MAX_GRANULES,
    GPOOL_POLICY_LFU,
    GPOOL_POLICY_LRU,
    GPOOL_STATE_RETIRED,
    gpool_store_relaxed_u64,
    gpool_store_release_u32,
)
from glidecache_shared.pool.files.mapping cimport MappedFile, Region
from glidecache_shared.pool.memory.records cimport Records
from glidecache_shared.pool.memory.sample_ring cimport SampleRing
from glidecache_shared.pool.eviction cimport VictimSelection, hottest_of
from glidecache_shared.pool.restart.takeover cimport resume, seal
from glidecache_shared.pool.files.trim cimport Trimmer

from typing import TypedDict

from glidecache_shared.pool.reader import PoolMetrics

POLICIES = {"LRU": GPOOL_POLICY_LRU, "LFU": GPOOL_POLICY_LFU}
MOST_NS = <uint64_t>-1


class PoolFull(Exception):  # as `queue.Full`
    """The pool's file system has no room: for even an empty pool, or for a second generation beside the first."""


class TakeOverError(Exception):
    """An earlier daemon's files cannot be taken over: `args[0]` is the reason. Their readers detach."""


class PoolDamagedError(Exception):
    """A pool's file contradicts its daemon's own record of it: no part of it may be used any more.

    Another process has written to it, or memory has failed. The store can still be retired, unlinked and closed.
    """

    def __init__(self, path: str, entries: int) -> None:
        super().__init__(f"{path} is damaged, with {entries} entries in it")
        self.path = path
        self.entries = entries


class StoreSettings(TypedDict):
    max_cache_kb: int
    entry_ttl_ms: int
    eviction_policy: str
    enable_metrics: bool
    instance_id: int
    grace_ms: int


def check_settings(*, max_cache_kb, entry_ttl_ms, eviction_policy, enable_metrics, instance_id, grace_ms):
    if max_cache_kb <= 0:
        raise ValueError(f"max_cache_kb must be positive, not {max_cache_kb}")
    if eviction_policy not in POLICIES:
        raise ValueError(f"eviction_policy must be LRU or LFU, not {eviction_policy!r}")
    if max_cache_kb * 1024 // GPOOL_GRANULE_BYTES + 2 > GPOOL_MAX_GRANULES:
        most_kb = (<uint64_t>(GPOOL_MAX_GRANULES - 1) * GPOOL_GRANULE_BYTES - 1) // 1024
        raise ValueError(f"max_cache_kb must be at most {most_kb}")
    check_ttl(entry_ttl_ms)
    if grace_ms * 1_000_000 > MOST_NS // 2:
        raise ValueError("grace_ms must fit into 64 bits as nanoseconds")
    if not 0 <= instance_id <= MOST_NS:
        raise ValueError("instance_id must be an unsigned 64-bit number")


def check_ttl(entry_ttl_ms):
    if entry_ttl_ms < 0:
        raise ValueError("entry_ttl_ms must be non-negative (0 = no expiration)")
    if entry_ttl_ms * 1_000_000 > MOST_NS:
        raise ValueError("entry_ttl_ms must fit into 64 bits as nanoseconds")


def raise_full(error, directory):
    """Raise `error`, as `PoolFull` if the file system reported that it is full."""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        message = f"no room for a new pool in {directory}: {error.strerror}"
        raise PoolFull(message) from error
    raise error


def retire_file(path: str) -> None:
    """Have the readers of a pool file detach, if it is one."""
    retire_at(path)


cdef str path_of(MappedFile file):
    if file is None:
        raise ValueError("the pool store was never made: use PoolStore.create")
    return file.path


cdef class PoolGeneration:
    """The files of one generation and the managers of their regions. Owned by the daemon's one thread."""

    @classmethod
    def create(
        cls,
        directory,
        pool_id,
        generation,
        *,
        pool_mode=0o640,
        board_mode=0o660,
        secret=None,
        now_ns=None,
        opened=True,
        **settings,
    ):
        check_settings(**settings)
        if not 0 <= generation <= never_reached_ns():
            raise ValueError("generation must be an unsigned 64-bit number")
        if secret is None:
            secret = os.urandom(16)
        if not isinstance(secret, bytes) or len(secret) != 16:
            raise ValueError("secret must be 16 bytes")
        cdef PoolGeneration self = cls.__new__(cls)
        cdef uint64_t max_bytes = settings["max_cache_kb"] * 1024
        cdef uint64_t grace_ns = settings["grace_ms"] * 1_000_000
        try:
            self.files = PoolFiles.create(
                os.path.join(directory, f"{pool_id}.{generation}"), max_bytes, pool_mode, board_mode)
        except OSError as error:
            raise_full(error, directory)
        try:
            self._build(settings["eviction_policy"] == "LFU", grace_ns)
        except BaseException as error:
            self.files.unlink()
            self.close()
            raise_full(error, directory)
        self.counting = settings["enable_metrics"]
        self.beat(now_ns)
        self.files.publish(
            generation, settings["instance_id"], secret, POLICIES[settings["eviction_policy"]],
            settings["entry_ttl_ms"] * 1_000_000, self.counting, grace_ns)
        if opened:
            self.files.open()
        return self

    def _build(self, bint is_lfu, uint64_t grace_ns):
        """Make the parts that write the regions of files that hold nothing yet."""
        self.view = &self.files.view
        self.header = self.files.header
        self.arena = Arena.create(self.view, self.files.arena)
        self.board = Board.create(self.files.board, self.view.max_records, is_lfu)
        self.records = Records.create(self.header, self.board)
        self.index = Index.create(self.view, self.files.primary, self.files.overflow)
        if self.index is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._complete(grace_ns)

    def _complete(self, uint64_t grace_ns):
        self.bound_bytes = self.largest_bytes = self.header.max_bytes
        self.ring = SampleRing.create(self.files.board, self.header)
        self.selection = VictimSelection.create(self.board, self.records)
        self.trimmer = Trimmer.create(
            self.files, self.arena, self.index, self.board, self.records, self.selection, grace_ns)

    # ---- warm restart

    @classmethod
    def take_over(cls, directory, pool_id, generation, *, now_ns=None, **settings):
        check_settings(**settings)
        cdef PoolGeneration self = cls.__new__(cls)
        cdef uint64_t grace_ns = settings["grace_ms"] * 1_000_000
        cdef uint64_t now = monotonic_ns() if now_ns is None else now_ns
        cdef str stem = os.path.join(directory, f"{pool_id}.{generation}")
        try:
            self.files = PoolFiles.take_over(stem)
        except (OSError, ValueError) as error:
            retire_at(f"{stem}.pool")
            raise TakeOverError(f"{error}") from error
        try:
            fault = self.files.fault(
                settings["max_cache_kb"] * 1024, generation, POLICIES[settings["eviction_policy"]],
                settings["entry_ttl_ms"] * 1_000_000, settings["enable_metrics"], grace_ns)
            if fault is None:
                fault = resume(self, settings["eviction_policy"] == "LFU", now)
        except (OSError, ValueError, MemoryError) as error:
            fault = f"{error or 'out of memory'}"
        if fault is not None:
            self.close()
            retire_at(f"{stem}.pool")
            raise TakeOverError(fault)
        self._complete(grace_ns)
        self.trimmer.inherit(now)
        self.counting = settings["enable_metrics"]
        gpool_store_relaxed_u64(&self.header.instance_id, settings["instance_id"])
        gpool_store_relaxed_u64(&self.header.heartbeat_ns, now)
        return self

    def seal(self, now_ns=None) -> bool:
        self._check_open()
        self.ring.stop()
        sealed = seal(self, monotonic_ns() if now_ns is None else now_ns)
        self.close()
        return sealed

    # ---- the generation

    def beat(self, now_ns=None) -> None:
        self._check_open()
        cdef uint64_t now = monotonic_ns() if now_ns is None else now_ns
        gpool_store_relaxed_u64(&self.header.heartbeat_ns, now)
        self._check_sound()
        self.trimmer.run(now)
        self._check_damage()
        if self.late_hits is not None:
            self._count_late_hits(now)
        if self.board.faults != self.faults_mended or not self.board.keep_length():
            self._mend_board()

    def set_ttl(self, entry_ttl_ms) -> None:
        self._check_open()
        check_ttl(entry_ttl_ms)
        gpool_store_relaxed_u64(&self.header.ttl_ns, entry_ttl_ms * 1_000_000)

    cdef int inherit_hits(self, PoolGeneration before) except -1:
        """Continue the hits of the previous generation, whose readers may still be in a lookup begun there."""
        if before.late_hits is not None:
            before._count_late_hits(self.header.heartbeat_ns)
        self.late_hits = LateHits.create(before.board, self.header.heartbeat_ns + self.header.grace_ns)
        self.header.daemon_hits = before.header.daemon_hits + self.late_hits.counted
        before.files.lend_board()
        return 0

    cdef void _count_late_hits(self, uint64_t now) noexcept:
        cdef uint64_t late = self.late_hits.count_new()
        if self.counting and late != 0:
            gpool_store_relaxed_u64(&self.header.daemon_hits, self.header.daemon_hits + late)
        if now >= self.late_hits.until_ns:
            self.late_hits = None

    cdef void _mend_board(self) noexcept:
        """Make a board whole that a worker truncated: recency and counts start again instead of staying lost."""
        cdef uint32_t record
        if not self.board.mend() or (self.ring.has_memory and not self.ring.mend()):
            return  # the next heartbeat tries again
        for record in range(self.records.count):
            if self.records.notes[record].granule != 0:
                self.board.reset(record, self.records.notes[record].tag, 0)
        self.faults_mended = self.board.faults

    def retire(self) -> None:
        self._check_open()
        self.ring.stop()
        gpool_store_release_u32(&self.header.state, GPOOL_STATE_RETIRED)

    def unlink(self) -> None:
        self._check_open()
        self.files.unlink()

    def lost_file(self):
        self._check_open()
        return self.files.lost_file()

    def free_some(self) -> bool:
        self._check_open()
        cdef Region region
        cdef uint64_t before
        for region in (self.files.arena, self.files.primary, self.files.overflow, self.board.region):
            before = region.bytes
            region.shrink(0)
            if region.bytes != before:
                return False
        return True

    def close(self) -> None:
        self.header = NULL
        if self.files is not None:
            self.files.close()
        # A caller that still refers to the store of an ended pool keeps none of its parts.
        self.arena = self.board = self.records = self.selection = self.index = self.trimmer = self.ring = None
        self.late_hits = None

    cdef int _check_open(self) except -1:
        if self.header == NULL:
            raise ValueError("the pool store is closed")
        return 0

    cdef int _check_sound(self) except -1:
        """Check as `_check_open`, and that the header publishes what the daemon knows."""
        self._check_open()
        if (
            self.header.bucket_count != self.index.bucket_count
            or self.header.overflow_count != self.index.overflow_ids.count
            or max(self.header.granule_count, <uint32_t>1) != self.arena.runs.granule_count
            or self.header.record_count != self.records.count
            or self.header.entry_count != self.index.entry_count
        ):
            self.view.damaged = True
        return self._check_damage()

    cdef int _check_damage(self) except -1:
        """Raise `PoolDamagedError` once any part of the file contradicts the daemon's own record."""
        if self.view.damaged:
            raise PoolDamagedError(self.files.pool.path, self.index.entry_count)
        return 0

    # ---- seeing

    def metrics(self):
        self._check_open()
        return PoolMetrics(
            self.header.daemon_hits + self.board.hits(),
            self.header.misses,
            self.header.entry_count,
            self.header.evictions,
            self.header.expirations,
        )

    def misses_by_cause(self) -> dict:
        self._check_open()
        causes = {
            "expired": self.header.misses_expired,
            "other_kind": self.header.misses_other_kind,
            "own_write": self.header.misses_own_write,
        }
        return {"absent": self.header.misses - sum(causes.values()), **causes}

    @property
    def forgotten(self) -> int:
        self._check_open()
        return self.header.forgotten

    @property
    def cached_key_writes(self) -> int:
        self._check_open()
        return self.header.cached_key_writes

    def hottest(self, uint32_t count, uint32_t most_key_bytes=256, now_ns=None) -> list:
        self._check_sound()
        found = hottest_of(
            self.view, self.board, self.records, count, most_key_bytes,
            monotonic_ns() if now_ns is None else now_ns)
        self._check_damage()
        return found

    @property
    def pool_path(self) -> str:
        return path_of(None if self.files is None else self.files.pool)

    @property
    def board_path(self) -> str:
        return path_of(None if self.files is None else self.files.board)

    @property
    def generation(self) -> int:
        self._check_open()
        return self.header.generation

    @property
    def max_bytes(self) -> int:
        self._check_open()
        return self.bound_bytes

    @property
    def charged_bytes(self) -> int:
        self._check_open()
        return self.header.charged_bytes

    @property
    def resident_bytes(self) -> int:
        self._check_open()
        return self.files.resident_bytes()

    @property
    def file_system_full(self) -> int:
        self._check_open()
        return (
            self.files.primary.refusals + self.files.overflow.refusals + self.files.arena.refusals
            + self.board.region.refusals)

    @property
    def board_faults(self) -> int:
        """Return how many accesses found the board shorter than its size."""
        self._check_open()
        return self.board.faults

    @property
    def selection_work(self) -> tuple:
        """Return the scans for victims, and the candidates that went back because they had been touched."""
        self._check_open()
        return self.selection.scans, self.selection.push_backs
