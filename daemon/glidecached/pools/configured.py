"""The caches of the configuration, as the pools' registry takes them."""

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
        """What its pool is called."""
        return PoolKey(self.name, None)


def configured_caches(config: Config) -> list[ConfiguredCache]:
    """All of them, each with the identity of its upstream and with who may use it."""
    return [
        ConfiguredCache(
            name=cache.name,
            identity=config.upstreams[cache.upstream].target.identity,
            settings=cache.settings,
            admission=Admission(upstream=cache.upstream, access=config.access_to(cache)),
        )
        for cache in config.caches.values()
    ]
