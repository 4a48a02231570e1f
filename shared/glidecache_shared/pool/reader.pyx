"""The reader: hits straight from shared memory, in the worker (architecture decision 2).

A lookup reads the bucket's version (acquire), walks the chain, checks kind and expiry, copies the payload, fences
(acquire) and reads the version again. Only the same even number means that it saw one state of the chain and this
entry's bytes. The daemon makes the version odd before it changes a chain or frees an entry of that chain. So a reader
that saw any byte of such a change sees another version (docs/design/memory-model.md has the whole argument).
Attempts are bounded; a lookup that used them up is a miss, which the daemon then answers.

Safe for any number of threads and forks: what a reader keeps of its own is the values of a few small hashes and sets
that it has decoded twice. As long as the bucket's version is the same, so is the entry, and a copy of the kept value is
a fresh one (docs/design/0001-hits-are-read-in-the-worker.md).
"""

from collections import namedtuple

cimport cython
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec
from posix.unistd cimport getpid

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_Copy
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyMethodDef, PyObject, PyTypeObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from cpython.set cimport PySet_New

from glidecache_shared.pool.layout cimport (
    GPOOL_LAST_TOUCHES,
    GPOOL_BOARD_HEADER_BYTES,
    GPOOL_BUCKET_BYTES,
    GPOOL_GRANULE_BYTES,
    GPOOL_HEADER_BYTES,
    GPOOL_KIND_HASH,
    GPOOL_KIND_SET,
    GPOOL_KIND_STRING,
    GPOOL_LAYOUT_VERSION,
    GPOOL_MAGIC,
    GPOOL_POLICY_LFU,
    GPOOL_POLICY_LRU,
    GPOOL_READER_CHAIN,
    GPOOL_SHARDS,
    GPOOL_STATE_ACTIVE,
    GPOOL_STATE_RETIRED,
    gpool_add_relaxed_u64,
    gpool_bucket,
    gpool_bucket_of,
    gpool_cursor_copy,
    gpool_entry_expires_ns,
    gpool_entry_kind,
    gpool_entry_tag,
    gpool_fence_acquire,
    gpool_find,
    gpool_found,
    gpool_glance,
    gpool_glance_at,
    gpool_header,
    gpool_leave_hit,
    gpool_leave_write,
    gpool_load_acquire_u32,
    gpool_load_acquire_u64,
    gpool_last_touch,
    gpool_load_relaxed_u64,
    gpool_place,
    gpool_published,
    gpool_record,
    gpool_ring_at,
    gpool_ring_bytes,
    gpool_ring_offset,
    gpool_shard,
    gpool_shard_of,
    gpool_siphash13,
    gpool_spin_hint,
    gpool_touch,
    gpool_touch_apart,
)
from glidecache_shared.pool.files.mapping cimport MappedFile
from glidecache_shared.pool.memory.payload cimport decode

from glidecache_shared.pool.files import boot_identity

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object text) noexcept
    void *PyUnicode_DATA(object text) noexcept
    Py_ssize_t PyUnicode_GET_LENGTH(object text) noexcept
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL

    ctypedef struct PyMethodDescrObject:
        PyMethodDef *d_method

    object PyDescr_NewMethod(PyTypeObject *owner, PyMethodDef *method)

cdef extern from "<pthread.h>" nogil:
    int pthread_atfork(void (*prepare)() noexcept nogil, void (*parent)() noexcept nogil, void (*child)() noexcept nogil)

cdef enum:
    # The daemon changes a chain within a microsecond. If it was descheduled meanwhile, waiting longer would not help.
    ATTEMPTS = 64
    # Hashes and sets up to this size are copied to the stack before they are decoded.
    SCRATCH_BYTES = 4096
    SCRATCH_WORDS = 1024
    # Hashes and sets up to this size are kept decoded.
    LONGEST_DECODED_BYTES = 1024

# The counter shard of this process (architecture decision 4): by its id. A forked child, whose parent has the
# same memory, chooses its own.
cdef uint32_t shard_number = gpool_shard_of(getpid())
cdef gpool_last_touch last_touches[GPOOL_LAST_TOUCHES]


cdef void choose_shard() noexcept nogil:
    global shard_number
    shard_number = gpool_shard_of(getpid())


pthread_atfork(NULL, NULL, choose_shard)


class PoolMetrics(namedtuple("PoolMetrics", "hits misses entry_count evictions expirations")):
    """The hits, misses, entries, evictions and expirations of one pool, over all its processes (contract C13).

    A `namedtuple` from `collections`: importing `typing` or `dataclasses` would cost the stub more than the pool's
    reader does.
    """

    __slots__ = ()

    @property
    def total_lookups(self):
        """Return the lookups that were answered, hits and misses."""
        return self.hits + self.misses

    @property
    def hit_rate(self):
        """Return hits per lookup, 0.0–1.0; 0.0 before the first lookup."""
        total = self.total_lookups
        return self.hits / total if total else 0.0

    @property
    def miss_rate(self):
        """Return misses per lookup, 0.0–1.0; 0.0 before the first lookup."""
        total = self.total_lookups
        return self.misses / total if total else 0.0


LAYOUT_VERSION = GPOOL_LAYOUT_VERSION


class PoolFormatError(Exception):
    """The files are not a pool of this layout version, or their header contradicts itself."""


class PoolLayoutError(PoolFormatError):
    """The file is a pool of another layout version."""

    def __init__(self, path, layout_version):
        super().__init__(f"{path}: layout version {layout_version}, this client reads {LAYOUT_VERSION}")
        self.layout_version = layout_version


cdef inline uint64_t monotonic_ns() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)  # answered in user space (vDSO)
    return <uint64_t>now.tv_sec * 1_000_000_000 + now.tv_nsec


cdef bytes encode_key(object key):
    """Return the bytes of a key that is neither bytes nor str: as the commands encode their arguments."""
    if isinstance(key, (bytearray, memoryview)):
        return bytes(key)
    if isinstance(key, (int, float)) and not isinstance(key, bool):
        return repr(key).encode()
    raise TypeError(f"a key must be bytes, bytearray, memoryview, str, int or float, not {type(key).__name__}")


@cython.final
cdef class PoolReader:
    """A pool mapped read-only, and its access board: see reader.pyi for the public methods."""

    def __cinit__(self, str pool_path not None, str board_path not None):
        self.file = open_mapped(pool_path, False)
        self.board_file = open_mapped(board_path, True)
        self._check_header()
        cdef gpool_header *header = <gpool_header *>self.file.base
        self.view.header = header
        self.view.primary = <gpool_bucket *>(self.file.base + GPOOL_HEADER_BYTES)
        self.view.overflow = <gpool_bucket *>(self.file.base + header.overflow_offset)
        self.view.arena = self.file.base + header.arena_offset
        self.view.max_buckets = <uint32_t>header.max_buckets
        self.view.max_overflow = <uint32_t>header.max_overflow
        self.view.max_granules = <uint32_t>header.max_granules
        self.view.max_records = <uint32_t>header.max_records
        self.view.max_chain = GPOOL_READER_CHAIN
        self.shards = <gpool_shard *>self.board_file.base
        self.records = <gpool_record *>(self.board_file.base + GPOOL_BOARD_HEADER_BYTES)
        self.ring = gpool_ring_at(self.board_file.base, header.max_records)
        self.secret[0] = header.secret[0]
        self.secret[1] = header.secret[1]
        self.grace_ns = header.grace_ns
        self.is_lfu = header.policy == GPOOL_POLICY_LFU
        self.metrics_on = header.metrics != 0

    def __dealloc__(self):
        cdef int i
        for i in range(DECODED_VALUES):
            Py_XDECREF(self.decoded[i].value)

    def _check_header(self):
        """Check everything that later lookups rely on without looking again."""
        cdef gpool_header *header = <gpool_header *>self.file.base
        cdef uint64_t limit = <uint64_t>1 << 31
        path = self.file.path
        if self.file.bytes < GPOOL_HEADER_BYTES or gpool_load_acquire_u64(&header.magic) != GPOOL_MAGIC:
            raise PoolFormatError(f"{path}: not a pool file")
        if header.layout_version != GPOOL_LAYOUT_VERSION:
            raise PoolLayoutError(path, header.layout_version)
        if header.policy not in (GPOOL_POLICY_LRU, GPOOL_POLICY_LFU):
            raise PoolFormatError(f"{path}: unknown policy {header.policy}")
        if max(header.max_buckets, header.max_overflow, header.max_granules, header.max_records) > limit or not (
            header.file_bytes == self.file.bytes
            and header.overflow_offset % GPOOL_BUCKET_BYTES == 0
            and GPOOL_HEADER_BYTES + header.max_buckets * GPOOL_BUCKET_BYTES <= header.overflow_offset
            and header.overflow_offset <= header.arena_offset <= self.file.bytes
            and header.max_overflow * GPOOL_BUCKET_BYTES <= header.arena_offset - header.overflow_offset
            and header.max_granules * GPOOL_GRANULE_BYTES <= self.file.bytes - header.arena_offset
            and header.arena_offset % 8 == 0
        ):
            raise PoolFormatError(f"{path}: the regions in the header do not fit the file of {self.file.bytes} bytes")
        if gpool_ring_offset(header.max_records) + gpool_ring_bytes(header.max_records) > self.board_file.bytes:
            raise PoolFormatError(
                f"{self.board_file.path}: too short for {header.max_records} access records and the sample ring")
        fault = boot_identity.clock_fault((<const char *>header.boot_id)[:16], header.time_namespace)
        if fault is not None:
            raise PoolFormatError(f"{path}: {fault[0]}: {fault[1]}")

    def get(self, key):
        return self.read(key, GPOOL_KIND_STRING, monotonic_ns())

    def hgetall(self, key):
        return self.read(key, GPOOL_KIND_HASH, monotonic_ns())

    def smembers(self, key):
        return self.read(key, GPOOL_KIND_SET, monotonic_ns())

    def lookup(self, key, uint32_t kind, now_ns=None):
        return self.read(key, kind, monotonic_ns() if now_ns is None else <uint64_t>now_ns)

    cdef object read(self, object key, uint32_t kind, uint64_t now_ns):
        """Return a fresh value, or None; the key's bytes live as long as `key`, which the caller holds."""
        cdef Py_ssize_t length
        cdef const char *text
        if isinstance(key, str):
            if PyUnicode_IS_COMPACT_ASCII(key):
                text = <const char *>PyUnicode_DATA(key)
                length = PyUnicode_GET_LENGTH(key)
            else:
                text = PyUnicode_AsUTF8AndSize(key, &length)
        else:
            if type(key) is not bytes:
                key = bytes(key) if isinstance(key, bytes) else encode_key(key)
            text = PyBytes_AS_STRING(key)
            length = PyBytes_GET_SIZE(key)
        if kind == GPOOL_KIND_STRING:
            return find_string(self, <const uint8_t *>text, length, now_ns)
        return find_and_copy(self, <const uint8_t *>text, length, kind, now_ns)

    def note_writes(self, keys):
        cdef uint64_t now_ns, hash
        cdef const uint8_t *at
        cdef Py_ssize_t length
        cdef int noted = 0
        if gpool_load_relaxed_u64(&self.view.header.ring_end) == 0:
            return 0
        now_ns = monotonic_ns()
        for key in keys:
            if type(key) is not bytes:
                raise TypeError(f"a key must be bytes, not {type(key).__name__}")
            at = <const uint8_t *>PyBytes_AS_STRING(key)
            length = PyBytes_GET_SIZE(key)
            hash = gpool_siphash13(self.secret[0], self.secret[1], at, length)
            if is_cached(self, hash, at, length, now_ns):
                gpool_leave_write(&self.ring, self.view.header, hash, now_ns)
                noted += 1
        return noted

    @property
    def takes_writes(self) -> bool:
        return gpool_load_relaxed_u64(&self.view.header.ring_end) != 0

    @property
    def trusted(self) -> bool:
        return is_trusted(self, monotonic_ns())

    @property
    def retired(self) -> bool:
        return gpool_load_acquire_u32(&self.view.header.state) == GPOOL_STATE_RETIRED

    @property
    def generation(self) -> int:
        return self.view.header.generation

    @property
    def instance_id(self) -> int:
        return self.view.header.instance_id

    @property
    def metrics_enabled(self) -> bool:
        return self.metrics_on

    def metrics(self):
        cdef gpool_header *header = self.view.header
        cdef uint64_t hits = gpool_load_relaxed_u64(&header.daemon_hits)
        cdef int i
        for i in range(GPOOL_SHARDS):
            hits += gpool_load_relaxed_u64(&self.shards[i].hits)
        return PoolMetrics(
            hits,
            gpool_load_relaxed_u64(&header.misses),
            gpool_load_relaxed_u64(&header.entry_count),
            gpool_load_relaxed_u64(&header.evictions),
            gpool_load_relaxed_u64(&header.expirations),
        )


def open_mapped(str path, bint writable):
    try:
        return MappedFile.open(path, writable)
    except ValueError as error:
        raise PoolFormatError(str(error)) from None


cdef inline bint is_trusted(PoolReader reader, uint64_t now_ns) noexcept nogil:
    """Return whether the generation is in use and its daemon has shown a sign of life within the grace (decision 9)."""
    cdef gpool_header *header = reader.view.header
    cdef int64_t age = <int64_t>(now_ns - gpool_load_relaxed_u64(&header.heartbeat_ns))
    return gpool_load_acquire_u32(&header.state) == GPOOL_STATE_ACTIVE and age <= <int64_t>reader.grace_ns


cdef inline bint unchanged(const gpool_bucket *bucket, uint64_t version) noexcept nogil:
    """Return whether all reads since `version` was loaded are one state: the second half of the seqlock."""
    gpool_fence_acquire()  # pairs with the writer's release fence in begin_change
    return gpool_load_relaxed_u64(&bucket.version) == version


cdef inline void count_hit(
    PoolReader reader, uint64_t hash, uint32_t kind, uint32_t record, uint32_t tag, uint64_t now_ns) noexcept nogil:
    if <uint32_t>hash < gpool_load_relaxed_u64(&reader.view.header.sample_threshold):
        gpool_leave_hit(&reader.ring, reader.view.header, hash, now_ns, kind)
    if record < gpool_published(&reader.view.header.record_count, reader.view.max_records):
        if reader.is_lfu:
            gpool_touch(&reader.records[gpool_place(record)], tag, now_ns, True)
        else:
            gpool_touch_apart(
                &reader.records[gpool_place(record)], record, tag, now_ns, reader.shards, shard_number, last_touches)
    if reader.metrics_on:
        gpool_add_relaxed_u64(&reader.shards[shard_number].hits, 1)


cdef object find_string(PoolReader reader, const uint8_t *key, uint64_t key_bytes, uint64_t now_ns):
    """Look for a string where nearly all are, and copy it in one step; else as for the other kinds."""
    cdef uint64_t hash
    cdef gpool_glance glance
    if not is_trusted(reader, now_ns):
        return None
    hash = gpool_siphash13(reader.secret[0], reader.secret[1], key, key_bytes)
    if gpool_glance_at(&reader.view, <uint32_t>hash, key, key_bytes, now_ns, &glance):
        value = PyBytes_FromStringAndSize(<const char *>glance.payload, glance.payload_bytes)
        if unchanged(glance.bucket, glance.version):
            count_hit(reader, hash, GPOOL_KIND_STRING, glance.record, glance.tag, now_ns)
            return value
    return find_and_copy(reader, key, key_bytes, GPOOL_KIND_STRING, now_ns)


cdef object find_and_copy(PoolReader reader, const uint8_t *key, uint64_t key_bytes, uint32_t kind, uint64_t now_ns):
    cdef uint32_t bucket_count, number
    cdef uint64_t hash, version, expires
    cdef const gpool_bucket *bucket
    cdef gpool_found found
    cdef bint present
    cdef int attempt
    cdef object value
    if not is_trusted(reader, now_ns):
        return None
    hash = gpool_siphash13(reader.secret[0], reader.secret[1], key, key_bytes)
    for attempt in range(ATTEMPTS):
        bucket_count = gpool_published(&reader.view.header.bucket_count, reader.view.max_buckets)
        if bucket_count == 0:
            return None
        number = gpool_bucket_of(<uint32_t>hash, bucket_count)
        bucket = &reader.view.primary[number]
        version = gpool_load_acquire_u64(&bucket.version)  # pairs with the release in end_change
        if version & 1:
            gpool_spin_hint()
            continue
        present = gpool_find(&reader.view, bucket, <uint32_t>hash, key, key_bytes, &found)
        if not present:
            # Also check whether a split moved the key's place: its bucket was left between our two looks.
            if unchanged(bucket, version) and gpool_published(
                &reader.view.header.bucket_count, reader.view.max_buckets) == bucket_count:
                return None
            continue
        expires = gpool_entry_expires_ns(&found.entry)
        if gpool_entry_kind(&found.entry) != kind or (expires != 0 and now_ns >= expires):
            if unchanged(bucket, version):
                return None
            continue
        if kind == GPOOL_KIND_STRING:
            value = copy_string(reader, bucket, version, &found)
        else:
            value = copy_and_decode(reader, bucket, version, kind, &found)
        if value is None:
            if unchanged(bucket, version):
                return None  # damage, not a race: the payload contradicts itself
            continue
        count_hit(reader, hash, kind, found.entry.record, gpool_entry_tag(&found.entry), now_ns)
        return value
    return None


cdef bint is_cached(PoolReader reader, uint64_t hash, const uint8_t *key, uint64_t key_bytes, uint64_t now_ns) noexcept nogil:
    """Return whether there is a live entry of that key, of any kind. Nothing is counted or touched."""
    cdef uint32_t bucket_count
    cdef uint64_t version, expires
    cdef const gpool_bucket *bucket
    cdef gpool_found found
    cdef bint present
    cdef int attempt
    if not is_trusted(reader, now_ns):
        return False
    for attempt in range(ATTEMPTS):
        bucket_count = gpool_published(&reader.view.header.bucket_count, reader.view.max_buckets)
        if bucket_count == 0:
            return False
        bucket = &reader.view.primary[gpool_bucket_of(<uint32_t>hash, bucket_count)]
        version = gpool_load_acquire_u64(&bucket.version)  # pairs with the release in end_change
        if version & 1:
            gpool_spin_hint()
            continue
        present = gpool_find(&reader.view, bucket, <uint32_t>hash, key, key_bytes, &found)
        expires = gpool_entry_expires_ns(&found.entry) if present else 0
        if unchanged(bucket, version):
            return present and (expires == 0 or now_ns < expires)
    return False


cdef inline object copy_string(PoolReader reader, const gpool_bucket *bucket, uint64_t version, gpool_found *found):
    """Return the payload as bytes, or None when the copy cannot be believed."""
    cdef bytes value
    if found.entry.payload_bytes > SCRATCH_BYTES and not unchanged(bucket, version):
        return None  # a race may have produced the length: no allocation by it
    value = PyBytes_FromStringAndSize(NULL, found.entry.payload_bytes)
    if not gpool_cursor_copy(
        &reader.view, &found.payload, <uint8_t *>PyBytes_AS_STRING(value), found.entry.payload_bytes):
        return None
    return value if unchanged(bucket, version) else None


cdef object copy_and_decode(
    PoolReader reader, const gpool_bucket *bucket, uint64_t version, uint32_t kind, gpool_found *found):
    """Return the payload decoded from a private copy that is known to be whole, or None."""
    cdef uint32_t scratch[SCRATCH_WORDS]  # words: payloads of hashes and sets are read as such
    cdef uint8_t *copy = <uint8_t *>scratch
    cdef uint8_t *allocated = NULL
    cdef decoded_value *decoded = &reader.decoded[(<size_t>bucket // GPOOL_BUCKET_BYTES) % DECODED_VALUES]
    cdef bint read_before = is_of(decoded, bucket, version, found.granule)
    cdef object value = None
    if read_before and decoded.value != NULL:
        value = <object>decoded.value
        value = fresh_copy(kind, value)
        return value if unchanged(bucket, version) else None
    if found.entry.payload_bytes > SCRATCH_BYTES:
        if not unchanged(bucket, version):
            return None
        allocated = <uint8_t *>PyMem_Malloc(found.entry.payload_bytes)
        if allocated == NULL:
            raise MemoryError
        copy = allocated
    try:
        if gpool_cursor_copy(&reader.view, &found.payload, copy, found.entry.payload_bytes) and unchanged(bucket, version):
            value = decode(kind, copy, found.entry.payload_bytes)
    finally:
        PyMem_Free(allocated)
    if value is None or found.entry.payload_bytes > LONGEST_DECODED_BYTES:
        return value
    if read_before:
        copy_of_value = fresh_copy(kind, value)
        # What has run meanwhile, by the collection of garbage, may have read another entry.
        if is_of(decoded, bucket, version, found.granule) and decoded.value == NULL:
            Py_INCREF(value)
            decoded.value = <PyObject *>value
        return copy_of_value
    Py_XDECREF(decoded.value)
    decoded.value = NULL
    decoded.bucket = bucket
    decoded.version = version
    decoded.granule = found.granule
    return value


cdef inline bint is_of(
    const decoded_value *decoded, const gpool_bucket *bucket, uint64_t version, uint32_t granule) noexcept nogil:
    """Return whether this was the same entry, and has not changed since: a bucket's version never comes again."""
    return decoded.version == version and decoded.bucket == bucket and decoded.granule == granule


cdef inline object fresh_copy(uint32_t kind, object value):
    return PyDict_Copy(value) if kind == GPOOL_KIND_HASH else PySet_New(value)



cdef class CachedReads:
    """The base of the blocking clients: see reader.pyi.

    A lookup holds the reader itself. Code that runs during the lookup (a key's own code, a finalizer, a signal handler,
    another thread) may switch the client to another pool, or to none; the mapping ends with the last reference.

    The docstrings begin with a signature in the form that `inspect.signature` reads of compiled methods.
    """

    @cython.embedsignature(False)
    def get(self, key):
        "get($self, key)\n--\n\nReturn the value of `key`, from the cache if it has it (`GET`); None if there is no such key."
        cdef PoolReader reader = self._reader
        cdef object value
        if reader is not None:
            value = reader.read(key, GPOOL_KIND_STRING, monotonic_ns())
            if value is not None:
                return value
        return self._read_miss(GPOOL_KIND_STRING, key)

    @cython.embedsignature(False)
    def hgetall(self, key):
        "hgetall($self, key)\n--\n\nReturn all fields and values of a hash, from the cache if it has them (`HGETALL`)."
        cdef PoolReader reader = self._reader
        cdef object value
        if reader is not None:
            value = reader.read(key, GPOOL_KIND_HASH, monotonic_ns())
            if value is not None:
                return value
        return self._read_miss(GPOOL_KIND_HASH, key)

    @cython.embedsignature(False)
    def smembers(self, key):
        "smembers($self, key)\n--\n\nReturn all members of a set, from the cache if it has them (`SMEMBERS`)."
        cdef PoolReader reader = self._reader
        cdef object value
        if reader is not None:
            value = reader.read(key, GPOOL_KIND_SET, monotonic_ns())
            if value is not None:
                return value
        return self._read_miss(GPOOL_KIND_SET, key)


def with_own_reads(type client_class not None):
    cdef PyMethodDescrObject *method
    if not issubclass(client_class, CachedReads):
        raise TypeError(f"{client_class.__name__} is no subclass of CachedReads")
    for name in ("get", "hgetall", "smembers"):
        method = <PyMethodDescrObject *><PyObject *>CachedReads.__dict__[name]
        setattr(client_class, name, PyDescr_NewMethod(<PyTypeObject *>client_class, method.d_method))
    return client_class
