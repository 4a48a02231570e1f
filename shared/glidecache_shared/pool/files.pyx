# cython: freethreading_compatible=True
"""One generation's two files: made, laid out for the whole bound, removed."""

import os

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from glidecache_shared.pool.layout cimport (
    GC_BOARD_HEADER_BYTES,
    GC_BUCKET_BYTES,
    GC_ENTRIES_PER_BUCKET,
    GC_GRANULE_BYTES,
    GC_HEADER_BYTES,
    GC_LAYOUT_VERSION,
    GC_MAGIC,
    GC_MIN_CHARGE,
    GC_RECORD_BYTES,
    GC_STATE_ACTIVE,
    gc_bucket,
    gc_header,
    gc_store_release_u32,
    gc_store_release_u64,
)
from glidecache_shared.pool.mapping cimport MappedFile, Region

from glidecache_shared.pool import host

cdef enum:
    PAGE_BYTES = 4096


cdef inline uint64_t whole_pages(uint64_t length) noexcept nogil:
    return (length + PAGE_BYTES - 1) // PAGE_BYTES * PAGE_BYTES


cdef class PoolFiles:
    """The mapped files, their header and their regions. The mappings last as long as the object, or until `close`."""

    @staticmethod
    def create(str stem, uint64_t max_bytes, int pool_mode, int board_mode):
        """Make `<stem>.pool` and `<stem>.board`, with a place for the bound and memory for the headers.

        Readers refuse the file until `publish`. Raises `OSError`; then nothing is left behind.
        """
        cdef uint64_t max_records = max(max_bytes // GC_MIN_CHARGE, <uint64_t>1)
        cdef uint64_t max_buckets = max_records // GC_ENTRIES_PER_BUCKET + 2
        cdef uint64_t max_overflow = max_records // 3 + 8  # more than chains of any shape can use
        cdef uint64_t max_granules = max_bytes // GC_GRANULE_BYTES + 2  # and granule 0, which is never given out
        cdef uint64_t overflow_offset = GC_HEADER_BYTES + whole_pages(max_buckets * GC_BUCKET_BYTES)
        cdef uint64_t arena_offset = overflow_offset + whole_pages(max_overflow * GC_BUCKET_BYTES)
        cdef uint64_t length = arena_offset + whole_pages(max_granules * GC_GRANULE_BYTES)
        cdef uint64_t board_length = GC_BOARD_HEADER_BYTES + whole_pages(max_records * GC_RECORD_BYTES)
        cdef PoolFiles self = PoolFiles.__new__(PoolFiles)
        self.pool = MappedFile.create(f"{stem}.pool", length, pool_mode, GC_HEADER_BYTES)
        try:
            self.board = MappedFile.create(f"{stem}.board", board_length, board_mode, GC_BOARD_HEADER_BYTES)
        except BaseException:
            self.unlink()
            raise
        self.header = <gc_header *>self.pool.base
        self.header.max_bytes = max_bytes
        self.header.max_buckets = max_buckets
        self.header.overflow_offset = overflow_offset
        self.header.max_overflow = max_overflow
        self.header.arena_offset = arena_offset
        self.header.max_granules = max_granules
        self.header.max_records = max_records
        self.header.file_bytes = length
        self._reach()
        return self

    def _reach(self):
        """The view and the regions, by the geometry in the header."""
        cdef gc_header *header = self.header
        cdef uint8_t *base = self.pool.base
        self.view.header = header
        self.view.primary = <gc_bucket *>(base + GC_HEADER_BYTES)
        self.view.overflow = <gc_bucket *>(base + header.overflow_offset)
        self.view.arena = base + header.arena_offset
        self.view.max_buckets = <uint32_t>header.max_buckets
        self.view.max_overflow = <uint32_t>header.max_overflow
        self.view.max_granules = <uint32_t>header.max_granules
        self.view.max_records = <uint32_t>header.max_records
        self.view.max_chain = <uint32_t>-1
        self.primary = Region(self.pool, GC_HEADER_BYTES, header.overflow_offset - GC_HEADER_BYTES)
        self.overflow = Region(self.pool, header.overflow_offset, header.arena_offset - header.overflow_offset)
        self.arena = Region(self.pool, header.arena_offset, header.file_bytes - header.arena_offset)

    def publish(
        self, uint64_t generation, uint64_t instance_id, bytes secret, uint32_t policy, uint64_t ttl_ns, bint metrics,
        uint64_t grace_ns,
    ):
        """Fill in the rest of the header and let readers in."""
        cdef gc_header *header = self.header
        cdef bytes boot_id = host.boot_id()
        header.layout_version = GC_LAYOUT_VERSION
        header.policy = policy
        header.generation = generation
        header.instance_id = instance_id
        memcpy(header.secret, <const char *>secret, 16)
        header.ttl_ns = ttl_ns
        header.metrics = metrics
        header.grace_ns = grace_ns
        header.time_namespace = host.time_namespace()
        memcpy(header.boot_id, <const char *>boot_id, 16)
        gc_store_release_u32(&header.state, GC_STATE_ACTIVE)
        gc_store_release_u64(&header.magic, GC_MAGIC)  # last: a reader that maps the file earlier refuses it

    def resident_bytes(self) -> int:
        return self.pool.resident_bytes() + self.board.resident_bytes()

    def unlink(self) -> None:
        """Remove both files; mappings stay valid."""
        for file in (self.pool, self.board):
            if file is not None:
                try:
                    os.unlink(file.path)
                except FileNotFoundError:
                    pass  # an operator was quicker

    def close(self) -> None:
        """Unmap. What pointed into the files must not be used any more."""
        self.header = NULL
        for file in (self.pool, self.board):
            if file is not None:
                (<MappedFile>file).unmap()
