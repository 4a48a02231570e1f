"""The caches of the configuration, in the pool manager's form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from glidecached.pools.metadata import OPEN, Admission, PoolKey

if TYPE_CHECKING:
    from glidecached.config.model import Config
    from glidecached.pools.pool_settings import PoolSettings
    from glidecached.upstream.target import Identity


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredCache:
    """A cache of the configuration: clients join it by its name alone."""

    name: str
    identity: Identity
    settings: PoolSettings
    admission: Admission = OPEN

    @property
    def key(self) -> PoolKey:
        """Return the key of its pool."""
        return PoolKey(self.name, None)


def configured_caches(config: Config) -> list[ConfiguredCache]:
    """Return all configured caches, each with the identity of its upstream and its access list."""
    return [
        ConfiguredCache(
            name=cache.name,
            identity=config.upstreams[cache.upstream].target.identity,
            settings=cache.settings,
            admission=Admission(upstream=cache.upstream, access=config.access_to(cache)),
        )
        for cache in config.caches.values()
    ]
