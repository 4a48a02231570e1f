"""The form of the configuration file: every key, its type, its range, its default.

`glidecached.toml.example` says what each key means. Values are as in the file; `glidecached.config.load` adds what the
files contain that it names, so that nothing is read later.
"""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, Strict
from pydantic.dataclasses import dataclass

from glidecache_shared.protocol import DEFAULT_MAX_MESSAGE_BYTES
from glidecache_shared.runtime_dir import socket_path
from glidecached.log_lines import LogFormat
from glidecached.pools.metadata import MAX_CACHE_KB, MAX_TTL_MS, EvictionPolicy
from glidecached.upstream.target import Address, Mode, parse_address

_FORM = ConfigDict(extra="forbid")

Integer = Annotated[int, Strict()]
Boolean = Annotated[bool, Strict()]
LogLevel = Literal["debug", "info", "warning", "error"]


def _absolute(path: str) -> str:
    if not path.startswith("/"):
        message = "must be an absolute path"
        raise ValueError(message)
    if "\0" in path:
        message = "must not contain a NUL character"
        raise ValueError(message)
    return path


def _short_enough(path: str) -> str:
    socket_path(path)
    return path


def _cache_or_upstream_name(name: str) -> str:
    if not name or not name.isprintable() or len(name) > 200:  # noqa: PLR2004
        message = "must be 1 to 200 printable characters"
        raise ValueError(message)
    return name


def _address(text: object) -> object:
    return parse_address(text) if isinstance(text, str) else text


def _not_empty(addresses: tuple[Address, ...]) -> tuple[Address, ...]:
    if not addresses:
        message = "must have at least one address"
        raise ValueError(message)
    return addresses


def _network_address(text: object) -> object:
    if text is None or isinstance(text, Address):
        return text
    if not isinstance(text, str) or text.startswith("unix:"):
        message = "must be a string, host:port or [IPv6]:port"
        raise ValueError(message)
    return parse_address(text)


AbsolutePath = Annotated[str, AfterValidator(_absolute)]
RuntimeDirectory = Annotated[AbsolutePath, AfterValidator(_short_enough)]
Name = Annotated[str, AfterValidator(_cache_or_upstream_name)]
Names = tuple[str, ...]
Addresses = Annotated[tuple[Annotated[Address, BeforeValidator(_address)], ...], AfterValidator(_not_empty)]
Milliseconds = Annotated[Integer, Field(gt=0, le=86_400_000)]


@dataclass(frozen=True, slots=True, kw_only=True, config=_FORM)
class DaemonSettings:
    """`[daemon]`."""

    runtime_dir: RuntimeDirectory | None = None
    pool_dir: AbsolutePath | None = None
    log_level: LogLevel = "info"
    log_format: LogFormat = "logfmt"
    grace_ms: Annotated[Integer, Field(ge=100, le=3_600_000)] = 5_000
    max_total_cache_kb: Annotated[Integer, Field(gt=0, le=2**50)] = 1_048_576
    max_pools: Annotated[Integer, Field(gt=0, le=1_000_000)] = 4_096
    max_message_bytes: Annotated[Integer, Field(ge=65_536, le=2**40)] = DEFAULT_MAX_MESSAGE_BYTES
    allow_adhoc_upstreams: Boolean = True
    admin_users: Names = ()
    max_requests_per_client: Annotated[Integer, Field(gt=0, le=1_000_000)] = 4_096
    max_connections: Annotated[Integer, Field(gt=0, le=1_000_000)] = 16_384
    max_client_memory_mb: Annotated[Integer, Field(ge=16, le=1_048_576)] = 256
    max_sessions: Annotated[Integer, Field(gt=0, le=10_000_000)] = 65_536
    session_idle_seconds: Annotated[Integer, Field(ge=60, le=315_360_000)] = 3_600
    max_upstreams: Annotated[Integer, Field(gt=0, le=10_000)] = 64
    stop_timeout_ms: Milliseconds = 3_000


@dataclass(frozen=True, slots=True, kw_only=True, config=_FORM)
class UpstreamSettings:
    """`[upstreams.<name>]`."""

    mode: Mode = "standalone"
    addresses: Addresses
    database_id: Annotated[Integer, Field(ge=0, le=2**31 - 1)] = 0
    username: str | None = None
    password_file: AbsolutePath | None = None
    use_tls: Boolean = False
    tls_insecure: Boolean = False
    tls_ca_file: AbsolutePath | None = None
    tls_cert_file: AbsolutePath | None = None
    tls_key_file: AbsolutePath | None = None
    request_timeout_ms: Milliseconds = 250
    connect_timeout_ms: Milliseconds = 2_000
    reconnect_initial_ms: Milliseconds = 50
    reconnect_max_ms: Milliseconds = 1_000
    stall_timeout_ms: Milliseconds = 15_000
    max_waiting_requests: Annotated[Integer, Field(gt=0, le=10_000_000)] = 262_144
    max_blocking_connections: Annotated[Integer, Field(gt=0, le=10_000)] = 64
    allow_replica: Boolean = False
    allow_users: Names = ()
    allow_groups: Names = ()


@dataclass(frozen=True, slots=True, kw_only=True, config=_FORM)
class CacheSettings:
    """`[caches.<name>]`."""

    upstream: str = "default"
    max_cache_kb: Annotated[Integer, Field(gt=0, le=MAX_CACHE_KB)]
    entry_ttl_ms: Annotated[Integer, Field(ge=0, le=MAX_TTL_MS)]
    eviction_policy: EvictionPolicy = "LRU"
    enable_metrics: Boolean = False
    server_ttl: Boolean = False
    allow_users: Names = ()
    allow_groups: Names = ()


@dataclass(frozen=True, slots=True, kw_only=True, config=_FORM)
class MetricsSettings:
    """`[metrics]`."""

    listen: Annotated[Address | None, BeforeValidator(_network_address)] = None
    allowed_hosts: Names = ()


@dataclass(frozen=True, slots=True, kw_only=True, config=_FORM)
class AdviceSettings:
    """`[advice]`."""

    enabled: Boolean = True


@dataclass(frozen=True, slots=True, kw_only=True, config=_FORM)
class File:
    """The whole file."""

    daemon: DaemonSettings = field(default_factory=DaemonSettings)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    advice: AdviceSettings = field(default_factory=AdviceSettings)
    upstreams: dict[Name, UpstreamSettings] = field(default_factory=dict)
    caches: dict[Name, CacheSettings] = field(default_factory=dict)
