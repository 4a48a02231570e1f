"""`LOCATION` and `OPTIONS` of a shared cache, checked."""

from __future__ import annotations

import os

from django.core.exceptions import ImproperlyConfigured

from glidecache.cache import ClientSideCache, EvictionPolicy
from glidecache.django.value_serializers import serializer_of
from glidecache.fronts.front_options import FrontOptions, split_url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from glidecache.errors import ConfigurationError

_SCHEMES = {
    "valkey": "valkey",
    "valkeys": "valkeys",
    "redis": "valkey",
    "rediss": "valkeys",
    "unix": "unix",
}
_UPSTREAM = "upstream:"
_SETTINGS = ("max_cache_kb", "ttl_ms", "eviction_policy", "server_ttl")
_OPTIONS = ("cache", *_SETTINGS, "prefixes", "serializer", "upstream", "runtime_dir")
_OF_CONFIGURATION = "use ClientSideCache.named("
"""The daemon's advice where a cache of its configuration is asked for with settings: not for a Django project."""
_DEFAULT_MAX_CACHE_KB = 65_536
_DEFAULT_TTL_MS = 60_000


class CacheOptions:
    """The settings of one cache. Raises `ImproperlyConfigured`, which names the setting.

    url: the server; None if `upstream` alone names it. upstream: its name in the daemon's configuration, or None.
    cache: the cache, which processes share by its name. If `settings_are_defaults`, the daemon's configuration may
    define it. ttl_ms: the longest life of an entry, as far as the settings have it. prefixes: the beginnings of cached
    keys, as the application writes them; None: all keys are cached.
    """

    def __init__(self, location: object, options: Mapping[str, Any]) -> None:
        unknown = [name for name in options if name not in _OPTIONS]
        if unknown:
            message = (
                f"OPTIONS has {', '.join(map(repr, unknown))}; a shared cache knows {', '.join(_OPTIONS)}"
            )
            raise ImproperlyConfigured(message)
        self.upstream: str | None = _read_text(options, "upstream")
        self.url: str | None = None
        self._read_location(location)
        runtime_dir = options.get("runtime_dir")
        if runtime_dir is not None and not isinstance(runtime_dir, (str, os.PathLike)):
            message = f"OPTIONS['runtime_dir'] is {runtime_dir!r}; it must be a path"
            raise ImproperlyConfigured(message)
        self.runtime_dir: str | None = None if runtime_dir is None else os.fsdecode(runtime_dir)
        self._settings = [name for name in _SETTINGS if name in options]
        self.settings_are_defaults = not self._settings
        self.ttl_ms: int = options.get("ttl_ms", _DEFAULT_TTL_MS)
        self.cache = self._read_cache(options)
        # One object for all clients: theirs are of the same cache, and a name alone makes another each time.
        shared = self.cache.name if self.settings_are_defaults else self.cache
        self.of_front = FrontOptions(shared, None, self.upstream, self.runtime_dir)
        self.of_front.attaches_at_once = False  # once for a process, and not in an event loop
        self.prefixes = _read_prefixes(options.get("prefixes"))
        self.serializer = serializer_of(options.get("serializer", "pickle"))

    def refusal(self, error: ConfigurationError) -> str:
        """Return the daemon's refusal in the words of `CACHES`."""
        if self._settings and _OF_CONFIGURATION in str(error):
            return (
                f"cache {self.cache.name!r} is defined by the daemon's configuration, which has its settings: leave "
                f"{', '.join(self._settings)} out of OPTIONS"
            )
        return _in_own_words(str(error))

    def _read_location(self, location: object) -> None:
        listed = list(location) if isinstance(location, (list, tuple)) else [location]
        if not listed:
            listed = [""]
        if isinstance(location, str) and location.startswith(_UPSTREAM):
            if self.upstream is not None:
                message = f"LOCATION is {location!r}: OPTIONS['upstream'] is the same; leave one out"
                raise ImproperlyConfigured(message)
            self.upstream = location.removeprefix(_UPSTREAM)
            if not self.upstream:
                message = f"LOCATION is {location!r}; it must be upstream:NAME"
                raise ImproperlyConfigured(message)
            return
        urls = [_read_url(each) for each in listed]
        # As with Django's own backend the first is the primary. Others are its replicas, which fill no cache.
        self.url = urls[0]
        if self.url.startswith("unix:") and self.upstream is None:
            message = (
                f"LOCATION is {listed[0]!r}: the daemon knows a server at a Unix socket by its own configuration "
                "only; add OPTIONS['upstream'], the name that it has there"
            )
            raise ImproperlyConfigured(message)

    @staticmethod
    def _read_cache(options: Mapping[str, Any]) -> ClientSideCache:
        name = _read_text(options, "cache")
        if name is None:
            message = "OPTIONS['cache'] is missing: the name by which the processes of a host share the cache"
            raise ImproperlyConfigured(message)
        policy = options.get("eviction_policy", "LRU")
        try:
            if not isinstance(policy, EvictionPolicy):
                policy = EvictionPolicy[str(policy).upper()]
        except KeyError:
            message = f"OPTIONS['eviction_policy'] is {policy!r}; it must be 'LRU' or 'LFU'"
            raise ImproperlyConfigured(message) from None
        try:
            return ClientSideCache.create(
                options.get("max_cache_kb", _DEFAULT_MAX_CACHE_KB),
                options.get("ttl_ms", _DEFAULT_TTL_MS),
                policy,
                enable_metrics=True,
                name=name,
                server_ttl=options.get("server_ttl", True),
            )
        except (TypeError, ValueError) as error:
            message = f"OPTIONS: {_in_own_words(str(error))}"
            raise ImproperlyConfigured(message) from error


def _in_own_words(text: str) -> str:
    return text.replace("entry_ttl_ms", "ttl_ms")


def _read_text(options: Mapping[str, Any], name: str) -> str | None:
    found = options.get(name)
    if found is not None and not (isinstance(found, str) and found):
        message = f"OPTIONS[{name!r}] is {found!r}; it must be a name"
        raise ImproperlyConfigured(message)
    return found


def _read_url(location: object) -> str:
    scheme, mark, rest = location.partition("://") if isinstance(location, str) else ("", "", "")
    if not mark or scheme not in _SCHEMES:
        message = (
            f"LOCATION has {location!r}; it must be a URL (valkey://, valkeys://, redis://, rediss://, unix://), "
            "a list of URLs, or upstream:NAME"
        )
        raise ImproperlyConfigured(message)
    url = f"{_SCHEMES[scheme]}://{rest}"
    _, of_front = split_url(url)
    if of_front:
        message = f"LOCATION has {', '.join(of_front)} in its query; put it into OPTIONS"
        raise ImproperlyConfigured(message)
    return url


def _read_prefixes(prefixes: object) -> tuple[str, ...] | None:
    if prefixes is None:
        return None
    if not isinstance(prefixes, (list, tuple, set, frozenset)) or not all(
        isinstance(each, str) for each in prefixes
    ):
        message = f"OPTIONS['prefixes'] is {prefixes!r}; it must be a list of str, or None for all keys"
        raise ImproperlyConfigured(message)
    return tuple(prefixes)
