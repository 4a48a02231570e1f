"""The caches of the configuration, as the pools' registry takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glidecached.pools.origin import Admission
from glidecached.pools.registry import ConfiguredCache

if TYPE_CHECKING:
    from glidecached.config.resolved import Config


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
