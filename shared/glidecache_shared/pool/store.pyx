"""The store: the only writer of one pool generation (architecture decision 1).

An insert: make room by the policy, take granules, write the entry where no reader looks, hand its access record over,
then lead readers to it. A removal: take the entry from readers, then free its memory. docs/design/memory-model.md says
what readers may find in between, and why it is harmless.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_New, PyList_SET_ITEM
from cpython.ref cimport Py_INCREF

from glidecache_shared.pool.clock cimport expiry, is_expired, monotonic_ns, never_reached_ns
from glidecache_shared.pool.generation cimport PoolGeneration
from glidecache_shared.pool.check cimport check_store, read_entry
from glidecache_shared.pool.layout cimport (
    GPOOL_BUCKET_SLOTS,
    GPOOL_GRANULE_BYTES,
    gpool_charge,
    gpool_cursor,
    gpool_cursor_copy,
    gpool_cursor_enter,
    gpool_cursor_equals,
    gpool_cursor_write,
    gpool_entry,
    gpool_entry_checksum,
    gpool_entry_kind,
    gpool_entry_open,
    gpool_entry_tag,
    gpool_find,
    gpool_found,
    gpool_bucket,
    gpool_granules,
    gpool_load_relaxed_u64,
    gpool_next_bucket,
    gpool_prefetch,
    gpool_siphash13,
    gpool_slot_granule,
    gpool_slot_hash,
    gpool_store_relaxed_u64,
    gpool_tag_kind,
)
from glidecache_shared.pool.memory.payload cimport decode, encode
from glidecache_shared.pool.memory.records cimport NO_RECORD


def charge_bytes(key_bytes: int, payload_bytes: int) -> int:
    """Return an entry's charge by the lengths of its key and payload alone (C8; docs/design/pool-layout.md)."""
    if key_bytes < 0 or payload_bytes < 0:
        raise ValueError("lengths must not be negative")
    return gpool_charge(key_bytes, payload_bytes)


def payload_bytes(kind: int, value) -> int:
    """Return the length of the flat payload that `value` is stored as."""
    return PyBytes_GET_SIZE(encode(kind, value))


cdef inline int check_key(bytes key) except -1:
    if key is None:
        raise TypeError("a key must be bytes, not None")
    return 0


cdef class PoolStore(PoolGeneration):
    """The entries of one generation, written. Owned by the daemon's one thread; store.pyi has the public methods."""

    cpdef object lookup(self, bytes key, uint32_t kind, uint64_t after_flight=0, object now_ns=None):
        check_key(key)
        self._check_sound()
        return self.find_value(
            key, self._hash(key), kind, after_flight, monotonic_ns() if now_ns is None else now_ns)

    cdef object find_value(self, bytes key, uint32_t hash, uint32_t kind, uint64_t after_flight, uint64_t now):
        """Return the live value of that kind whose flight was sent after the given one, or None; counted either way."""
        cdef gpool_found found
        cdef object value = None
        self._check_sound()
        if self._find(key, hash, &found):
            if is_expired(&found.entry, now):
                self._remove(found.entry.record)
                self._count(&self.header.expirations)
                self._count(&self.header.misses_expired)
            elif gpool_entry_kind(&found.entry) != kind:
                self._count(&self.header.misses_other_kind)
            elif after_flight != 0 and self.records.notes[found.entry.record].flight <= after_flight:
                self._count(&self.header.misses_own_write)
            else:
                value = decode(
                    kind, <const uint8_t *>PyBytes_AS_STRING(self._payload(&found)), found.entry.payload_bytes)
        self._check_damage()
        if value is None:
            self._count(&self.header.misses)
            return None
        self.board.touch(found.entry.record, gpool_entry_tag(&found.entry), now)
        self._count(&self.header.daemon_hits)
        return value

    cdef list find_many(self, list keys, bytes hashes, uint32_t kind, uint64_t after_flight):
        """Return the result of `find_value` for each key, all of them bytes. `hashes` is an array of their hashes."""
        cdef const uint32_t *hash_at = <const uint32_t *>PyBytes_AS_STRING(hashes)
        cdef uint64_t now = monotonic_ns()
        cdef Py_ssize_t count = len(keys)
        cdef Py_ssize_t index
        cdef list values = PyList_New(count)
        for index in range(count):
            Py_INCREF(None)
            PyList_SET_ITEM(values, index, None)
        for index in range(count):
            value = self.find_value(<bytes>keys[index], hash_at[index], kind, after_flight, now)
            if value is not None:
                values[index] = value
        return values

    cpdef list lookup_many(self, list keys, uint32_t kind, uint64_t after_flight=0):
        cdef uint64_t now = monotonic_ns()
        cdef list values = []
        self._check_sound()
        for key in keys:
            values.append(self.find_value(<bytes?>key, self._hash(<bytes>key), kind, after_flight, now))
        return values

    cpdef int insert_many(self, dict entries, uint32_t kind, uint64_t flight=0) except -1:
        cdef int stored = 0
        for key, value in entries.items():
            if value is not None and self.insert(<bytes?>key, kind, value, flight):
                stored += 1
        return stored

    cpdef bint insert(
        self, bytes key, uint32_t kind, object value, uint64_t flight=0, object now_ns=None,
        uint64_t expires_ns=0,
    ) except -1:
        check_key(key)
        self._check_sound()
        return self.put(key, self._hash(key), kind, value, flight, expires_ns, now_ns)

    cdef bint put(
        self, bytes key, uint32_t hash, uint32_t kind, object value, uint64_t flight, uint64_t expires_ns,
        object now_ns=None,
    ) except -1:
        """Store an entry, as `insert` does."""
        self._check_sound()
        cdef uint64_t now = monotonic_ns() if now_ns is None else now_ns
        cdef bytes payload = encode(kind, value)
        cdef uint64_t key_bytes = PyBytes_GET_SIZE(key)
        cdef uint64_t length = PyBytes_GET_SIZE(payload)
        cdef uint64_t charge = gpool_charge(key_bytes, length)
        cdef uint32_t record
        cdef gpool_found found
        cdef bint stored
        if charge > self.largest_bytes or key_bytes + length > 0xFFFFFFFF:
            return False
        if expires_ns != 0 and expires_ns <= now:
            return False
        if self._find(key, hash, &found):
            if self.records.notes[found.entry.record].flight > flight:
                return False
            self._remove(found.entry.record)
        self._check_damage()
        while self.header.charged_bytes + charge > self.bound_bytes:
            if not self._evict(now):
                # Each entry is within the bound, so an empty pool has room for it: there are charges without entries.
                self.view.damaged = True
                self._check_damage()
        # Existing entries make up for memory that the file system refuses: victims, in the policy's order.
        while not self.arena.reserve(gpool_granules(key_bytes, length)):
            if not self._evict(now):
                self._check_damage()
                return False
        record = self.records.allocate()
        while record == NO_RECORD:
            if not self._evict(now):
                self._check_damage()
                return False
            record = self.records.allocate()
        if now_ns is None:
            now = monotonic_ns()  # once more: no access of an evicted entry is later than this one's
        stored = self._store(key, hash, kind, payload, record, charge, flight, expires_ns, now)
        self._check_damage()
        return stored

    cdef uint64_t expiry_from(self, uint64_t sent_ns, int64_t left_ms) noexcept:
        """Return the end of an entry whose life counts from `sent_ns`: by the TTL, or in `left_ms` (-1: no limit)."""
        cdef uint64_t expires = expiry(sent_ns, self.header.ttl_ns)
        if expires == 0:
            expires = never_reached_ns()
        if left_ms < 0 or <uint64_t>left_ms > never_reached_ns() // 1_000_000:
            return expires
        return min(expires, sent_ns + min(<uint64_t>left_ms * 1_000_000, never_reached_ns() - sent_ns))

    cdef bint _store(
        self, bytes key, uint32_t hash, uint32_t kind, bytes payload, uint32_t record, uint64_t charge,
        uint64_t flight, uint64_t expires, uint64_t now,
    ) noexcept:
        """Write the entry, then lead readers to it; there is room for it. False when the index is refused memory."""
        cdef const uint8_t *key_at = <const uint8_t *>PyBytes_AS_STRING(key)
        cdef const uint8_t *payload_at = <const uint8_t *>PyBytes_AS_STRING(payload)
        cdef uint32_t tag = self.records.notes[record].tag
        cdef gpool_entry entry
        cdef gpool_cursor cursor
        cdef uint32_t granule
        if expires == 0:
            expires = expiry(now, self.header.ttl_ns)
        entry.key_bytes = <uint32_t>PyBytes_GET_SIZE(key)
        entry.payload_bytes = <uint32_t>PyBytes_GET_SIZE(payload)
        entry.record = record
        entry.tag_kind = gpool_tag_kind(tag, kind)
        entry.expires_low = <uint32_t>expires
        entry.expires_high = <uint32_t>(expires >> 32)
        entry.checksum = gpool_entry_checksum(kind, key_at, entry.key_bytes, payload_at, entry.payload_bytes)
        granule = self.arena.allocate(sizeof(gpool_entry) + <uint64_t>entry.key_bytes + entry.payload_bytes)
        if granule == 0:
            self.records.release(record)
            return False
        cursor.granule_count = self.arena.runs.granule_count
        gpool_cursor_enter(self.view, granule, &cursor)
        gpool_cursor_write(self.view, &cursor, <const uint8_t *>&entry, sizeof(gpool_entry))
        gpool_cursor_write(self.view, &cursor, key_at, entry.key_bytes)
        gpool_cursor_write(self.view, &cursor, payload_at, entry.payload_bytes)
        self.board.reset(record, tag, now)
        if not self.index.insert(hash, granule):
            self.arena.release(granule, sizeof(gpool_entry) + <uint64_t>entry.key_bytes + entry.payload_bytes)
            self.records.release(record)
            return False
        self.records.notes[record].granule = granule
        self.records.notes[record].hash = hash
        self.records.notes[record].flight = flight
        self.selection.stored(record)
        gpool_store_relaxed_u64(&self.header.charged_bytes, self.header.charged_bytes + charge)
        gpool_store_relaxed_u64(&self.header.entry_count, self.index.entry_count)
        return True

    def flush(self) -> int:
        self._check_open()
        return self.flush_below(self.records.count, self.records.count)[1]

    def flush_below(self, uint32_t above, uint32_t count) -> tuple:
        self._check_sound()
        cdef uint32_t record = min(above, self.records.count)
        cdef uint32_t end = record - min(record, count)
        cdef uint32_t removed = 0
        while record > end:
            record -= 1
            if self.records.notes[record].granule != 0:
                self._remove(record)
                self._check_damage()
                removed += 1
        return record, removed

    cpdef bint forget(self, bytes key, object now_ns=None) except -1:
        check_key(key)
        self._check_open()
        return self.remove_key(key, self._hash(key), monotonic_ns() if now_ns is None else now_ns)

    cdef bint remove_key(self, bytes key, uint32_t hash, uint64_t now) except -1:
        """Do what `forget` does, with the key's hash."""
        cdef gpool_found found
        cdef bint present
        self._check_sound()
        present = self._find(key, hash, &found)
        self._check_damage()
        return present and self._forget(found.entry.record, &found.entry, now)

    cdef bint _forget(self, uint32_t record, gpool_entry *entry, uint64_t now) except -1:
        """Remove an entry by its key. Return whether it was live; an expired one is an expiration (contract C25)."""
        cdef bint live = not is_expired(entry, now)
        self._remove(record)
        self._check_damage()
        self._count(&self.header.forgotten if live else &self.header.expirations)
        return live

    def forget_below(self, bytes prefix, uint32_t above, uint32_t count, now_ns=None) -> tuple:
        cdef uint64_t now = monotonic_ns() if now_ns is None else now_ns
        cdef uint32_t record, end
        cdef uint32_t removed = 0
        cdef gpool_entry entry
        cdef gpool_cursor cursor
        check_key(prefix)
        self._check_sound()
        record = min(above, self.records.count)
        end = record - min(record, count)
        while record > end:
            record -= 1
            if self.records.notes[record].granule == 0:
                continue
            if not gpool_entry_open(self.view, self.records.notes[record].granule, &entry, &cursor):
                self.view.damaged = True
                self._check_damage()
            if entry.key_bytes >= <uint64_t>PyBytes_GET_SIZE(prefix) and gpool_cursor_equals(
                self.view, &cursor, <const uint8_t *>PyBytes_AS_STRING(prefix), PyBytes_GET_SIZE(prefix)
            ):
                if self.removed_hashes is not None and self.records.notes[record].hash < self.removed_below:
                    self.removed_hashes.append(self._hash_of(record))
                removed += self._forget(record, &entry, now)
        return record, removed

    cdef bint counts_entries(self) noexcept:
        """Return whether there is any entry, live or not."""
        return self.header != NULL and self.index.entry_count != 0

    cdef bint holds(self, bytes key, uint32_t hash, uint64_t now) except -1:
        """Return whether there is a live entry of that key, of any kind. Nothing is counted, touched or removed."""
        cdef gpool_found found
        cdef bint present
        if self.index.entry_count == 0:
            return False
        self._check_sound()
        present = self._find(key, hash, &found)
        self._check_damage()
        return present and not is_expired(&found.entry, now)

    cdef bytes key_of_hash(self, uint64_t hash, gpool_found *found):
        """Return the key of the entry whose key has that whole hash, and fill in `found`; None if there is none."""
        cdef const gpool_bucket *bucket
        cdef uint64_t slot
        cdef uint32_t links = 0
        cdef bytes key
        cdef int i
        self._check_sound()
        if self.index.entry_count == 0:
            return None
        bucket = self.index.bucket_for(<uint32_t>hash)
        while bucket != NULL and links <= self.index.overflow_ids.count:
            links += 1
            for i in range(GPOOL_BUCKET_SLOTS):
                slot = gpool_load_relaxed_u64(&bucket.slots[i])
                if slot == 0:
                    break
                if gpool_slot_hash(slot) != <uint32_t>hash:
                    continue
                key = self._key(gpool_slot_granule(slot), found)
                if key is not None and self._whole_hash(key) == hash:
                    return key if self._is_right(found) else None
            bucket = gpool_next_bucket(self.view, bucket)
        return None

    cdef bytes _key(self, uint32_t granule, gpool_found *found):
        """Return the key of the entry at a granule; its payload is then found. None if it is no entry."""
        cdef bytes key
        found.granule = granule
        if not gpool_entry_open(self.view, granule, &found.entry, &found.payload):
            return None
        key = PyBytes_FromStringAndSize(NULL, found.entry.key_bytes)
        if not gpool_cursor_copy(
            self.view, &found.payload, <uint8_t *>PyBytes_AS_STRING(key), found.entry.key_bytes
        ):
            return None
        return key

    cdef uint64_t _whole_hash(self, bytes key) noexcept:
        return gpool_siphash13(
            self.header.secret[0], self.header.secret[1],
            <const uint8_t *>PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key))

    cdef object _hash_of(self, uint32_t record):
        """Return the whole hash of the key of a record's entry; 0 if that is damaged."""
        cdef gpool_found found
        cdef bytes key = self._key(self.records.notes[record].granule, &found)
        return 0 if key is None else self._whole_hash(key)

    cdef bint _evict(self, uint64_t now) noexcept:
        """Remove the policy's victim (contract C10–C12). False when the pool is empty, or damaged."""
        cdef uint32_t record = self.selection.next(self.index.entry_count)
        cdef gpool_entry entry
        cdef gpool_cursor cursor
        if record == NO_RECORD:
            return False
        if not gpool_entry_open(self.view, self.records.notes[record].granule, &entry, &cursor):
            self.view.damaged = True
            return False
        self._remove(record)
        if self.view.damaged:
            return False
        self._count(&self.header.expirations if is_expired(&entry, now) else &self.header.evictions)
        self._prefetch_victim()
        return True

    cdef void _prefetch_victim(self) noexcept:
        """Prefetch the data of the next eviction: in a large pool that is most of its cost."""
        cdef uint32_t record = self.selection.prefetch()
        if record != NO_RECORD:
            # Its note is at hand, because the eviction before this one asked for it.
            gpool_prefetch(self.view.arena + <uint64_t>self.records.notes[record].granule * GPOOL_GRANULE_BYTES)
            gpool_prefetch(self.index.bucket_for(self.records.notes[record].hash))

    cdef void _remove(self, uint32_t record) noexcept:
        """Take an entry from readers, then free its memory. One that is not as it was made stays: damage."""
        cdef uint32_t granule = self.records.notes[record].granule
        cdef gpool_entry entry
        cdef gpool_cursor cursor
        cdef uint64_t charge
        if not gpool_entry_open(self.view, granule, &entry, &cursor):
            self.view.damaged = True
            return
        charge = gpool_charge(entry.key_bytes, entry.payload_bytes)
        if (
            entry.record != record
            or charge > self.header.charged_bytes
            or not self.index.remove(self.records.notes[record].hash, granule)
        ):
            self.view.damaged = True
            return
        self.arena.release(granule, sizeof(gpool_entry) + <uint64_t>entry.key_bytes + entry.payload_bytes)
        self.records.release(record)
        gpool_store_relaxed_u64(&self.header.charged_bytes, self.header.charged_bytes - charge)
        gpool_store_relaxed_u64(&self.header.entry_count, self.index.entry_count)

    cdef uint32_t _hash(self, bytes key) noexcept:
        return <uint32_t>self._whole_hash(key)

    cdef bint _find(self, bytes key, uint32_t hash, gpool_found *found) noexcept:
        self.view.max_chain = self.index.overflow_ids.count + 1  # more is a ring
        return gpool_find(
            self.view, self.index.bucket_for(hash), hash,
            <const uint8_t *>PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key), found) and self._is_right(found)

    cdef bint _is_right(self, gpool_found *found) noexcept:
        """Return whether a found entry is the one that its record's note describes; if not, the pool is damaged."""
        if (
            found.entry.record < self.records.count
            and self.records.notes[found.entry.record].granule == found.granule
            and gpool_charge(found.entry.key_bytes, found.entry.payload_bytes) <= self.header.charged_bytes
        ):
            return True
        self.view.damaged = True
        return False

    cdef bytes _payload(self, gpool_found *found):
        cdef bytes payload = PyBytes_FromStringAndSize(NULL, found.entry.payload_bytes)
        if not gpool_cursor_copy(
            self.view, &found.payload, <uint8_t *>PyBytes_AS_STRING(payload), found.entry.payload_bytes
        ):
            self.view.damaged = True
        return payload

    cdef inline void _count(self, uint64_t *counter) noexcept:
        # The daemon is the only writer of these; relaxed, because readers only add them up.
        if self.counting:
            gpool_store_relaxed_u64(counter, counter[0] + 1)

    def entries(self) -> list:
        self._check_open()
        cdef uint32_t record
        cdef gpool_found found
        result = []
        for record in range(self.records.count):
            if self.records.notes[record].granule != 0:
                key, kind, _ = read_entry(self.view, self.records.notes[record].granule, &found)
                result.append((key, kind))
        return result

    def check_integrity(self) -> None:
        self._check_open()
        check_store(self)
