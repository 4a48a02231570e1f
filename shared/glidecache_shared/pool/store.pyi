"""Typing of the compiled store; the implementation is in `store.pyx`."""

from collections.abc import Iterable, Mapping
from typing import Any

from glidecache_shared.pool.generation import PoolGeneration

Value = bytes | Mapping[bytes, bytes] | Iterable[bytes]

class PoolStore(PoolGeneration):
    """The only writer of one pool generation: its entries, by the policy and within the bound.

    Lookups, inserts, flushes, `beat` and `hottest` raise `PoolDamagedError` once the file is found to contradict what
    the store knows of it; from then on always.
    """

    def lookup(self, key: bytes, kind: int, after_flight: int = 0, now_ns: int = ...) -> object:
        """Look a key up in the daemon, for a request that did not hit in the worker (contract C7a).

        A live entry of that kind, stored by a flight numbered above `after_flight` (0: by any), is touched, counted as
        a hit, and returned as `bytes`, `dict[bytes, bytes]` or `set[bytes]`. Otherwise None, counted as a miss. An
        expired entry is removed and counts as an expiration.
        """

    def insert(
        self, key: bytes, kind: int, value: Value, flight: int = 0, now_ns: int = ..., expires_ns: int = 0
    ) -> bool:
        """Store a successful reply (contract C4, C8–C12), evicting victims in policy order until it fits.

        `value`: bytes for STRING; a mapping, or a flat sequence field, value, … for HASH; an iterable of bytes for SET.
        `flight` numbers the request that brought it, in the order of sending, from 1: an entry that a later flight
        stored is not replaced (contract C22). `expires_ns` (CLOCK_MONOTONIC) is its end; 0: by the pool's TTL from now.
        Returns whether it was stored. False when it is over the bound (contract C9), when its end has passed, when a
        later flight's entry exists, or when the file system is full and nothing was left to evict.
        """

    def find_value(self, key: bytes, hash: int, kind: int, after_flight: int, now: int) -> Any:
        """Do what `lookup` does, with the key's hash. For compiled code, like `find_many` and `put`."""

    def find_many(self, keys: list[bytes], hashes: bytes, kind: int, after_flight: int) -> list[Any]:
        """Return the result of `find_value` for each key; `hashes` is an array of their hashes."""

    def put(self, key: bytes, hash: int, kind: int, value: Any, flight: int, expires_ns: int) -> bool:
        """Do what `insert` does, with the key's hash."""

    def expiry_from(self, sent_ns: int, left_ms: int) -> int:
        """Return the end of an entry whose life counts from `sent_ns`: by the TTL, or in `left_ms` if that is sooner.

        `left_ms` -1 is no limit; 2^64 - 1 is never. For compiled code.
        """

    def counts_entries(self) -> bool:
        """Return whether there is any entry, live or not. For compiled code."""

    def lookup_many(self, keys: list[bytes], kind: int, after_flight: int = 0) -> list[object]:
        """Do as `lookup` for each key, in order."""

    def insert_many(self, entries: dict[bytes, Any], kind: int, flight: int = 0) -> int:
        """Do as `insert` for each entry whose value is not None, in order. Return how many were stored."""

    def flush(self) -> int:
        """Remove all entries, counting neither evictions nor expirations. Return how many there were."""

    def flush_below(self, above: int, count: int) -> tuple[int, int]:
        """Flush one part after the other: up to `count` records below number `above`.

        Returns below which number the next part begins, 0 at the end, and how many entries there were. Downwards,
        because entries move to lower records only: none is passed over.
        """

    def forget(self, key: bytes, now_ns: int = ...) -> bool:
        """Remove a key's entry, of whatever kind. Return whether there was a live one (contract C25).

        It counts as forgotten, an expired entry as an expiration. No reader finds it from then on, in any process.
        """

    def remove_key(self, key: bytes, hash: int, now: int) -> bool:
        """Do what `forget` does, with the key's hash. For compiled code."""

    def forget_below(self, prefix: bytes, above: int, count: int, now_ns: int = ...) -> tuple[int, int]:
        """Forget the keys that begin with `prefix`, among up to `count` records below number `above`.

        Returns below which number the next part begins, 0 at the end, and how many live entries there were.
        """

    def check_integrity(self) -> None:
        """Walk the whole pool. Raises `AssertionError` naming the first contradiction. For tests and `doctor`."""

    def entries(self) -> list[tuple[bytes, int]]:
        """Return every entry's (key, kind), in no order."""

def charge_bytes(key_bytes: int, payload_bytes: int) -> int:
    """Return an entry's charge by the lengths of its key and payload alone (C8; docs/design/pool-layout.md)."""

def payload_bytes(kind: int, value: Value) -> int:
    """Return the length of the flat payload that `value` is stored as."""
