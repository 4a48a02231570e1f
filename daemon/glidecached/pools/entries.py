"""The entries of a pool, for the request path: lookup, insert, and removal by key."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import cython
from cython.cimports.glidecache_shared.pool.clock import monotonic_ns
from cython.cimports.libc.stdint import int64_t, uint32_t, uint64_t

from glidecache_shared.pool.generation import PoolDamagedError
from glidecached.pools.forgotten_keys import ForgottenKeys
from glidecached.pools.key_hasher import KeyHasher

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecache_shared.pool.store import PoolStore
    from glidecached.advice.pool_sampling import PoolSampling

logger = logging.getLogger(__name__)

_NO_TTL = cython.declare(cython.longlong, -1)
_NO_KEY = cython.declare(cython.longlong, -2)
_MS_NS = cython.declare(cython.longlong, 1_000_000)
_MOST_LEFT_MS = cython.declare(cython.longlong, 1_000_000_000_000)
_PAST_NS = cython.declare(uint64_t, 1)
_MOST_REASON = 200


class PoolEntries:
    """The entries of one pool, in the store of its present generation. For the loop's thread.

    `label` names the pool in the log. `on_damage` is called with the error when the store is found damaged, to replace
    it by a fresh one; it returns whether that was done, and must not raise. A read or a reply that found the damage
    continues as after a miss.
    """

    store: PoolStore

    def __init__(
        self, label: object, store: PoolStore | None, on_damage: Callable[[PoolDamagedError], bool]
    ) -> None:
        self.label = label
        self.hasher = KeyHasher()
        self.forgotten = ForgottenKeys()
        self.generation: cython.Py_ssize_t = 0
        if store is not None:
            self.serve(store)
        self.on_damage = on_damage
        self.ended = False
        self.server_ttl = False
        """True if entries end no later than the server's keys (contract C29): then each flight asks for both."""
        self.ttl_failures: cython.Py_ssize_t = 0
        """The number of replies that were not stored because the server did not say what their keys have left."""
        self.sampling: PoolSampling | None = None
        """The sampling of its traffic for advice; None without."""
        self.life_ns = 0

    def serve(self, store: PoolStore) -> PoolStore:
        """Use the store of the next generation from now on. Return the previous one."""
        previous = self.store
        self.store = store
        self.generation += 1
        self.hasher.use_secret_of(store)
        return previous

    def end(self) -> None:
        """Store nothing any more: the pool has ended. Sessions that use it must attach again."""
        self.ended = True

    def lookup(self, key: bytes, kind: uint32_t, min_flight: uint64_t) -> Any:
        """Return a live value that a flight above `min_flight` brought, or None. The daemon's own lookup (C7a)."""
        return self.find(key, self.hasher.hash(key), kind, min_flight)

    def find(self, key: bytes, key_hash: uint32_t, kind: uint32_t, min_flight: uint64_t) -> Any:
        """Do what `lookup` does, with the key's hash."""
        sampling: PoolSampling | None = self.sampling
        now_ns: uint64_t = monotonic_ns()
        try:
            value = self.store.find_value(key, key_hash, kind, min_flight, now_ns)
        except PoolDamagedError as error:
            self.on_damage(error)
            return None
        if sampling is not None and key_hash < sampling.lookups_below:
            sampling.looked_up(key, kind, value is not None, now_ns)
        return value

    def find_many(self, keys: list[Any], hashes: bytes, kind: uint32_t, min_flight: uint64_t) -> list[Any]:
        """Return the result of `find` for each key."""
        sampling: PoolSampling | None = self.sampling
        try:
            values: list[Any] = self.store.find_many(keys, hashes, kind, min_flight)
        except PoolDamagedError as error:
            self.on_damage(error)
            return [None] * len(keys)
        if sampling is not None and sampling.lookups_below:
            sampling.looked_up_many(keys, hashes, values, kind)
        return values

    def forget(self, key: bytes, number: cython.longlong) -> cython.bint:
        """Remove a key's entry, of whatever kind. Return whether there was a live one (contract C25).

        `number` is from the sequence of flights: those below it do not bring the entry back. Raises `PoolDamagedError`
        if the entry may still be there: the store is damaged and could not be replaced.
        """
        sampling: PoolSampling | None = self.sampling
        now_ns: uint64_t = monotonic_ns()
        self.forgotten.add(key, number)
        if self.ended:
            return False
        try:
            if sampling is not None:
                sampling.forgetting()
            removed: cython.bint = self.store.remove_key(key, self.hasher.hash(key), now_ns)
        except PoolDamagedError as error:
            if not self.on_damage(error):
                raise
            return False
        if sampling is not None:
            # Also where nothing was removed: with a longer TTL, or more room, there would have been an entry.
            sampling.forgot(key, removed, now_ns)
        return removed

    def forget_below(self, prefix: bytes, above: uint32_t, count: uint32_t) -> tuple[int, int]:
        """Remove the entries of keys with a prefix, as `PoolStore.forget_below`; a replaced store has none left.

        The caller has noted the prefix among those `forgotten`. Raises `PoolDamagedError` as `forget`.
        """
        sampling: PoolSampling | None = self.sampling
        if self.ended:
            return 0, 0
        try:
            if sampling is not None:
                return sampling.forget_below(prefix, above, count)  # type: ignore[no-any-return,unused-ignore]
            return self.store.forget_below(prefix, above, count)  # type: ignore[no-any-return,unused-ignore]
        except PoolDamagedError as error:
            if not self.on_damage(error):
                raise
            return 0, 0

    def takes_writes(self) -> cython.bint:
        """Return whether a write to a key that it has would be noted: False while it has no entry."""
        return self.sampling is not None and not self.ended and self.store.counts_entries()

    def written(self, key: bytes) -> None:
        """Note that a client writes to a key, if there is a live entry. Nothing is counted as a lookup, or touched."""
        if self.sampling is None or self.ended:
            return
        try:
            self.sampling.written(key)
        except PoolDamagedError as error:
            self.on_damage(error)

    def insert(self, key: bytes, kind: uint32_t, value: Any, flight: uint64_t) -> None:
        """Store a reply (contract C4, C22). Never raises: the waiting client must get its reply."""
        self.put(key, self.hasher.hash(key), self.generation, kind, value, flight, 0)

    def put(
        self,
        key: bytes,
        key_hash: uint32_t,
        generation: cython.Py_ssize_t,
        kind: uint32_t,
        value: Any,
        flight: uint64_t,
        expires_ns: uint64_t,
    ) -> None:
        """Do what `insert` does, with the key's hash in that generation.

        `expires_ns` is from `expiry`; 0 where the flight did not ask: then the pool's TTL counts from now.
        """
        if self.ended:
            return
        if generation != self.generation:
            if self.server_ttl and not expires_ns:
                return  # sent before the setting was turned on
            key_hash = self.hasher.hash(key)
        try:
            stored = self.store.put(key, key_hash, kind, value, flight, expires_ns)
        except PoolDamagedError as error:
            self.on_damage(error)
            return
        except Exception:
            logger.exception("could not store a reply", extra={"cache": self.label})
            return
        sampling: PoolSampling | None = self.sampling
        if sampling is not None:
            if stored:
                sampling.begin()
            if sampling.heeds(key_hash):
                sampling.stored(key, kind, value, self.life_ns if expires_ns else 0, monotonic_ns())
        if not stored:
            logger.debug("reply not stored", extra={"cache": self.label, "key_bytes": len(key)})

    def expiry(self, sent_ns: uint64_t, left_ms: Any) -> uint64_t:
        """Return when a reply ends, by the answer to PTTL in the flight that was sent at `sent_ns` (contract C29).

        The result is for `put`. It is in the past if the reply must not be stored.
        """
        self.life_ns = 0
        if type(left_ms) is int and left_ms >= _NO_TTL:
            if left_ms > 0:
                self.life_ns = cython.cast(int64_t, min(left_ms, _MOST_LEFT_MS)) * _MS_NS
            return self.store.expiry_from(sent_ns, left_ms)
        if type(left_ms) is int and left_ms == _NO_KEY:
            return _PAST_NS
        self.ttl_failures += 1
        if self.ttl_failures == 1:
            logger.warning(
                "server does not tell keys' TTLs, replies are not stored: server_ttl needs PTTL, "
                "which an ACL must permit (+pttl)",
                extra={"cache": self.label, "reason": str(left_ms)[:_MOST_REASON]},
            )
        return _PAST_NS
