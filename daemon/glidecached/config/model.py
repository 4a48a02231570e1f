"""The resolved configuration: every name looked up, every file read, every value checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from glidecached.access import Access
from glidecached.config.schema import AdviceSettings, DaemonSettings, File, MetricsSettings
from glidecached.pools.metadata import Admission, ConfiguredCache, PoolSettings
from glidecached.upstream.target import Address, Target, UpstreamOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_UPSTREAM = "default"
DEFAULT_REQUEST_TIMEOUT_MS = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedUpstream:
    """An upstream that clients can ask for by name; its credentials stay in the daemon."""

    name: str
    target: Target
    options: UpstreamOptions = field(default_factory=UpstreamOptions)
    request_timeout_ms: int = DEFAULT_REQUEST_TIMEOUT_MS
    access: Access = field(default_factory=Access)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedCache:
    """A cache that clients can ask for by name, and the name of its upstream, whose users `access` may narrow."""

    name: str
    upstream: str
    settings: PoolSettings
    access: Access = field(default_factory=Access)


def _default_upstreams() -> Mapping[str, NamedUpstream]:
    target = Target(mode="standalone", addresses=(Address("127.0.0.1", 6379),))
    return {DEFAULT_UPSTREAM: NamedUpstream(name=DEFAULT_UPSTREAM, target=target)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole configuration of a daemon. Keys that are not given have the documented defaults.

    `form` is the parsed file that it came from, for a reload to compare with.
    """

    daemon: DaemonSettings = field(default_factory=DaemonSettings)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    advice: AdviceSettings = field(default_factory=AdviceSettings)
    upstreams: Mapping[str, NamedUpstream] = field(default_factory=_default_upstreams)
    caches: Mapping[str, NamedCache] = field(default_factory=dict)
    admin_uids: frozenset[int] = frozenset()
    form: File = field(default_factory=File)

    def access_to(self, cache: NamedCache) -> Access:
        """Return who may use the cache and open its files: its own list, which narrows its upstream's; else that."""
        return cache.access if cache.access.restricts else self.upstreams[cache.upstream].access

    def configured_caches(self) -> list[ConfiguredCache]:
        """Return all configured caches, each with the identity of its upstream and its access list."""
        return [
            ConfiguredCache(
                name=cache.name,
                identity=self.upstreams[cache.upstream].target.identity,
                settings=cache.settings,
                admission=Admission(upstream=cache.upstream, access=self.access_to(cache)),
            )
            for cache in self.caches.values()
        ]
