"""The common base of all four clients: made by `create`, shown without secrets, never copied; their metrics."""

from __future__ import annotations

from glidecache.commands.unsupported import Unsupported
from glidecache.errors import DaemonUnavailableError, RequestError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Never

    from opentelemetry.trace import Tracer

    from glidecache.core.session import Session
    from glidecache.core.settings import Configuration, Settings
    from glidecache_shared.pool.reader import PoolMetrics


class ClientBase(Unsupported):
    """The base of the clients."""

    __slots__ = ()

    if TYPE_CHECKING:
        _session: Session
        _settings: Settings

        def _begin_tracing(self, tracer: Tracer, should_sample: Callable[[], bool]) -> None:
            """Make spans from now on. Idempotent."""

    @property
    def config(self) -> Configuration:
        """Return the configuration that the client was created with. Changing it has no effect."""
        return self._settings.config

    def __repr__(self) -> str:
        """Show the client's servers and its cache; never credentials."""
        settings = getattr(self, "_settings", None)
        name = f"{type(self).__module__}.{type(self).__qualname__}"
        if settings is None:
            return f"<{name}, not created>"
        servers = settings.spec["upstream"] or settings.config.addresses or "default"
        parts = [f"servers={servers!r}"]
        if settings.cache is not None:
            parts.append(f"cache={settings.cache.name or settings.cache.cache_id!r}")
        return f"<{name} {' '.join(parts)}>"

    def __reduce_ex__(self, protocol: Any) -> Never:
        """Refuse copying and pickling. Raises `TypeError`."""
        message = (
            f"a {type(self).__name__} cannot be copied or pickled: its connections belong to this process. Create "
            "another one from the same configuration; its cache object can be shared, copied and pickled"
        )
        raise TypeError(message)

    def _read_metrics(self, *, counters: bool = True) -> PoolMetrics:
        """Return the pool's counters, from shared memory (contract C13, C14).

        `counters` is False for the entry count, which is always kept. Raises `RequestError` without a cache or where
        metrics are off, `DaemonUnavailableError` while no pool is attached, `ClosingError`.
        """
        self._session.check_open()
        if self._settings.cache is None:
            message = "Client-side caching is not enabled"
            raise RequestError(message)
        reader = self._session.reader
        if reader is None:
            message = (
                "the cache's pool is not attached: no daemon has been reached yet, or the upstream was not"
            )
            raise DaemonUnavailableError(message)
        if counters and not reader.metrics_enabled:
            message = "Cache metrics tracking is not enabled"
            raise RequestError(message)
        return reader.metrics()


def need_settings(client: object, settings: object, *, awaited: bool) -> Settings:
    """Return the settings that a client's `create` gives it. Raises `TypeError` for one that is made otherwise."""
    from glidecache.core.settings import Settings

    if not isinstance(settings, Settings):
        name = type(client).__name__
        message = f"use create: client = {'await ' if awaited else ''}{name}.create(config)"
        raise TypeError(message)
    return settings
