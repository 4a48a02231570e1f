"""One generation's two files: made, laid out for the whole bound, removed."""

import os

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from glidecache_shared.pool.layout cimport (
    GPOOL_BOARD_HEADER_BYTES,
    GPOOL_BUCKET_BYTES,
    GPOOL_ENTRIES_PER_BUCKET,
    GPOOL_GRANULE_BYTES,
    GPOOL_HEADER_BYTES,
    GPOOL_LAYOUT_VERSION,
    GPOOL_MAGIC,
    GPOOL_MIN_CHARGE,
    GPOOL_POLICY_LFU,
    GPOOL_POLICY_LRU,
    GPOOL_STATE_ACTIVE,
    GPOOL_STATE_RETIRED,
    gpool_bucket,
    gpool_header,
    gpool_ring_bytes,
    gpool_ring_offset,
    gpool_store_relaxed_u64,
    gpool_store_release_u32,
    gpool_store_release_u64,
    gpool_sum,
)
from glidecache_shared.pool.files.mapping cimport MappedFile, Region

from glidecache_shared.pool.files import boot_identity

cdef enum:
    PAGE_BYTES = 4096
    GEOMETRY_BYTES = 64  # line 1 of the header

POLICY_NAMES = {GPOOL_POLICY_LRU: "LRU", GPOOL_POLICY_LFU: "LFU"}


cdef inline uint64_t whole_pages(uint64_t length) noexcept nogil:
    return (length + PAGE_BYTES - 1) // PAGE_BYTES * PAGE_BYTES


cdef gpool_header geometry_for(uint64_t max_bytes) noexcept:
    """Return line 1 of a header: the number of places in a pool of that bound."""
    cdef gpool_header header
    memset(&header, 0, sizeof(gpool_header))
    header.max_bytes = max_bytes
    header.max_records = max(max_bytes // GPOOL_MIN_CHARGE, <uint64_t>1)
    header.max_buckets = header.max_records // GPOOL_ENTRIES_PER_BUCKET + 2
    header.max_overflow = header.max_records // 3 + 8  # more than chains of any shape can use
    header.max_granules = max_bytes // GPOOL_GRANULE_BYTES + 2  # and granule 0, which is never given out
    header.overflow_offset = GPOOL_HEADER_BYTES + whole_pages(header.max_buckets * GPOOL_BUCKET_BYTES)
    header.arena_offset = header.overflow_offset + whole_pages(header.max_overflow * GPOOL_BUCKET_BYTES)
    header.file_bytes = header.arena_offset + whole_pages(header.max_granules * GPOOL_GRANULE_BYTES)
    return header


cdef uint64_t board_bytes_for(uint64_t max_records) noexcept:
    return gpool_ring_offset(max_records) + whole_pages(gpool_ring_bytes(max_records))


cdef uint64_t sum_of(gpool_header *header) noexcept:
    """Return a checksum of the whole header before its seal; never 0."""
    return gpool_sum(<const uint8_t *>header, <uint8_t *>&header.seal - <uint8_t *>header, 0) | 1


cdef object retire_at(str path):
    """Have readers detach, if there is a pool file of this layout; do nothing if there is none."""
    cdef MappedFile file
    cdef gpool_header *header
    try:
        file = MappedFile.take_over(path)
    except (OSError, ValueError):
        return
    header = <gpool_header *>file.base
    if file.bytes >= GPOOL_HEADER_BYTES and header.magic == GPOOL_MAGIC and (
        header.layout_version == GPOOL_LAYOUT_VERSION
    ):
        gpool_store_release_u32(&header.state, GPOOL_STATE_RETIRED)
    file.unmap()


cdef class PoolFiles:
    """The mapped files, their header and their regions. The mappings last as long as the object, or until `close`."""

    @staticmethod
    def create(str stem, uint64_t max_bytes, int pool_mode, int board_mode):
        """Make `<stem>.pool` and `<stem>.board`, with a place for the bound and memory for the headers.

        Readers refuse the file until `publish`. Raises `OSError`; then nothing is left behind.
        """
        cdef gpool_header geometry = geometry_for(max_bytes)
        cdef PoolFiles self = PoolFiles.__new__(PoolFiles)
        self.pool = MappedFile.create(f"{stem}.pool", geometry.file_bytes, pool_mode, GPOOL_HEADER_BYTES)
        try:
            self.board = MappedFile.create(
                f"{stem}.board", board_bytes_for(geometry.max_records), board_mode, GPOOL_BOARD_HEADER_BYTES)
        except BaseException:
            self.unlink()
            raise
        self.header = <gpool_header *>self.pool.base
        memcpy(&self.header.max_bytes, &geometry.max_bytes, GEOMETRY_BYTES)
        self._reach()
        return self

    @staticmethod
    def take_over(str stem):
        """Map the pool file of an earlier daemon without looking at its content. Raises `OSError`, `ValueError`.

        `fault` maps the board, once its length is known.
        """
        cdef PoolFiles self = PoolFiles.__new__(PoolFiles)
        self.pool = MappedFile.take_over(f"{stem}.pool")
        if self.pool.bytes < GPOOL_HEADER_BYTES:
            raise ValueError(f"the file of {self.pool.bytes} bytes is too short for a header")
        self.header = <gpool_header *>self.pool.base
        self.stem = stem
        return self

    def fault(
        self, uint64_t max_bytes, uint64_t generation, uint32_t policy, uint64_t ttl_ns, bint metrics, uint64_t grace_ns,
    ):
        """Return why taken files cannot be used under these settings; None if they can, and are reached.

        Raises `OSError` and `ValueError` where the board cannot be mapped.
        """
        cdef gpool_header *header = self.header
        cdef gpool_header geometry = geometry_for(max_bytes)
        cdef bytes boot_id = boot_identity.boot_id()
        if header.magic != GPOOL_MAGIC:
            return "it is not a pool file, or was never finished"
        if header.layout_version != GPOOL_LAYOUT_VERSION:
            return f"its layout has version {header.layout_version}, this daemon's {GPOOL_LAYOUT_VERSION}"
        if memcmp(header.boot_id, <const char *>boot_id, 16) != 0:
            return "it is of another boot, so its times mean nothing now"
        if header.time_namespace != boot_identity.time_namespace():
            return "it is of another time namespace, so its times mean nothing here"
        if header.state != GPOOL_STATE_ACTIVE:
            return "its generation has ended"
        for name, found, wanted in (
            ("max_cache_kb", header.max_bytes // 1024, max_bytes // 1024),
            ("eviction_policy", POLICY_NAMES.get(header.policy), POLICY_NAMES[policy]),
            ("entry_ttl_ms", header.ttl_ns // 1_000_000, ttl_ns // 1_000_000),
            ("enable_metrics", bool(header.metrics), bool(metrics)),
            ("grace_ms", header.grace_ns // 1_000_000, grace_ns // 1_000_000),
        ):
            if found != wanted:
                return f"its {name} is {found}, not {wanted}"
        if memcmp(&header.max_bytes, &geometry.max_bytes, GEOMETRY_BYTES) != 0 or header.generation != generation:
            return "its header is damaged: the geometry is not that of its bound"
        if self.pool.bytes != geometry.file_bytes:
            return f"the file has {self.pool.bytes} bytes, not the length that its header gives"
        if not (
            0 < header.bucket_count <= header.max_buckets and header.overflow_count <= header.max_overflow
            and header.granule_count <= header.max_granules and header.record_count <= header.max_records
        ):
            return "its header is damaged: it counts more than there is room for"
        # Workers may have cut it short or lengthened it; no entry is lost by that.
        self.board = MappedFile.take_over(f"{self.stem}.board", board_bytes_for(geometry.max_records))
        self._reach()
        return None

    cdef uint64_t unseal(self) noexcept:
        """Break the seal. Return its value if it was whole, so that an earlier daemon stopped in order, else 0."""
        cdef uint64_t seal = self.header.seal
        gpool_store_relaxed_u64(&self.header.seal, 0)
        return seal if seal == sum_of(self.header) else 0

    cdef uint64_t next_seal(self) noexcept:
        """Return the seal for the header as it is now. It must be set after everything else is written."""
        return sum_of(self.header)

    def _reach(self):
        """Set the view and the regions, by the geometry in the header."""
        cdef gpool_header *header = self.header
        cdef uint8_t *base = self.pool.base
        self.view.header = header
        self.view.primary = <gpool_bucket *>(base + GPOOL_HEADER_BYTES)
        self.view.overflow = <gpool_bucket *>(base + header.overflow_offset)
        self.view.arena = base + header.arena_offset
        self.view.max_buckets = <uint32_t>header.max_buckets
        self.view.max_overflow = <uint32_t>header.max_overflow
        self.view.max_granules = <uint32_t>header.max_granules
        self.view.max_records = <uint32_t>header.max_records
        self.view.max_chain = <uint32_t>-1
        self.primary = Region(self.pool, GPOOL_HEADER_BYTES, header.overflow_offset - GPOOL_HEADER_BYTES)
        self.overflow = Region(self.pool, header.overflow_offset, header.arena_offset - header.overflow_offset)
        self.arena = Region(self.pool, header.arena_offset, header.file_bytes - header.arena_offset)

    def publish(
        self, uint64_t generation, uint64_t instance_id, bytes secret, uint32_t policy, uint64_t ttl_ns, bint metrics,
        uint64_t grace_ns,
    ):
        """Fill in the rest of the header: all that readers check before they trust it. `open` lets them in."""
        cdef gpool_header *header = self.header
        cdef bytes boot_id = boot_identity.boot_id()
        header.layout_version = GPOOL_LAYOUT_VERSION
        header.policy = policy
        header.generation = generation
        header.instance_id = instance_id
        memcpy(header.secret, <const char *>secret, 16)
        header.ttl_ns = ttl_ns
        header.metrics = metrics
        header.grace_ns = grace_ns
        header.time_namespace = boot_identity.time_namespace()
        memcpy(header.boot_id, <const char *>boot_id, 16)
        gpool_store_release_u32(&header.state, GPOOL_STATE_ACTIVE)

    cdef void open(self) noexcept:
        """Let readers in. Last, because a reader that maps the file earlier refuses it, and so does the next daemon."""
        gpool_store_release_u64(&self.header.magic, GPOOL_MAGIC)

    cdef bytes secret(self):
        """Return the key of the pool's hash."""
        return (<const char *>self.header.secret)[:16]

    cdef void lend_board(self) noexcept:
        """Leave the board mapped at `close`, until no object refers to it any more."""
        self.lends_board = True

    def resident_bytes(self) -> int:
        return self.pool.resident_bytes() + self.board.resident_bytes()

    def lost_file(self):
        """Return the path of a file that lost its name, or whose name leads to another; None if both are in place."""
        for file in (self.pool, self.board):
            try:
                found = os.stat(file.path, follow_symlinks=False)
            except (FileNotFoundError, NotADirectoryError):
                return file.path
            except OSError:
                continue  # the file system gives no answer
            if not os.path.samestat(found, os.fstat(file.descriptor)):
                return file.path
        return None

    def unlink(self) -> None:
        """Remove both files; mappings stay valid."""
        for file in (self.pool, self.board):
            if file is not None:
                try:
                    os.unlink(file.path)
                except OSError:
                    pass  # an operator removed it, or put another file in its place, which stays

    def close(self) -> None:
        """Unmap. Pointers into the files must not be used any more."""
        self.header = NULL
        if self.pool is not None:
            self.pool.unmap()
        if self.board is not None and not self.lends_board:
            self.board.unmap()
