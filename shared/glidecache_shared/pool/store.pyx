# cython: freethreading_compatible=True
"""The store: the only writer of one pool generation (architecture decision 1).

An insert: make room by the policy, take granules, write the entry where no reader looks, hand its access record over,
then lead readers to it. A removal: take the entry from readers, then free what it held. What readers may meet
in between, and why it is harmless, is docs/design/memory-model.md.
"""

import errno
import os

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE

from glidecache_shared.pool.arena cimport Arena
from glidecache_shared.pool.board cimport Board
from glidecache_shared.pool.index cimport Index
from glidecache_shared.pool.layout cimport (
    GC_BOARD_HEADER_BYTES,
    GC_BUCKET_BYTES,
    GC_ENTRIES_PER_BUCKET,
    GC_GRANULE_BYTES,
    GC_HEADER_BYTES,
    GC_LAYOUT_VERSION,
    GC_MAGIC,
    GC_MAX_GRANULES,
    GC_MIN_CHARGE,
    GC_POLICY_LFU,
    GC_POLICY_LRU,
    GC_RECORD_BYTES,
    GC_STATE_ACTIVE,
    GC_STATE_RETIRED,
    gc_bucket,
    gc_charge,
    gc_cursor,
    gc_cursor_copy,
    gc_cursor_enter,
    gc_cursor_write,
    gc_entry,
    gc_entry_checksum,
    gc_entry_expires_ns,
    gc_entry_open,
    gc_find,
    gc_found,
    gc_granules,
    gc_header,
    gc_siphash13,
    gc_store_relaxed_u64,
    gc_store_release_u32,
    gc_store_release_u64,
    gc_view,
)
from glidecache_shared.pool.mapping cimport MappedFile, Region
from glidecache_shared.pool.payload cimport decode, encode
from glidecache_shared.pool.records cimport NO_RECORD, Records
from glidecache_shared.pool.selection cimport VictimSelection

from glidecache_shared.pool import host
from glidecache_shared.pool.metrics import PoolMetrics

POLICIES = {"LRU": GC_POLICY_LRU, "LFU": GC_POLICY_LFU}

cdef enum:
    PAGE_BYTES = 4096


class PoolFull(Exception):
    """The pool's file system has no room for even an empty pool."""


def charge_bytes(key_bytes: int, payload_bytes: int) -> int:
    """An entry's charge by the lengths of its key and payload alone (contract C8; docs/design/pool-layout.md)."""
    if key_bytes < 0 or payload_bytes < 0:
        raise ValueError("lengths must not be negative")
    return gc_charge(key_bytes, payload_bytes)


def payload_bytes(kind: int, value) -> int:
    """The length of the flat payload that `value` is stored as."""
    return PyBytes_GET_SIZE(encode(kind, value))


cdef inline uint64_t monotonic_ns() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <uint64_t>now.tv_sec * 1_000_000_000 + now.tv_nsec


cdef inline uint64_t whole_pages(uint64_t length) noexcept nogil:
    return (length + PAGE_BYTES - 1) // PAGE_BYTES * PAGE_BYTES


cdef class PoolStore:
    """One pool generation, written. Owned by the daemon's one thread; see store.pyi for the public methods."""

    cdef MappedFile file
    cdef MappedFile board_file
    cdef gc_view view
    cdef gc_header *header
    cdef Arena arena
    cdef Index index
    cdef Board board
    cdef Records records
    cdef VictimSelection selection
    cdef list regions
    cdef bint counting
    cdef uint64_t faults_mended

    @classmethod
    def create(
        cls,
        directory,
        pool_id,
        generation,
        *,
        max_cache_kb,
        entry_ttl_ms,
        eviction_policy,
        enable_metrics,
        instance_id,
        grace_ms,
        pool_mode=0o640,
        board_mode=0o660,
        secret=None,
        now_ns=None,
    ):
        if max_cache_kb <= 0:
            raise ValueError(f"max_cache_kb must be positive, not {max_cache_kb}")
        if entry_ttl_ms < 0:
            raise ValueError("entry_ttl_ms must be non-negative (0 = no expiration)")
        if eviction_policy not in POLICIES:
            raise ValueError(f"eviction_policy must be LRU or LFU, not {eviction_policy!r}")
        if max_cache_kb * 1024 // GC_GRANULE_BYTES + 2 > GC_MAX_GRANULES:
            raise ValueError(f"max_cache_kb must be at most {GC_MAX_GRANULES * GC_GRANULE_BYTES // 1024}")
        if secret is None:
            secret = os.urandom(16)
        if len(secret) != 16:
            raise ValueError(f"secret must be 16 bytes, not {len(secret)}")
        cdef PoolStore self = cls.__new__(cls)
        stem = os.path.join(directory, f"{pool_id}.{generation}")
        try:
            self._lay_out(f"{stem}.pool", f"{stem}.board", max_cache_kb * 1024, pool_mode, board_mode)
            self._build(POLICIES[eviction_policy])
        except OSError as error:
            self._discard()
            if error.errno == errno.ENOSPC:
                raise PoolFull(f"no room for a new pool in {directory}: {error.strerror}") from error
            raise
        except BaseException:
            self._discard()
            raise
        header = self.header
        header.layout_version = GC_LAYOUT_VERSION
        header.policy = POLICIES[eviction_policy]
        header.generation = generation
        header.instance_id = instance_id
        memcpy(header.secret, <const char *>secret, 16)
        header.ttl_ns = entry_ttl_ms * 1_000_000
        header.metrics = 1 if enable_metrics else 0
        header.grace_ns = grace_ms * 1_000_000
        header.time_namespace = host.time_namespace()
        boot_id = host.boot_id()
        memcpy(header.boot_id, <const char *>boot_id, 16)
        self.counting = enable_metrics
        self.beat(now_ns)
        gc_store_release_u32(&header.state, GC_STATE_ACTIVE)
        gc_store_release_u64(&header.magic, GC_MAGIC)  # last: a reader that maps the file earlier refuses it
        return self

    def _lay_out(self, pool_path, board_path, uint64_t max_bytes, pool_mode, board_mode):
        """Make both files, with a place for the whole bound and memory for their headers."""
        cdef uint64_t max_records = max(max_bytes // GC_MIN_CHARGE, <uint64_t>1)
        cdef uint64_t max_buckets = max_records // GC_ENTRIES_PER_BUCKET + 2
        cdef uint64_t max_overflow = max_records // 3 + 8  # more than chains of any shape can use
        cdef uint64_t max_granules = max_bytes // GC_GRANULE_BYTES + 2  # and granule 0, which is never given out
        cdef uint64_t overflow_offset = GC_HEADER_BYTES + whole_pages(max_buckets * GC_BUCKET_BYTES)
        cdef uint64_t arena_offset = overflow_offset + whole_pages(max_overflow * GC_BUCKET_BYTES)
        cdef uint64_t length = arena_offset + whole_pages(max_granules * GC_GRANULE_BYTES)
        cdef uint64_t board_length = GC_BOARD_HEADER_BYTES + whole_pages(max_records * GC_RECORD_BYTES)
        self.file = MappedFile.create(pool_path, length, pool_mode, GC_HEADER_BYTES)
        self.board_file = MappedFile.create(board_path, board_length, board_mode, GC_BOARD_HEADER_BYTES)
        self.header = <gc_header *>self.file.base
        self.header.max_bytes = max_bytes
        self.header.max_buckets = max_buckets
        self.header.overflow_offset = overflow_offset
        self.header.max_overflow = max_overflow
        self.header.arena_offset = arena_offset
        self.header.max_granules = max_granules
        self.header.max_records = max_records
        self.header.file_bytes = length

    def _build(self, policy):
        """The parts that write the regions, over a file that holds nothing yet."""
        cdef gc_header *header = self.header
        cdef uint8_t *base = self.file.base
        self.view.header = header
        self.view.primary = <gc_bucket *>(base + GC_HEADER_BYTES)
        self.view.overflow = <gc_bucket *>(base + header.overflow_offset)
        self.view.arena = base + header.arena_offset
        self.view.max_buckets = <uint32_t>header.max_buckets
        self.view.max_overflow = <uint32_t>header.max_overflow
        self.view.max_granules = <uint32_t>header.max_granules
        self.view.max_records = <uint32_t>header.max_records
        primary = Region(self.file, GC_HEADER_BYTES, header.overflow_offset - GC_HEADER_BYTES)
        overflow = Region(self.file, header.overflow_offset, header.arena_offset - header.overflow_offset)
        arena = Region(self.file, header.arena_offset, header.file_bytes - header.arena_offset)
        self.arena = Arena.over(&self.view, arena)
        self.board = Board.over(self.board_file, self.view.max_records, policy == GC_POLICY_LFU)
        self.records = Records.over(self.board)
        self.selection = VictimSelection.over(self.board, self.records)
        self.index = Index.over(&self.view, primary, overflow)
        if self.index is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.regions = [primary, overflow, arena, self.board.region]

    def _discard(self):
        if self.file is not None:
            self.unlink()
            self.close()

    # ---- lookups and entries

    def lookup(self, bytes key not None, uint32_t kind, uint64_t after_flight=0, now_ns=None):
        self._check_open()
        cdef uint64_t now = monotonic_ns() if now_ns is None else now_ns
        cdef gc_found found
        cdef object value = None
        if self._find(key, &found):
            if is_expired(&found.entry, now):
                self._remove(found.entry.record)
                self._count(&self.header.expirations)
            elif found.entry.tag_kind & 0xFF == kind and (
                after_flight == 0 or self.records.notes[found.entry.record].flight > after_flight
            ):
                value = decode(kind, <const uint8_t *>PyBytes_AS_STRING(self._payload(&found)), found.entry.payload_bytes)
        if value is None:
            self._count(&self.header.misses)
            return None
        self.board.touch(found.entry.record, found.entry.tag_kind >> 8, now)
        self._count(&self.header.daemon_hits)
        return value

    def insert(self, bytes key not None, uint32_t kind, value, uint64_t flight=0, now_ns=None):
        self._check_open()
        cdef uint64_t now = monotonic_ns() if now_ns is None else now_ns
        cdef bytes payload = encode(kind, value)
        cdef uint64_t key_bytes = PyBytes_GET_SIZE(key)
        cdef uint64_t length = PyBytes_GET_SIZE(payload)
        cdef uint64_t charge = gc_charge(key_bytes, length)
        cdef uint32_t record
        cdef gc_found found
        if charge > self.header.max_bytes or key_bytes + length > 0xFFFFFFFF:
            return False
        if self._find(key, &found):
            if self.records.notes[found.entry.record].flight > flight:
                return False
            self._remove(found.entry.record)
        while self.header.charged_bytes + charge > self.header.max_bytes:
            self._evict(now)
        # Memory that the file system refuses is made up for by what is there: victims, in the policy's order.
        while not self.arena.reserve(gc_granules(key_bytes, length)):
            if not self._evict(now):
                return False
        record = self.records.take()
        while record == NO_RECORD:
            if not self._evict(now):
                return False
            record = self.records.take()
        if now_ns is None:
            now = monotonic_ns()  # once more: no access of an entry that had to leave is later than this one's
        return self._store(key, kind, payload, record, charge, flight, now)

    cdef bint _store(
        self, bytes key, uint32_t kind, bytes payload, uint32_t record, uint64_t charge, uint64_t flight, uint64_t now,
    ) noexcept:
        """Write the entry, then lead readers to it; there is room for it. False when the index is refused memory."""
        cdef const uint8_t *key_at = <const uint8_t *>PyBytes_AS_STRING(key)
        cdef const uint8_t *payload_at = <const uint8_t *>PyBytes_AS_STRING(payload)
        cdef uint32_t hash = self._hash(key)
        cdef uint32_t tag = self.records.notes[record].tag
        cdef uint64_t expires = now + self.header.ttl_ns if self.header.ttl_ns else 0
        cdef gc_entry entry
        cdef gc_cursor cursor
        cdef uint32_t granule
        entry.key_bytes = <uint32_t>PyBytes_GET_SIZE(key)
        entry.payload_bytes = <uint32_t>PyBytes_GET_SIZE(payload)
        entry.record = record
        entry.tag_kind = tag << 8 | kind
        entry.expires_low = <uint32_t>expires
        entry.expires_high = <uint32_t>(expires >> 32)
        entry.checksum = gc_entry_checksum(kind, key_at, entry.key_bytes, payload_at, entry.payload_bytes)
        granule = self.arena.allocate(sizeof(gc_entry) + <uint64_t>entry.key_bytes + entry.payload_bytes)
        cursor.granule_count = self.arena.granule_count
        gc_cursor_enter(&self.view, granule, &cursor)
        gc_cursor_write(&self.view, &cursor, <const uint8_t *>&entry, sizeof(gc_entry))
        gc_cursor_write(&self.view, &cursor, key_at, entry.key_bytes)
        gc_cursor_write(&self.view, &cursor, payload_at, entry.payload_bytes)
        self.board.reset(record, tag, now)
        gc_store_release_u32(&self.header.record_count, self.board.record_count)
        if not self.index.insert(hash, granule):
            self.arena.release(granule)
            self.records.give_back(record)
            return False
        self.records.notes[record].granule = granule
        self.records.notes[record].hash = hash
        self.records.notes[record].flight = flight
        self.selection.stored(record)
        gc_store_relaxed_u64(&self.header.charged_bytes, self.header.charged_bytes + charge)
        gc_store_relaxed_u64(&self.header.entry_count, self.index.entry_count)
        return True

    def flush(self) -> int:
        self._check_open()
        cdef uint32_t record
        cdef uint64_t count = self.index.entry_count
        for record in range(self.records.count):
            if self.records.notes[record].granule != 0:
                self._remove(record)
        return count

    cdef bint _evict(self, uint64_t now) noexcept:
        """Remove the policy's victim (contract C10–C12). False when the pool is empty."""
        cdef uint32_t record = self.selection.next(self.index.entry_count)
        cdef gc_entry entry
        cdef gc_cursor cursor
        if record == NO_RECORD:
            return False
        gc_entry_open(&self.view, self.records.notes[record].granule, &entry, &cursor)
        self._remove(record)
        self._count(&self.header.expirations if is_expired(&entry, now) else &self.header.evictions)
        return True

    cdef void _remove(self, uint32_t record) noexcept:
        """Take an entry from readers, then free what it held."""
        cdef uint32_t granule = self.records.notes[record].granule
        cdef gc_entry entry
        cdef gc_cursor cursor
        gc_entry_open(&self.view, granule, &entry, &cursor)
        self.index.remove(self.records.notes[record].hash, granule)
        self.arena.release(granule)
        self.records.give_back(record)
        gc_store_relaxed_u64(
            &self.header.charged_bytes, self.header.charged_bytes - gc_charge(entry.key_bytes, entry.payload_bytes))
        gc_store_relaxed_u64(&self.header.entry_count, self.index.entry_count)

    cdef uint32_t _hash(self, bytes key) noexcept:
        return <uint32_t>gc_siphash13(
            self.header.secret[0], self.header.secret[1],
            <const uint8_t *>PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key))

    cdef bint _find(self, bytes key, gc_found *found) noexcept:
        cdef uint32_t hash = self._hash(key)
        return gc_find(
            &self.view, self.index.bucket_for(hash), hash,
            <const uint8_t *>PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key), found)

    cdef bytes _payload(self, gc_found *found):
        cdef bytes payload = PyBytes_FromStringAndSize(NULL, found.entry.payload_bytes)
        gc_cursor_copy(&self.view, &found.payload, <uint8_t *>PyBytes_AS_STRING(payload), found.entry.payload_bytes)
        return payload

    cdef inline void _count(self, uint64_t *counter) noexcept:
        # The daemon is the only writer of these; relaxed, because readers only add them up.
        if self.counting:
            gc_store_relaxed_u64(counter, counter[0] + 1)

    # ---- the generation

    def beat(self, now_ns=None) -> None:
        self._check_open()
        gc_store_relaxed_u64(&self.header.heartbeat_ns, monotonic_ns() if now_ns is None else <uint64_t>now_ns)

        if self.board.faults != self.faults_mended:
            self._mend_board()

    cdef void _mend_board(self) noexcept:
        """A worker truncated the board: make it whole again, so that recency and counts start anew instead of staying lost."""
        cdef uint32_t record
        if not self.board.mend():
            return  # the next heartbeat tries again
        for record in range(self.records.count):
            if self.records.notes[record].granule != 0:
                self.board.reset(record, self.records.notes[record].tag, 0)
        self.faults_mended = self.board.faults

    def retire(self) -> None:
        self._check_open()
        gc_store_release_u32(&self.header.state, GC_STATE_RETIRED)

    def unlink(self) -> None:
        for file in (self.file, self.board_file):
            if file is not None:
                try:
                    os.unlink(file.path)
                except FileNotFoundError:
                    pass  # an operator was quicker

    def close(self) -> None:
        self.header = NULL
        for file in (self.file, self.board_file):
            if file is not None:
                (<MappedFile>file).unmap()

    cdef int _check_open(self) except -1:
        if self.header == NULL:
            raise ValueError("the pool store is closed")
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

    def entries(self) -> list:
        self._check_open()
        cdef uint32_t record
        result = []
        for record in range(self.records.count):
            if self.records.notes[record].granule != 0:
                key, kind, _ = self._read(self.records.notes[record].granule)
                result.append((key, kind))
        return result

    def _read(self, uint32_t granule):
        """The entry at `granule` as (key, kind, whether its checksum is right)."""
        cdef gc_found found
        cdef bytes key, payload
        if not gc_entry_open(&self.view, granule, &found.entry, &found.payload):
            raise AssertionError(f"granule {granule}: not an entry")
        key = PyBytes_FromStringAndSize(NULL, found.entry.key_bytes)
        gc_cursor_copy(&self.view, &found.payload, <uint8_t *>PyBytes_AS_STRING(key), found.entry.key_bytes)
        payload = self._payload(&found)
        kind = found.entry.tag_kind & 0xFF
        checksum = gc_entry_checksum(
            kind, <const uint8_t *>PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key),
            <const uint8_t *>PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload))
        return key, kind, checksum == found.entry.checksum

    def check_integrity(self) -> None:
        self._check_open()
        cdef uint64_t charged = 0
        cdef uint64_t granules = 1
        cdef gc_entry entry
        cdef gc_cursor cursor
        cdef gc_found found
        cdef uint32_t record, granule
        self.arena.check_integrity()
        placed = self.index.check_integrity()
        for granule, hash in placed.items():
            assert gc_entry_open(&self.view, granule, &entry, &cursor), f"granule {granule}: not an entry"
            key, kind, sound = self._read(granule)
            assert sound, f"entry {key!r}: wrong checksum"
            assert self._hash(key) == hash, f"entry {key!r}: its slot carries another hash"
            record = entry.record
            assert record < self.records.count, f"entry {key!r}: record {record} is not in use"
            assert self.records.notes[record].granule == granule, f"entry {key!r}: record {record} is another's"
            assert self.records.notes[record].tag == entry.tag_kind >> 8, f"entry {key!r}: tag differs"
            assert self._find(key, &found) and found.granule == granule, f"entry {key!r}: not found by its key"
            charged += gc_charge(entry.key_bytes, entry.payload_bytes)
            granules += self._check_chain(granule)
        assert charged == self.header.charged_bytes, f"charges add up to {charged}, header says {self.header.charged_bytes}"
        assert charged <= self.header.max_bytes, f"{charged} bytes charged, the bound is {self.header.max_bytes}"
        assert len(placed) == self.header.entry_count, f"{len(placed)} entries, header says {self.header.entry_count}"
        in_use = sum(1 for record in range(self.records.count) if self.records.notes[record].granule != 0)
        assert in_use == len(placed), f"{in_use} records in use for {len(placed)} entries"
        total = granules + self.arena.free_granules
        assert total == self.arena.granule_count, f"{total} granules used or free, of {self.arena.granule_count}"

    def _check_chain(self, uint32_t granule) -> int:
        """The granules of a chain, each marked used; with free ones they make up the arena, so none is in two chains."""
        cdef uint32_t *extent
        cdef uint32_t link, count, i
        total = 0
        while granule != 0:
            extent = <uint32_t *>(self.view.arena + <uint64_t>granule * GC_GRANULE_BYTES)
            link = extent[0]
            count = 1 if link & 0x80000000 else extent[1]
            for i in range(count):
                assert self.arena._is_used(granule + i), f"granule {granule + i} is in a chain and marked free"
            total += count
            granule = link & 0x7FFFFFFF
        return total

    @property
    def pool_path(self) -> str:
        return self.file.path

    @property
    def board_path(self) -> str:
        return self.board_file.path

    @property
    def generation(self) -> int:
        self._check_open()
        return self.header.generation

    @property
    def max_bytes(self) -> int:
        self._check_open()
        return self.header.max_bytes

    @property
    def charged_bytes(self) -> int:
        self._check_open()
        return self.header.charged_bytes

    @property
    def resident_bytes(self) -> int:
        self._check_open()
        return self.file.resident_bytes() + self.board_file.resident_bytes()

    @property
    def file_system_full(self) -> int:
        return sum((<Region>region).refusals for region in self.regions)

    @property
    def board_faults(self) -> int:
        """How many accesses found the board shorter than it was made."""
        return self.board.faults

    @property
    def selection_work(self) -> tuple:
        """How often victims were scanned for, and how many candidates went back because they had been touched."""
        return self.selection.scans, self.selection.push_backs


cdef inline bint is_expired(const gc_entry *entry, uint64_t now) noexcept nogil:
    cdef uint64_t expires = gc_entry_expires_ns(entry)
    return expires != 0 and now >= expires
