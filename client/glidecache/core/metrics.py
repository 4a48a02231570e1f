"""The six metrics of a cache (contract C13, C14), and values that may be awaited or not."""

from __future__ import annotations

from glidecache.errors import DaemonUnavailableError, RequestError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Self

    from glidecache.core.session import Session
    from glidecache.core.settings import Settings
    from glidecache_shared.pool.reader import PoolMetrics


def read_metrics(session: Session, settings: Settings, *, counters: bool) -> PoolMetrics:
    """Return the pool's counters, from shared memory. `counters` is False for the entry count, which is always kept.

    Raises `RequestError` without a cache or where metrics are off, `DaemonUnavailableError` while no pool is
    attached, `ClosingError`.
    """
    session.check_open()
    if settings.cache is None:
        message = "Client-side caching is not enabled"
        raise RequestError(message)
    reader = session.reader
    if reader is None:
        message = "the cache's pool is not attached: no daemon has been reached yet, or the upstream was not"
        raise DaemonUnavailableError(message)
    if counters and not reader.metrics_enabled:
        message = "Cache metrics tracking is not enabled"
        raise RequestError(message)
    return reader.metrics()


class AwaitableFloat(float):
    """A float that may also be awaited, which returns itself: the reference's examples await, GLIDE 2.6 does not."""

    __slots__ = ()

    def __await__(self) -> Generator[None, None, Self]:
        return self
        yield


class AwaitableInt(int):
    """An int that may also be awaited, which returns itself."""

    __slots__ = ()

    def __await__(self) -> Generator[None, None, Self]:
        return self
        yield
