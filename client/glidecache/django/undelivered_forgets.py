"""The forgets that no daemon has taken yet: kept in this process, and read past the cache until they are."""

from __future__ import annotations

import time

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
        self.is_empty = True
        """Whether every read may use the cache."""

    def keep(self, keys: Iterable[bytes], prefix: bytes | None) -> None:
        """Keep keys. Beyond the bound all keys count that begin with `prefix`; without one, all for the pool's TTL."""
        for key in keys:
            if key not in self._keys:
                self._bytes += len(key)
            self._keys[key] = object()
        self.is_empty = False
        if len(self._keys) <= MOST_KEYS and self._bytes <= MOST_BYTES:
            return
        if prefix:
            self.keep_prefix(prefix)
        else:
            self._uncached_until_ns = (
                time.monotonic_ns() + self._ttl_ms * _MS if self._ttl_ms else float("inf")
            )
        self._keys, self._bytes = {}, 0

    def keep_prefix(self, prefix: bytes) -> None:
        """Keep all keys that begin with a prefix."""
        self._prefixes[prefix] = object()
        self.is_empty = False

    def has(self, key: bytes) -> bool:
        """Return whether a key must be read past the cache."""
        if self._uncached_until_ns:
            if time.monotonic_ns() < self._uncached_until_ns:
                return True
            self._uncached_until_ns = 0
            self._look()
        return key in self._keys or (bool(self._prefixes) and key.startswith(tuple(self._prefixes)))

    def may_attempt(self) -> bool:
        """Return whether something is kept, and now is a time to deliver it."""
        return bool(self._keys or self._prefixes) and time.monotonic_ns() >= self._next_attempt_ns

    def begin(self) -> tuple[Kept, Kept]:
        """Return what is kept, for an attempt to deliver it."""
        return self._keys.copy(), self._prefixes.copy()

    def failed(self, began_ns: int) -> None:
        """Note that an attempt failed."""
        now_ns = time.monotonic_ns()
        self._next_attempt_ns = now_ns + min(_LONGEST_PAUSE_NS, _PAUSE_OF_DURATION * (now_ns - began_ns))

    def delivered(self, attempt: tuple[Kept, Kept]) -> None:
        """Drop what an attempt had, unless it has been kept again since."""
        for kept, done in zip((self._keys, self._prefixes), attempt, strict=True):
            for key, mark in done.items():
                if kept.get(key) is mark and kept.pop(key, None) is not None and kept is self._keys:
                    self._bytes -= len(key)
        self._next_attempt_ns = 0
        self._look()

    def _look(self) -> None:
        self.is_empty = True
        if (
            self._keys or self._prefixes or self._uncached_until_ns
        ):  # also what another thread has kept just now
            self.is_empty = False
