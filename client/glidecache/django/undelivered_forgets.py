"""The forgets that no daemon has taken yet: kept in this process, and read past the cache until they are."""

from __future__ import annotations

import os
import threading
import time
import weakref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    Kept = dict[bytes, object]

MOST_KEYS = 10_000
MOST_BYTES = 1_048_576
_MS = 1_000_000
_LONGEST_PAUSE_NS = 750 * _MS
_PAUSE_OF_DURATION = 10
"""After an attempt that failed, the next one waits ten times as long as it took."""


class UndeliveredForgets:
    """Keys and prefixes that are to be forgotten. For all threads and loops of a process; a fork has its own copy.

    Each is kept with an object of its own. A key that is kept again while it is being forgotten has another one, so
    the end of that forget does not drop it.
    """

    def __init__(self, ttl_ms: int) -> None:
        """Keep none. `ttl_ms`: after it no entry of the pool is left; 0: never."""
        self._ttl_ms = ttl_ms
        self._keys: Kept = {}
        self._prefixes: Kept = {}
        self._bytes = 0
        self._uncached_until_ns: float = 0
        self._next_attempt_ns = 0
        self.lock = threading.Lock()
        self.is_empty = True
        """True while every read may use the cache."""
        _instances.add(self)

    def keep(self, keys: Iterable[bytes], prefix: bytes | None) -> None:
        """Keep keys. Beyond the bound all keys count that begin with `prefix`; without one, all for the pool's TTL."""
        with self.lock:
            self.is_empty = False
            for key in keys:
                if key not in self._keys:
                    self._bytes += len(key)
                self._keys[key] = object()
            if len(self._keys) <= MOST_KEYS and self._bytes <= MOST_BYTES:
                return
            if prefix:
                self._prefixes[prefix] = object()
            else:
                life_ns = self._ttl_ms * _MS if self._ttl_ms else float("inf")
                self._uncached_until_ns = time.monotonic_ns() + life_ns
            self._keys, self._bytes = {}, 0

    def keep_prefix(self, prefix: bytes) -> None:
        """Keep all keys that begin with a prefix."""
        with self.lock:
            self.is_empty = False
            self._prefixes[prefix] = object()

    def has(self, key: bytes) -> bool:
        """Return whether a key must be read past the cache."""
        if self.is_empty:
            return False
        with self.lock:
            if self._uncached_until_ns:
                if time.monotonic_ns() < self._uncached_until_ns:
                    return True
                self._uncached_until_ns = 0
                self._look()
            return key in self._keys or (bool(self._prefixes) and key.startswith(tuple(self._prefixes)))

    def attempt(self) -> tuple[Kept, Kept] | None:
        """Return the kept forgets if an attempt is due; None if there are none, or if it is not."""
        if self.is_empty or time.monotonic_ns() < self._next_attempt_ns:
            return None
        with self.lock:
            return (self._keys.copy(), self._prefixes.copy()) if self._keys or self._prefixes else None

    def failed(self, began_ns: int) -> None:
        """Note that an attempt failed."""
        now_ns = time.monotonic_ns()
        self._next_attempt_ns = now_ns + min(_LONGEST_PAUSE_NS, _PAUSE_OF_DURATION * (now_ns - began_ns))

    def delivered(self, attempt: tuple[Kept, Kept]) -> None:
        """Drop the forgets of an attempt, except those that were kept again since."""
        with self.lock:
            for kept, done in zip((self._keys, self._prefixes), attempt, strict=True):
                for key, mark in done.items():
                    if kept.get(key) is mark:
                        del kept[key]
            self._bytes = sum(map(len, self._keys))
            self._next_attempt_ns = 0
            self._look()

    def _look(self) -> None:
        self.is_empty = not (self._keys or self._prefixes or self._uncached_until_ns)


_instances: weakref.WeakSet[UndeliveredForgets] = weakref.WeakSet()


def _renew_locks() -> None:
    """Give a fork its own locks: another thread of its parent may have held one."""
    for each in _instances:
        each.lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_locks)
