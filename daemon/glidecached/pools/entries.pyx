"""The request path's view of a pool (see entries.pyi)."""

import logging

from libc.stdint cimport uint32_t, uint64_t

from glidecache_shared.pool.clock cimport monotonic_ns

from glidecache_shared.pool.pool_errors import PoolDamagedError

logger = logging.getLogger(__name__)


cdef class PoolEntries:
    cpdef object lookup(self, bytes key, uint32_t kind, uint64_t floor):
        try:
            return self._store.find_value(key, kind, floor, monotonic_ns())
        except PoolDamagedError as error:
            self.replace_damaged(error)
            return None

    cpdef list lookup_many(self, list keys, uint32_t kind, uint64_t floor):
        try:
            return self._store.lookup_many(keys, kind, floor)
        except PoolDamagedError as error:
            self.replace_damaged(error)
            return [None] * len(keys)

    def store(self, bytes key not None, uint32_t kind, value, uint64_t flight):
        if self.ended:
            return
        try:
            stored = self._store.keep(key, kind, value, flight, None)
        except PoolDamagedError as error:
            self.replace_damaged(error)
            return
        except Exception:
            logger.exception("%s could not store a reply", self.key)
            return
        if not stored:
            logger.debug("%s did not store the reply for a key of %d bytes", self.key, len(key))

    def store_many(self, dict values not None, uint32_t kind, uint64_t flight):
        if self.ended:
            return
        try:
            self._store.insert_many(values, kind, flight)
        except PoolDamagedError as error:
            self.replace_damaged(error)
        except Exception:
            logger.exception("%s could not store replies", self.key)
