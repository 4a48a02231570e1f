"""The pool of contract C2–C12, C22 and C25 in plain Python: slow, obvious, and the judge of the compiled one.

Goals: every rule stands in one place, in the contract's own words; the clock is an argument; victims are found by
brute force. Non-goals: speed, shared memory, concurrency. The charge of an entry is not modelled but taken from the
store's own formula, which `tests/unit/pool/test_charge.py` holds to C8.
"""

from __future__ import annotations

from dataclasses import dataclass

from glidecache_shared.pool.reader import PoolMetrics
from glidecache_shared.pool.store import charge_bytes, payload_bytes
from glidecache_shared.protocol import HASH, STRING

NS_PER_MS = 1_000_000

ModelValue = bytes | dict[bytes, bytes] | frozenset[bytes]


@dataclass(slots=True)
class Entry:
    """What the model knows of one key."""

    kind: int
    value: ModelValue
    charge: int
    expires_ns: int | None
    flight: int
    last_access_ns: int
    count: int = 1

    def expired(self, now_ns: int) -> bool:
        """C6: expired from `stored_at + ttl` on, that instant included."""
        return self.expires_ns is not None and now_ns >= self.expires_ns

    def touch(self, now_ns: int) -> None:
        """C11: one access at its own time, which may be reported late."""
        self.last_access_ns = max(self.last_access_ns, now_ns)
        self.count += 1


class PoolModel:
    """One pool: an entry per key, a bound, a policy, a TTL, counters.

    `max_bytes` is the bound in bytes, `entry_ttl_ms` 0 for entries that never expire, `eviction_policy` `"LRU"` or
    `"LFU"`. Every `now_ns` is a time in ns of the same clock.
    """

    def __init__(self, *, max_bytes: int, entry_ttl_ms: int, eviction_policy: str) -> None:
        self.max_bytes = max_bytes
        self.eviction_policy = eviction_policy
        self.live: dict[bytes, Entry] = {}
        self.charged_bytes = 0
        self._ttl_ns = entry_ttl_ms * NS_PER_MS
        self._hits = self._misses = self._evictions = self._expirations = self.forgotten = 0

    def read(self, key: bytes, kind: int, now_ns: int) -> ModelValue | None:
        """A worker's lookup: a hit is counted and touches (C7a); nothing else leaves a trace."""
        entry = self.live.get(key)
        if entry is None or entry.kind != kind or entry.expired(now_ns):
            return None
        entry.touch(now_ns)
        self._hits += 1
        return entry.value

    def lookup(self, key: bytes, kind: int, after_flight: int, now_ns: int) -> ModelValue | None:
        """The daemon's lookup: removes what it meets expired, counts a hit or a miss (C2, C3, C7, C7a)."""
        entry = self.live.get(key)
        if entry is not None and entry.expired(now_ns):
            self._remove(key)
            self._expirations += 1
        elif entry is not None and entry.kind == kind and entry.flight > after_flight:
            entry.touch(now_ns)
            self._hits += 1
            return entry.value
        self._misses += 1
        return None

    def insert(
        self,
        key: bytes,
        kind: int,
        value: ModelValue,
        flight: int,
        now_ns: int,
        expires_ns: int | None = None,
    ) -> bool:
        """Store a reply (C4), unless it is over the bound (C9) or a later flight's entry is there (C22).

        With an end of its own (C29) it is not stored from that instant on.
        """
        charge = charge_of(key, kind, value)
        standing = self.live.get(key)
        if charge > self.max_bytes or (standing is not None and standing.flight > flight):
            return False
        if expires_ns is None and self._ttl_ns:
            expires_ns = now_ns + self._ttl_ns
        elif expires_ns is not None and expires_ns <= now_ns:
            return False
        if standing is not None:
            self._remove(key)
        while self.charged_bytes + charge > self.max_bytes:
            self._evict(now_ns)
        self.live[key] = Entry(
            kind=kind,
            value=value,
            charge=charge,
            expires_ns=expires_ns,
            flight=flight,
            last_access_ns=now_ns,
        )
        self.charged_bytes += charge
        return True

    def set_ttl(self, entry_ttl_ms: int) -> None:
        """Another TTL, for entries stored from now on (C6)."""
        self._ttl_ns = entry_ttl_ms * NS_PER_MS

    def set_bound(self, max_bytes: int, now_ns: int) -> None:
        """Another bound: what alone is over it leaves first, then victims in order, until the rest fits (C8 to C12)."""
        self.max_bytes = max_bytes
        for key in [key for key, entry in self.live.items() if entry.charge > max_bytes]:
            self._leave(key, now_ns)
        while self.charged_bytes > max_bytes:
            self._evict(now_ns)

    def flush(self) -> int:
        """Remove everything, counting neither evictions nor expirations (C13)."""
        removed = len(self.live)
        self.live.clear()
        self.charged_bytes = 0
        return removed

    def forget(self, key: bytes, now_ns: int) -> bool:
        """Remove one key's entry: forgotten where it is live, an expiration where it is expired (C25)."""
        entry = self.live.get(key)
        if entry is None:
            return False
        live = not entry.expired(now_ns)
        self._remove(key)
        if live:
            self.forgotten += 1
        else:
            self._expirations += 1
        return live

    def forget_prefix(self, prefix: bytes, now_ns: int) -> int:
        """Do so for all keys that begin with a prefix; how many were live."""
        return sum([self.forget(key, now_ns) for key in list(self.live) if key.startswith(prefix)])

    def metrics(self) -> PoolMetrics:
        """The counters of C13; an expired entry that nobody met yet still counts as an entry (C7)."""
        return PoolMetrics(self._hits, self._misses, len(self.live), self._evictions, self._expirations)

    def entries(self) -> set[tuple[bytes, int]]:
        """Every entry's key and kind."""
        return {(key, entry.kind) for key, entry in self.live.items()}

    def victim_order(self) -> list[bytes]:
        """Every key, in the order in which they would leave as victims (C11)."""
        return sorted(self.live, key=self._priority)

    def _evict(self, now_ns: int) -> None:
        self._leave(min(self.live, key=self._priority), now_ns)

    def _leave(self, victim: bytes, now_ns: int) -> None:
        if self.live[victim].expired(now_ns):
            self._expirations += 1
        else:
            self._evictions += 1
        self._remove(victim)

    def _priority(self, key: bytes) -> tuple[int, int]:
        entry = self.live[key]
        return (entry.count if self.eviction_policy == "LFU" else 0, entry.last_access_ns)

    def _remove(self, key: bytes) -> None:
        self.charged_bytes -= self.live.pop(key).charge


def charge_of(key: bytes, kind: int, value: ModelValue) -> int:
    """The store's charge for this entry, in bytes."""
    return charge_bytes(len(key), payload_bytes(kind, value))


def longest_payload(key_bytes: int, max_bytes: int) -> int:
    """The longest payload whose entry, under a key of `key_bytes`, is charged `max_bytes` or less; -1 if none is.

    Found by bisection: the charge is monotonic in the payload's length.
    """
    low, high = -1, max_bytes
    while low < high:
        middle = (low + high + 1) // 2
        if charge_bytes(key_bytes, middle) <= max_bytes:
            low = middle
        else:
            high = middle - 1
    return low


def numbered_value(kind: int, number: int, size: int) -> ModelValue:
    """A value of `kind` with about `size` bytes of content, different for each number where the size leaves room.

    A size of 0 gives the empty value of the kind. Members are one to seven, and the empty one.
    """
    if kind == STRING:
        return _text(number, size)
    count = 1 + number % 7
    members = [*(_text(number * 64 + index, size // count) for index in range(count)), b""] if size else []
    if kind == HASH:
        return {b"%d" % index: member for index, member in enumerate(members)}
    return frozenset(members)


def _text(number: int, size: int) -> bytes:
    unit = b"%d\x00\xff|" % number
    return (unit * (size // len(unit) + 1))[:size]


def as_model_value(value: object) -> object:
    """What a lookup returned, comparable with a model's value."""
    return frozenset(value) if isinstance(value, set) else value
