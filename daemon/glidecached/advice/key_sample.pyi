"""The sample of one pool's keys, with all that is learnt from it. For the daemon's one thread; not after a fork."""

from collections.abc import Iterable, Sequence
from typing import Any

LOOKUP_HIT: int
LOOKUP_MISS: int
STORE: int
KNOWN: int
WRITE: int
FORGET: int
FLUSH: int
PAUSE: int
RESUME: int

class KeySample:
    """At most 7,168 keys of a pool, and simulations of pools of other sizes, TTLs and policies on them.

    `max_bytes` is the pool's bound, `ttl_ns` its TTL (0: none), `policy` `"LRU"` or `"LFU"`. With `server_ttl`, entries
    also end with their keys on the server: stores then carry `life_ns`.
    """

    def __init__(self, max_bytes: int, ttl_ns: int, policy: str, server_ttl: bool = False) -> None: ...
    @property
    def threshold(self) -> int:
        """The number, 0 to 2**32, below which the low 32 bits of a sampled key's hash are. Publish it after feeding."""

    @property
    def memory_bytes(self) -> int:
        """The memory that the sample has allocated."""

    def feed_events(self, events: Iterable[Sequence[int]]) -> None:
        """Take events, in the order of their times.

        Each is `(what, hash, time_ns)`, and for stores and known entries also
        `(…, digest, kind, key_bytes, payload_bytes, life_ns)`.
        """

    def survey_hits(self, hashes: Iterable[int]) -> None:
        """Take the hits of a survey, each of any key by its 64-bit hash: so the hottest are known, sampled or not."""

    def heeds_changes(self, hash: int) -> bool:
        """Return whether stores of a key and writes to it are wanted: it is sampled, or may be hot."""

    def count(self, lookups: int, misses: int, seconds: float) -> None:
        """Add exact totals of the whole pool over the time that was sampled, since the last call."""

    def count_all(self, lookups: int, misses: int, seconds: float) -> None:
        """Add exact totals of the whole pool over all the time, between windows too, since the last call.

        Without any call, all the time was sampled.
        """

    def set_pool(self, max_bytes: int, ttl_ns: int, policy: str) -> None:
        """The pool has another bound, TTL or policy: simulate around these, from the keys that are known."""

    def report(
        self, sizes_kb: Sequence[int] | None = None, ttls_ms: Sequence[int] | None = None, lost: int = 0
    ) -> dict[str, Any]:
        """Return the figures and the advice, as one cache's part of `glidecache advise --json`.

        `sizes_kb` and `ttls_ms` choose the points (`ttls_ms`: 0 for no TTL); `lost` is the number of events that did
        not arrive. Raises `ValueError` for a point that is not positive.
        """
