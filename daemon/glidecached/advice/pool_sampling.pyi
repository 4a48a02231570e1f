"""The sampling of one pool's traffic: from what workers leave and what the daemon sees to a `KeySample`."""

from collections.abc import Sequence
from typing import Any

from glidecache_shared.pool.store import PoolStore
from glidecached.advice.key_sample import KeySample

class PoolSampling:
    """The sampling of one pool. For the loop's thread; `turn` must be called after `wait_ms`.

    The events of the workers' ring and the daemon's own are fed in the order of their times. At most 5,000 lookups a
    second are: with more, windows of time are sampled, each of 10,000 lookups (of fewer in the beginning), and in
    between no lookup is.

    `max_bytes`, `ttl_ns`, `policy` and `server_ttl` are the pool's, as for `KeySample`.
    """

    sample: KeySample
    open: bool
    """True while a window is open."""
    not_kept: int
    """Events in windows that the daemon had no room for."""
    invalid: int
    """Samples that cannot be true: of the future, or of nothing that happens."""

    arrived: int
    """Samples of sampled keys that workers have left."""

    surveyed: int
    """Samples of other keys, of surveys."""

    late: int
    """Samples of keys that were sampled when they were left, and are not any more: the threshold has fallen."""

    def __init__(
        self, store: PoolStore, max_bytes: int, ttl_ns: int, policy: str, *, server_ttl: bool
    ) -> None: ...
    def serve(self, store: PoolStore) -> None:
        """Continue with the pool's next generation, before the previous one is closed.

        The sample begins again if the next one has another secret, so that keys have other hashes.
        """

    def set_pool(self, max_bytes: int, ttl_ns: int, policy: str, *, server_ttl: bool) -> None:
        """Take the pool's present settings. If `server_ttl` has changed, the sample begins again."""

    def turn(self, until_ns: int) -> bool:
        """Take what workers have left, and feed what has happened, until that time. Return whether some is left."""

    @property
    def wait_ms(self) -> float:
        """The time until the next turn, in ms: 250, or less where samples or events would be lost until then."""

    def looked_up(self, key: bytes, kind: int, hit: bool, now_ns: int) -> None:
        """Note a lookup of the daemon's own. For compiled code, as all down to `written`."""

    lookups_below: int
    changes_below: int
    def heeds(self, key_hash: int) -> bool: ...
    def looked_up_many(self, keys: list[bytes], hashes: bytes, values: list[Any], kind: int) -> None: ...
    def stored(self, key: bytes, kind: int, value: Any, life_ns: int, now_ns: int) -> None: ...
    def begin(self) -> None: ...
    def forgetting(self) -> None: ...
    def forgot(self, key: bytes, removed: bool, now_ns: int) -> None: ...
    def forget_below(self, prefix: bytes, above: int, count: int) -> tuple[int, int]: ...
    def written(self, key: bytes) -> int: ...
    ended: bool
    """True when nothing is sampled any more."""

    def fail(self, error: Exception) -> None:
        """Log an error of the sampling's own, and stop. All of the above do that: no request fails with them.

        They raise `PoolDamagedError` alone, which is the pool's.
        """

    def stop(self) -> None:
        """Sample nothing any more. Idempotent."""

    def flushed(self) -> None:
        """Note that all entries are removed."""

    @property
    def lost(self) -> int:
        """The number of events that did not arrive: the ring was full, or a worker ended while it left one."""

    @property
    def memory_bytes(self) -> int:
        """The memory that the sampling has now, with the ring's."""

    @property
    def cached_key_writes(self) -> int:
        """The writes of this host's clients to keys that were in the pool at that moment."""

    def report(
        self,
        sizes_kb: Sequence[int] | None = None,
        ttls_ms: Sequence[int] | None = None,
        *,
        names: bool = False,
    ) -> dict[str, Any]:
        """Return the report of `KeySample`, of every lookup that was made before, and of writes to cached keys.

        `written_prefixes` is None unless `names`.
        """
