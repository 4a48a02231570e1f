"""The metrics of this process's caches for OpenTelemetry: read from the pools when they are asked for, never counted.

Imported only where metrics are on.
"""

from __future__ import annotations

from opentelemetry.metrics import Observation

from glidecache.core.tracing import connection_attributes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from opentelemetry.metrics import CallbackOptions, Meter

    from glidecache.core.client_base import ClientBase
    from glidecache_shared.pool.reader import PoolReader

    Attributes = tuple[tuple[str, str | int], ...]

_COUNTERS = (
    ("hits", "hits", "{hit}", "Lookups that the cache answered"),
    ("misses", "misses", "{miss}", "Lookups that the cache did not answer"),
    ("evictions", "evictions", "{entry}", "Live entries evicted to make room"),
    ("expirations", "expirations", "{entry}", "Entries that were found expired, and removed"),
)
_ENTRIES = ("entries", "entry_count", "{entry}", "Entries in the cache")


class CacheInstruments:
    """The observable instruments, one observation for each cache that a client of this process has.

    The counters belong to the pool, so every process of the host that shares it observes the same numbers.
    """

    def __init__(self, meter: Meter, clients: Callable[[], list[ClientBase]]) -> None:
        self._clients = clients
        for name, field, unit, description in _COUNTERS:
            meter.create_observable_counter(
                f"glidecache.cache.{name}", [self._callback(field)], unit, description
            )
        name, field, unit, description = _ENTRIES
        meter.create_observable_up_down_counter(
            f"glidecache.cache.{name}", [self._callback(field)], unit, description
        )

    def _callback(self, field: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_options: CallbackOptions) -> Iterator[Observation]:
            sums: dict[Attributes, int] = {}
            for attributes, reader in self._pools().values():
                if field == _ENTRIES[1] or reader.metrics_enabled:
                    sums[attributes] = sums.get(attributes, 0) + getattr(reader.metrics(), field)
            for attributes, total in sums.items():
                yield Observation(total, dict(attributes))

        return observe

    def _pools(self) -> dict[tuple[str, str], tuple[Attributes, PoolReader]]:
        """Return each cache once, however many clients use it: a daemon has one of a name."""
        pools: dict[tuple[str, str], tuple[Attributes, PoolReader]] = {}
        for client in self._clients():
            settings, reader = client._settings, client._session.reader
            if settings.cache is None or reader is None:
                continue
            name = settings.cache.name or settings.cache.cache_id
            attributes = {**connection_attributes(settings), "glidecache.cache.name": name}
            place = settings.runtime_dir, name
            # A client that has not asked for long may still have a pool that was replaced.
            if place not in pools or reader.trusted:
                pools[place] = tuple(attributes.items()), reader
        return pools
