"""A whole trace through a pool of some bound, TTL and policy, in plain Python: the judge of what the daemon predicts.

It follows the contract's rules (C6 to C12) one lookup after the other. A miss is stored at once. An expired entry takes
room until a lookup or an eviction meets it. `tests/property/test_exact_replay.py` holds it against the real pool.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Protocol

from glidecache_shared.pool.store import charge_bytes

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(slots=True)
class ReplayResult:
    """The counts of a replay."""

    lookups: int = 0
    hits: int = 0
    stale: int = 0
    """Hits whose value had changed on the server since it was stored."""
    evictions: int = 0
    expirations: int = 0

    @property
    def hit_rate(self) -> float:
        """The share of lookups that hit; 0 without any."""
        return self.hits / self.lookups if self.lookups else 0.0

    @property
    def stale_reads(self) -> float:
        """The share of lookups that hit an outdated value."""
        return self.stale / self.lookups if self.lookups else 0.0


class ReplayOrder(Protocol):
    """The policy's order of the keys that have entries."""

    def add(self, key: int) -> None: ...
    def touch(self, key: int) -> None: ...
    def discard(self, key: int) -> None: ...
    def pop_victim(self) -> int: ...


class RecencyOrder:
    """LRU: the victim is the key whose last access is longest ago."""

    def __init__(self) -> None:
        self._keys: OrderedDict[int, None] = OrderedDict()
        self.touch = self._keys.move_to_end

    def add(self, key: int) -> None:
        self._keys[key] = None

    def discard(self, key: int) -> None:
        del self._keys[key]

    def pop_victim(self) -> int:
        return self._keys.popitem(last=False)[0]


class FrequencyOrder:
    """LFU: the victim has the fewest accesses since it was stored; of several, the one touched longest ago."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._keys: dict[int, OrderedDict[int, None]] = {}
        self._least = 1

    def add(self, key: int) -> None:
        self._counts[key] = 1
        self._keys.setdefault(1, OrderedDict())[key] = None
        self._least = 1

    def touch(self, key: int) -> None:
        count = self._counts[key]
        self._leave(key, count)
        self._counts[key] = count + 1
        self._keys.setdefault(count + 1, OrderedDict())[key] = None

    def discard(self, key: int) -> None:
        self._leave(key, self._counts.pop(key))

    def pop_victim(self) -> int:
        if self._least not in self._keys:
            self._least = min(self._keys)
        key = next(iter(self._keys[self._least]))
        self.discard(key)
        return key

    def _leave(self, key: int, count: int) -> None:
        keys = self._keys[count]
        del keys[key]
        if not keys:
            del self._keys[count]


ORDERS: dict[str, Callable[[], ReplayOrder]] = {"LRU": RecencyOrder, "LFU": FrequencyOrder}


class ExactReplay:
    """A pool that is replayed: `max_bytes` (None: no bound), `ttl_ns` (0: none), `policy` `"LRU"` or `"LFU"`.

    `changed_between(key, after_ns, until_ns)` says whether the server's value changed in that time; None: never.
    `life(key, at_ns)` is what the server leaves the key to live (contract C29), in ns; None: no limit.
    """

    def __init__(
        self,
        max_bytes: int | None,
        ttl_ns: int,
        policy: str,
        changed_between: Callable[[int, int, int], bool] | None = None,
        life: Callable[[int, int], int] | None = None,
    ) -> None:
        self.max_bytes = max_bytes
        self.ttl_ns = ttl_ns
        self.result = ReplayResult()
        self.charged_bytes = 0
        self.entries: dict[int, tuple[int, int, float]] = {}
        """Of each key: its charge, when it was stored, when it ends."""
        self._order = ORDERS[policy]()
        self._changed_between = changed_between
        self._life = life

    def lookup(self, time_ns: int, key: int, key_bytes: int, payload_bytes: int) -> bool:
        """Return whether the lookup hits. A miss is stored."""
        self.result.lookups += 1
        entry = self.entries.get(key)
        if entry is not None:
            if time_ns < entry[2]:
                self.result.hits += 1
                self._order.touch(key)
                if self._changed_between is not None and self._changed_between(key, entry[1], time_ns):
                    self.result.stale += 1
                return True
            self._order.discard(key)
            self._remove(key)
            self.result.expirations += 1
        self.store(time_ns, key, charge_bytes(key_bytes, payload_bytes))
        return False

    def store(self, time_ns: int, key: int, charge: int) -> None:
        """Store an entry that is not there, and evict what it needs the room of."""
        if self.max_bytes is not None:
            if charge > self.max_bytes:
                return
            while self.charged_bytes + charge > self.max_bytes:
                victim = self._order.pop_victim()
                if time_ns >= self.entries[victim][2]:
                    self.result.expirations += 1
                else:
                    self.result.evictions += 1
                self._remove(victim)
        ends_ns = time_ns + self.ttl_ns if self.ttl_ns else inf
        if self._life is not None:
            ends_ns = min(ends_ns, time_ns + self._life(key, time_ns))
        self.entries[key] = (charge, time_ns, ends_ns)
        self.charged_bytes += charge
        self._order.add(key)

    def _remove(self, key: int) -> None:
        self.charged_bytes -= self.entries.pop(key)[0]
