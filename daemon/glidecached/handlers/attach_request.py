"""The map of ATTACH: read, checked, and turned into the daemon's own types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from glidecached.config.model import DEFAULT_UPSTREAM
from glidecached.formatting import shown
from glidecached.frontend.dispatcher import MalformedError
from glidecached.pools.metadata import PoolKey, PoolSettings
from glidecached.upstream.target import Address, Credentials, Mode, Target, TlsMaterial, network_address

_MODES: tuple[Mode, ...] = ("standalone", "cluster")
_MAX_ADDRESSES = 256
_MAX_NAME_LENGTH = 200
_MAX_TIMEOUT_MS = 86_400_000
_MAX_HOST_LENGTH = 255
_MAX_SECRET_BYTES = 65_536
_MAX_PEM_BYTES = 1_048_576
_MAX_TEXT_BYTES = {
    "upstream": 1_024,
    "username": 1_024,
    "password": _MAX_SECRET_BYTES,
    "client_name": 1_024,
    "ca": _MAX_PEM_BYTES,
    "cert": _MAX_PEM_BYTES,
    "key": _MAX_PEM_BYTES,
}
"""The greatest length of each text of a client; those of a cache have their own limits, in characters."""
_READ_FROM = ("primary", "prefer_replica", "all_nodes")
_ADDRESS_LENGTH = 2

_OPTIONAL_TEXT = (str, type(None))
_OPTIONAL_NUMBER = (int, type(None))
_FIELDS: dict[str, tuple[type, ...]] = {
    "mode": (str,),
    "upstream": _OPTIONAL_TEXT,
    "addresses": (list, type(None)),
    "use_tls": (bool,),
    "tls": (dict, type(None)),
    "username": _OPTIONAL_TEXT,
    "password": _OPTIONAL_TEXT,
    "database_id": (int,),
    "client_name": _OPTIONAL_TEXT,
    "read_from": (str,),
    "request_timeout_ms": _OPTIONAL_NUMBER,
    "lazy_connect": (bool,),
    "follows": _OPTIONAL_NUMBER,
    "expected_database_id": _OPTIONAL_NUMBER,
    "cache": (dict, type(None)),
}
_TLS_FIELDS: dict[str, tuple[type, ...]] = {
    "insecure": (bool,),
    "ca": (bytes, type(None)),
    "cert": (bytes, type(None)),
    "key": (bytes, type(None)),
}
_CACHE_FIELDS: dict[str, tuple[type, ...]] = {
    "id": (str,),
    "name": (str,),
    "settings": (dict,),
    "settings_are_defaults": (bool,),
}
_SETTINGS_FIELDS: dict[str, tuple[type, ...]] = {
    "max_cache_kb": (int,),
    "entry_ttl_ms": (int,),
    "eviction_policy": (str,),
    "enable_metrics": (bool,),
    "server_ttl": (bool,),
}


class SpecError(Exception):
    """A well-formed ATTACH that cannot be fulfilled: `args[0]` says why, and what would be right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachSpec:
    """A client's requested session. `upstream` is a configured name, or None when it brings its own `target`.

    `follows` is the client's previous session with this daemon, if it had one. `expected_database` is the database that
    a configured upstream must have. At most one of `configured_cache` and `pool_key` is set; `pool_key` comes with
    `pool_settings`. If `settings_are_defaults`, they yield to a configured cache of that name.
    """

    mode: Mode
    upstream: str | None
    target: Target
    read_from: str
    request_timeout_ms: int | None
    lazy_connect: bool
    follows: int | None
    expected_database: int | None
    configured_cache: str | None
    pool_key: PoolKey | None
    pool_settings: PoolSettings | None
    settings_are_defaults: bool

    @property
    def has_cache(self) -> bool:
        """Return whether the client wants a pool."""
        return self.configured_cache is not None or self.pool_key is not None

    @property
    def cache_label(self) -> str | None:
        """Return the name or id of the cache that the client wants; None without one."""
        return self.configured_cache if self.pool_key is None else self.pool_key.label


def read_spec(value: Any) -> AttachSpec:
    """Read ATTACH's map. Raises `MalformedError` for a wrong form, `SpecError` for impossible values."""
    spec = _read_map(value, _FIELDS, "spec")
    addresses = spec.get("addresses")
    upstream = spec.get("upstream")
    if addresses is not None and upstream is not None:
        message = "upstream and addresses exclude each other"
        raise SpecError(message)
    mode = _one_of(spec.get("mode"), _MODES, "mode")
    read_from = _one_of(spec.get("read_from", "primary"), _READ_FROM, "read_from")
    if addresses is None:
        upstream = upstream if upstream is not None else DEFAULT_UPSTREAM
        target = Target(mode=mode, addresses=())
    else:
        target = _read_target(mode, addresses, spec)
    cache = _read_cache(spec.get("cache"))
    return AttachSpec(
        mode=mode,
        upstream=upstream,
        target=target,
        read_from=read_from,
        request_timeout_ms=_read_timeout(spec.get("request_timeout_ms")),
        lazy_connect=spec.get("lazy_connect", False),
        follows=spec.get("follows"),
        expected_database=spec.get("expected_database_id"),
        configured_cache=cache[0],
        pool_key=cache[1],
        pool_settings=cache[2],
        settings_are_defaults=bool((spec.get("cache") or {}).get("settings_are_defaults", False)),
    )


def _read_target(mode: Mode, addresses: list[Any], spec: dict[str, Any]) -> Target:
    if not 0 < len(addresses) <= _MAX_ADDRESSES:
        message = f"{len(addresses)} addresses were given; 1 to {_MAX_ADDRESSES} are allowed"
        raise SpecError(message)
    database = spec.get("database_id", 0)
    if database < 0:
        message = f"database_id is {database}; it must not be negative"
        raise SpecError(message)
    return Target(
        mode=mode,
        addresses=tuple(dict.fromkeys(_read_address(address) for address in addresses)),
        database=database,
        credentials=Credentials(
            username=spec.get("username"),
            password=spec.get("password"),
            tls=_read_tls(spec.get("tls")) if spec.get("use_tls", False) else None,
        ),
    )


def _read_address(value: Any) -> Address:
    if (
        type(value) is not list
        or len(value) != _ADDRESS_LENGTH
        or type(value[0]) is not str
        or type(value[1]) is not int
    ):
        message = f"address {shown(value, 80)} is not [host, port]"
        raise MalformedError(message)
    if len(value[0]) > _MAX_HOST_LENGTH:
        length = len(value[0])
        message = (
            f"the host {shown(value[0], 80)} has {length} characters; at most {_MAX_HOST_LENGTH} are allowed"
        )
        raise SpecError(message)
    try:
        return network_address(value[0], value[1])
    except ValueError as error:
        raise SpecError(str(error)) from error


def _read_tls(value: Any) -> TlsMaterial:
    fields = _read_map({} if value is None else value, _TLS_FIELDS, "tls")
    certificate, key = fields.get("cert"), fields.get("key")
    if (certificate is None) != (key is None):
        message = "a client certificate and its key are given together"
        raise SpecError(message)
    return TlsMaterial(
        insecure=fields.get("insecure", False), ca=fields.get("ca"), certificate=certificate, key=key
    )


def _read_timeout(value: int | None) -> int | None:
    if value is not None and not 0 < value <= _MAX_TIMEOUT_MS:
        message = f"request_timeout_ms is {value}; it must be 1 to {_MAX_TIMEOUT_MS}"
        raise SpecError(message)
    return value


def _read_cache(value: Any) -> tuple[str | None, PoolKey | None, PoolSettings | None]:
    """Return the configured cache's name, or a pool's key and settings, or nothing."""
    if value is None:
        return None, None, None
    cache = _read_map(value, _CACHE_FIELDS, "cache")
    name = cache.get("name")
    cache_id = cache.get("id")
    for text, field in ((name, "name"), (cache_id, "id")):
        if text is not None and not 0 < len(text) <= _MAX_NAME_LENGTH:
            message = f"the cache's {field} has {len(text)} characters; 1 to {_MAX_NAME_LENGTH} are allowed"
            raise SpecError(message)
    if "settings" not in cache:
        if name is None:
            message = "cache has neither settings nor a name"
            raise MalformedError(message)
        return name, None, None
    if name is None and cache_id is None:
        message = "cache has neither an id nor a name"
        raise MalformedError(message)
    settings = _read_map(cache["settings"], _SETTINGS_FIELDS, "cache settings")
    missing = [field for field in ("max_cache_kb", "entry_ttl_ms") if field not in settings]
    if missing:
        message = f"cache settings lack {', '.join(missing)}"
        raise MalformedError(message)
    try:
        return None, PoolKey(name, None if name is not None else cache_id), PoolSettings(**settings)
    except ValueError as error:
        raise SpecError(str(error)) from error


def _read_map(value: Any, fields: dict[str, tuple[type, ...]], name: str) -> dict[str, Any]:
    if type(value) is not dict:
        message = f"{name} is {type(value).__name__}; expected a map"
        raise MalformedError(message)
    for field, content in value.items():
        types = fields.get(field) if type(field) is str else None
        if types is None:
            message = f"{name} has an unknown key {shown(field, 80)}; known are {', '.join(fields)}"
            raise MalformedError(message)
        if type(content) not in types:
            expected = " or ".join("nil" if each is type(None) else each.__name__ for each in types)
            message = f"{name}'s {field} is {type(content).__name__}; expected {expected}"
            raise MalformedError(message)
        _check_length(content, field)
    return value


def _check_length(content: Any, field: str) -> None:
    """Refuse a text that is too long. The text itself is not shown: it may be a secret."""
    most = _MAX_TEXT_BYTES.get(field)
    if most is None or content is None:
        return
    length = len(content if type(content) is bytes else content.encode("utf-8", "surrogatepass"))
    if length > most:
        message = f"{field} has {length} bytes; at most {most} are allowed"
        raise SpecError(message)


def _one_of(value: Any, allowed: tuple[Any, ...], name: str) -> Any:
    if value not in allowed:
        message = f"{name} is {shown(value, 80)}; expected one of {', '.join(allowed)}"
        raise MalformedError(message)
    return value
