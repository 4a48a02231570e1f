"""The arguments that fronts take besides the library's own, from keywords or from a URL's query."""

from __future__ import annotations

import os
from urllib.parse import unquote_plus, unquote_to_bytes

from glidecache.cache import ClientSideCache
from glidecache.errors import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Prefix = str | bytes

NAMES = ("shared_cache", "cache_prefixes", "upstream", "runtime_dir", "forget_writes")

_TRUTH = {"true": True, "false": False}

_DEFAULT_MAX_CACHE_KB = 65_536
_DEFAULT_ENTRY_TTL_MS = 60_000


class FrontOptions:
    """The checked arguments for a client's cache. Raises `ConfigurationError` that names the argument.

    shared_cache: a cache, or the name of one; None: reads are the library's own.
    cache_prefixes: what cached keys begin with; None: all keys are cached, an empty list: none.
    upstream: the name under which the daemon's configuration has the servers; None: the client's own addresses.
    runtime_dir: where the daemon is; None: as for all clients.
    forget_writes: whether keys are forgotten after the client's own commands that may have changed them; None: no.
    `attaches_at_once`: whether a client attaches when it is made; if not, by `SharedReads.attach` or its first miss.
    """

    __slots__ = (
        "attaches_at_once",
        "cache",
        "forget_writes",
        "prefixes",
        "runtime_dir",
        "settings_are_defaults",
        "upstream",
    )

    def __init__(
        self,
        shared_cache: object = None,
        cache_prefixes: object = None,
        upstream: object = None,
        runtime_dir: object = None,
        forget_writes: object = None,
    ) -> None:
        self.attaches_at_once = True
        self.settings_are_defaults = isinstance(shared_cache, str)
        self.cache = _read_cache(shared_cache)
        self.prefixes = _read_prefixes(cache_prefixes)
        if upstream is not None and not (isinstance(upstream, str) and upstream):
            message = (
                f"upstream is {upstream!r}; it must be the name of an upstream in the daemon's configuration"
            )
            raise ConfigurationError(message)
        if runtime_dir is not None and not isinstance(runtime_dir, (str, os.PathLike)):
            message = f"runtime_dir is {runtime_dir!r}; it must be a path"
            raise ConfigurationError(message)
        self.upstream: str | None = upstream
        self.runtime_dir: str | None = None if runtime_dir is None else os.fsdecode(runtime_dir)
        if forget_writes is not None and not isinstance(forget_writes, bool):
            message = (
                f"forget_writes is {forget_writes!r}; it must be True or False (in a URL: true or false)"
            )
            raise ConfigurationError(message)
        self.forget_writes = bool(forget_writes)
        if self.cache is None:
            given = (cache_prefixes, upstream, runtime_dir, forget_writes or None)
            for name, value in zip(NAMES[1:], given, strict=True):
                if value is not None:
                    message = f"{name} is given without shared_cache: name the cache too, or leave it out"
                    raise ConfigurationError(message)

    @classmethod
    def taken_from(cls, arguments: dict[str, Any]) -> FrontOptions | None:
        """Return the options among a call's keyword arguments, which loses them; None if there are none."""
        found = {name: arguments.pop(name) for name in NAMES if name in arguments}
        return cls(**found) if found else None


def split_url(url: str) -> tuple[str, dict[str, Any]]:
    """Split a URL into the library's, and the arguments for `FrontOptions` that were in its query.

    They are percent-decoded; `cache_prefixes` may be repeated. A prefix that is not UTF-8 stays bytes.
    """
    address, _, rest = url.partition("?")
    query, hash_sign, fragment = rest.partition("#")
    others: list[str] = []
    found: dict[str, Any] = {}
    for part in query.split("&"):
        name, _, quoted = part.partition("=")
        name = unquote_plus(name)
        if name not in NAMES:
            others.append(part)
        elif name == "cache_prefixes":
            found.setdefault(name, []).append(_decoded(quoted))
        elif name in found:
            message = f"the URL has {name} twice"
            raise ConfigurationError(message)
        else:
            found[name] = unquote_plus(quoted) or None
    if not found:
        return url, found
    read_url_text(found)
    query = "&".join(others)
    return address + ("?" if query else "") + query + hash_sign + fragment, found


def names_in(url: str) -> list[str]:
    """Return the names of the arguments in a URL's query."""
    query = url.partition("?")[2].partition("#")[0]
    return [unquote_plus(part.partition("=")[0]) for part in query.split("&") if "=" in part]


def read_url_text(arguments: dict[str, Any]) -> None:
    """Put values in the place of the texts that a URL has for them."""
    given = arguments.get("forget_writes")
    if isinstance(given, str):
        arguments["forget_writes"] = _TRUTH.get(given.lower(), given)


def with_url(keywords: Mapping[str, Any], of_url: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of both; those of the URL win, as in the libraries."""
    return {**keywords, **of_url}


def _decoded(quoted: str) -> Prefix:
    raw = unquote_to_bytes(quoted.replace("+", " "))
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def _read_cache(shared_cache: object) -> ClientSideCache | None:
    if shared_cache is None or isinstance(shared_cache, ClientSideCache):
        return shared_cache
    if isinstance(shared_cache, str) and shared_cache:
        return default_cache(shared_cache)
    message = f"shared_cache is {shared_cache!r}; it must be the name of a cache, a ClientSideCache, or None"
    raise ConfigurationError(message)


def default_cache(name: str) -> ClientSideCache:
    """Return the cache of a name that comes alone, and that the daemon's configuration does not define."""
    return ClientSideCache.create(
        _DEFAULT_MAX_CACHE_KB, _DEFAULT_ENTRY_TTL_MS, enable_metrics=True, name=name, server_ttl=True
    )


def _read_prefixes(prefixes: object) -> tuple[Prefix, ...] | None:
    if prefixes is None:
        return None
    if isinstance(prefixes, (str, bytes, bytearray, memoryview)):
        message = (
            f"cache_prefixes is {prefixes!r}; it must be a list of prefixes: cache_prefixes=[{prefixes!r}]"
        )
        raise ConfigurationError(message)
    try:
        listed: tuple[Any, ...] = tuple(prefixes)  # type: ignore[arg-type]
    except TypeError:
        message = f"cache_prefixes is {prefixes!r}; it must be a list of str or bytes"
        raise ConfigurationError(message) from None
    for number, prefix in enumerate(listed):
        if not isinstance(prefix, (str, bytes)):
            message = f"cache_prefixes[{number}] is {prefix!r}; a prefix is str or bytes"
            raise ConfigurationError(message)
    return listed
