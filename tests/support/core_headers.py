"""The core's own C headers, driven step by step: a reader that stops where a test wants it, and its hash.

The headers are compiled as they stand into a small library, at test time, with the compiler that built the core. So a
test can do what a reader does, with anything it likes between two steps that a reader takes within nanoseconds.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import shlex
import subprocess
import sysconfig
from typing import TYPE_CHECKING, NamedTuple, Self

from support.process import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from glidecache_shared.pool.store import PoolStore

_SOURCE = r"""
#include "lookup.h"
#include "siphash.h"
#include "touch.h"

/* All that a reader does before its touch, on a pool at rest: the entry's record and tag. */
bool find_and_stop(uint8_t *pool, const uint8_t *key, uint64_t key_bytes, uint32_t *record, uint32_t *tag) {
    gpool_header *header = (gpool_header *)pool;
    gpool_view view = {
        .header = header,
        .primary = (gpool_bucket *)(pool + GPOOL_HEADER_BYTES),
        .overflow = (gpool_bucket *)(pool + header->overflow_offset),
        .arena = pool + header->arena_offset,
        .max_buckets = (uint32_t)header->max_buckets,
        .max_overflow = (uint32_t)header->max_overflow,
        .max_granules = (uint32_t)header->max_granules,
        .max_records = (uint32_t)header->max_records,
        .max_chain = UINT32_MAX,
    };
    uint32_t hash = (uint32_t)gpool_siphash13(header->secret[0], header->secret[1], key, key_bytes);
    gpool_bucket *bucket = &view.primary[gpool_bucket_of(hash, header->bucket_count)];
    gpool_found found;
    if (!gpool_find(&view, bucket, hash, key, key_bytes, &found))
        return false;
    *record = found.entry.record;
    *tag = gpool_entry_tag(&found.entry);
    return true;
}

static gpool_record *record_at(uint8_t *board, uint32_t record) {
    return (gpool_record *)(board + GPOOL_BOARD_HEADER_BYTES) + gpool_place(record);
}

/* A reader's last step. */
void touch(uint8_t *board, uint32_t record, uint32_t tag, uint64_t now_ns, bool is_lfu) {
    gpool_touch(record_at(board, record), tag, now_ns, is_lfu);
}

uint64_t last_access_of(uint8_t *board, uint32_t record) { return record_at(board, record)->last_access_ns; }
uint64_t count_of(uint8_t *board, uint32_t record) { return gpool_record_count(record_at(board, record)->tag_count); }

/* The next number from `from` on whose eight bytes, as a key, have zeros in the lowest `bits` of the hash. */
uint64_t next_colliding(const uint64_t *secret, uint64_t from, uint32_t bits) {
    while (gpool_siphash13(secret[0], secret[1], (const uint8_t *)&from, sizeof from) & ((UINT64_C(1) << bits) - 1))
        from++;
    return from;
}

/* How many buckets are in use, and the sum over all entries of the buckets that finding each has to look at. */
void measure_chains(uint8_t *pool, uint64_t *buckets, uint64_t *looks, uint64_t *longest) {
    gpool_header *header = (gpool_header *)pool;
    gpool_bucket *overflow = (gpool_bucket *)(pool + header->overflow_offset);
    *buckets = *looks = *longest = 0;
    for (uint32_t number = 0; number < header->bucket_count; number++) {
        gpool_bucket *bucket = (gpool_bucket *)(pool + GPOOL_HEADER_BYTES) + number;
        for (uint64_t depth = 1;; depth++) {
            for (int i = 0; i < GPOOL_BUCKET_SLOTS; i++)
                *looks += bucket->slots[i] != 0 ? depth : 0;
            *buckets += 1;
            *longest = depth > *longest ? depth : *longest;
            if (bucket->overflow == 0)
                break;
            bucket = overflow + (bucket->overflow - 1);
        }
    }
}
"""


class Stopped(NamedTuple):
    """Where a reader stands that has copied its value and has not touched yet: the entry's record and its tag."""

    record: int
    tag: int


class Chains(NamedTuple):
    """The shape of an index: buckets in use, buckets looked at to find each entry once, the longest chain's buckets."""

    buckets: int
    looks: int
    longest: int


class CoreHeaders:
    """The compiled headers. Raises `RuntimeError` with the compiler's words where they do not compile."""

    def __init__(self, directory: Path) -> None:
        source, library = directory / "core_headers.c", directory / "core_headers.so"
        source.write_text(_SOURCE)
        compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
        headers = ROOT / "shared" / "glidecache_shared" / "pool"
        options = ["-std=gnu11", "-O2", "-fno-strict-aliasing", "-shared", "-fPIC", f"-I{headers}"]
        done = subprocess.run(
            [*compiler, *options, str(source), "-o", str(library)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            message = f"the core's headers do not compile by themselves:\n{done.stderr}"
            raise RuntimeError(message)
        self.library = ctypes.CDLL(str(library))
        for name in ("last_access_of", "count_of", "next_colliding"):
            getattr(self.library, name).restype = ctypes.c_uint64
        self.library.find_and_stop.restype = ctypes.c_bool

    def colliding_keys(self, secret: bytes, count: int, bits: int) -> list[bytes]:
        """So many keys of eight bytes whose hashes under `secret` agree in their lowest `bits`."""
        words = (ctypes.c_uint64 * 2).from_buffer_copy(secret)
        keys, number = [], 0
        for _ in range(count):
            number = self.library.next_colliding(words, ctypes.c_uint64(number), bits)
            keys.append(number.to_bytes(8, "little"))
            number += 1
        return keys

    def chains(self, store: PoolStore) -> Chains:
        """The shape of the index of a pool at rest."""
        numbers = [ctypes.c_uint64() for _ in Chains._fields]
        with Mapped(store.pool_path) as pool:
            self.library.measure_chains(pool.address, *map(ctypes.byref, numbers))
        return Chains(*(number.value for number in numbers))


class Mapped:
    """A file mapped readable and writable, as a hostile worker of the same user could; a context manager."""

    def __init__(self, path: str) -> None:
        with open(path, "r+b") as file:  # noqa: PTH123  # a path as the store gives it
            self._map = mmap.mmap(file.fileno(), 0)
        self._anchor: ctypes.c_char | None = ctypes.c_char.from_buffer(self._map)
        self.address = ctypes.c_void_p(ctypes.addressof(self._anchor))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._anchor = None
        self._map.close()


class StoppingReader:
    """A reader of a pool at rest that stops between copying a value and touching its record."""

    def __init__(self, headers: CoreHeaders, pool: Mapped, board: Mapped, *, is_lfu: bool) -> None:
        self._library = headers.library
        self._pool = pool
        self._board = board
        self._is_lfu = is_lfu

    def stop_at(self, key: bytes) -> Stopped:
        """Find `key` and stop. Raises `KeyError` where it is not there."""
        record, tag = ctypes.c_uint32(), ctypes.c_uint32()
        if not self._library.find_and_stop(
            self._pool.address, key, ctypes.c_uint64(len(key)), ctypes.byref(record), ctypes.byref(tag)
        ):
            raise KeyError(key)
        return Stopped(record.value, tag.value)

    def go_on(self, stopped: Stopped, now_ns: int) -> None:
        """Touch, however much has happened since."""
        self._library.touch(
            self._board.address, stopped.record, stopped.tag, ctypes.c_uint64(now_ns), self._is_lfu
        )

    def count(self, record: int) -> int:
        """The access count that stands in a record."""
        count: int = self._library.count_of(self._board.address, record)
        return count

    def last_access_ns(self, record: int) -> int:
        """The last access that stands in a record."""
        time_ns: int = self._library.last_access_of(self._board.address, record)
        return time_ns
