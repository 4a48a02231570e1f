"""A configuration, read once when a client is created: the part for the daemon, and the part for the client itself."""

from __future__ import annotations

from glidecache.config.direct_extra import DIRECT_EXTRA, direct_extra_installed
from glidecache.errors import ConfigurationError
from glidecache_shared.runtime_dir import find_runtime_dir, socket_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal

    from glidecache.cache import ClientSideCache
    from glidecache.config import GlideClientConfiguration, GlideClusterClientConfiguration

    Configuration = GlideClientConfiguration | GlideClusterClientConfiguration
    Mode = Literal["standalone", "cluster"]

DEFAULT_REQUEST_TIMEOUT_MS = 250
DEFAULT_CONNECTION_TIMEOUT_MS = 2_000
DEFAULT_INFLIGHT_REQUESTS = 1_000


class Settings:
    """The settings of one client. Immutable by convention; shared by threads and forks.

    spec: `ATTACH`'s map. runtime_dir: absolute. may_go_direct: whether commands go to the servers without a daemon.
    missing_extra: what to install for that, where nothing else is in the way; otherwise empty.
    request_timeout_ms: None: the upstream's, from the daemon. connection_timeout_ms: for the check at creation.
    """

    __slots__ = (
        "cache",
        "config",
        "connection_timeout_ms",
        "inflight_requests",
        "lazy_connect",
        "may_go_direct",
        "missing_extra",
        "request_timeout_ms",
        "runtime_dir",
        "spec",
    )

    def __init__(self, config: Configuration, mode: Mode) -> None:
        """Read `config`. Raises `ConfigurationError` for what can only be refused when a client is created."""
        advanced = config.advanced_config
        self.config = config
        self.cache: ClientSideCache | None = config.client_side_cache
        self.request_timeout_ms = config.request_timeout
        self.connection_timeout_ms = (
            advanced and advanced.connection_timeout
        ) or DEFAULT_CONNECTION_TIMEOUT_MS
        self.inflight_requests = config.inflight_requests_limit or DEFAULT_INFLIGHT_REQUESTS
        self.lazy_connect = bool(config.lazy_connect)
        self.may_go_direct = _may_go_direct(config, mode)
        self.missing_extra = ""
        if self.may_go_direct and not direct_extra_installed():
            self.may_go_direct = False
            self.missing_extra = f"for commands to the servers without a daemon: {DIRECT_EXTRA}"
        self.runtime_dir = _runtime_dir(config)
        self.spec = _spec(config, mode)

    @property
    def is_cluster(self) -> bool:
        """Return whether the servers are a cluster."""
        return self.spec["mode"] == "cluster"  # type: ignore[no-any-return]

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Return the client's own servers; none if the daemon's configuration has them."""
        return [(host, port) for host, port in self.spec["addresses"] or ()]


def need_config(config: object, expected: type, client: type) -> None:
    """Raise `TypeError` unless a client is created with its own kind of configuration."""
    if not isinstance(config, expected):
        message = f"{client.__name__}.create needs a {expected.__name__}, not {type(config).__name__}"
        raise TypeError(message)


def _may_go_direct(config: Configuration, mode: Mode) -> bool:
    if mode == "cluster":
        if config.fallback == "direct":
            message = 'fallback="direct" is not supported yet with a cluster: without a daemon, its nodes are not asked'
            raise ConfigurationError(message)
        return False
    return config.addresses is not None and config.fallback != "error"


def _runtime_dir(config: Configuration) -> str:
    runtime_dir = find_runtime_dir(None if config.runtime_dir is None else str(config.runtime_dir))
    try:
        socket_path(runtime_dir)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    return runtime_dir


def _spec(config: Configuration, mode: Mode) -> dict[str, Any]:
    cache = config.client_side_cache
    if cache is not None and cache.server_assisted:
        message = (
            "server_assisted=True is not supported: this cache is TTL-only, nothing invalidates its entries"
        )
        raise ConfigurationError(message)
    credentials = config.credentials
    advanced = config.advanced_config
    tls = advanced.tls_config if advanced is not None else None
    if tls is not None and not config.use_tls:
        # GLIDE accepts an empty one. One without effect is refused here.
        tls.need_no_tls()
        tls = None
    addresses = config.addresses
    return {
        "mode": mode,
        "upstream": config.upstream,
        "addresses": None if addresses is None else [[each.host, each.port] for each in addresses],
        "use_tls": config.use_tls,
        "tls": None if tls is None else tls.as_wire(),
        "username": None if credentials is None else credentials.username,
        "password": None if credentials is None else credentials.password,
        "database_id": config.database_id or 0,
        "client_name": config.client_name,
        "read_from": config.read_from.value,
        "request_timeout_ms": config.request_timeout,
        "lazy_connect": bool(config.lazy_connect),
        "cache": None if cache is None else cache.as_wire(),
    }
