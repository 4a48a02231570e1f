"""The two clients' configurations."""

from __future__ import annotations

from glidecache.cache import ClientSideCache
from glidecache.config.advanced import (
    AdvancedGlideClientConfiguration,
    AdvancedGlideClusterClientConfiguration,
)
from glidecache.config.checks import described, need, need_ms, need_not_negative, refuse_unsupported
from glidecache.config.connection import (
    BackoffStrategy,
    NodeAddress,
    ProtocolVersion,
    ReadFrom,
    ServerCredentials,
)
from glidecache.config.direct_extra import DIRECT_EXTRA, direct_extra_installed
from glidecache.errors import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike
    from typing import Any, Literal

    Fallback = Literal["direct", "error"]

FALLBACKS = ("direct", "error")
DEFAULT_UPSTREAM = "default"

_SUPPORTED_READ_FROM = (ReadFrom.PRIMARY, ReadFrom.PREFER_REPLICA, ReadFrom.ALL_NODES)

_UNSUPPORTED = {
    "address_resolver": "the daemon resolves names; configure the upstream there",
    "client_az": "availability zones are not supported yet",
    "client_circuit_breaker": "the daemon's requests are bounded by their deadlines",
    "client_info_tag": "connections are shared, so the daemon names them itself",
    "compression": "values are passed on as they are",
    "lib_name": "connections are shared, so the daemon names them itself",
    "node_discovery_mode": "the daemon finds the nodes",
    "periodic_checks": "the daemon refreshes the topology by itself",
    "pubsub_subscriptions": "subscriptions are bound to one connection, and the daemon's are shared",
    "rdma": "the daemon speaks TCP, TLS and Unix sockets",
    "read_only": "choose read_from, or a user that may not write",
    "recovery_requests_queue_size": "requests wait in the daemon, until their deadlines",
}

# Parameters that say how to reach servers make no sense if the daemon's configuration says it.
_OF_ADDRESSES = ("use_tls", "credentials", "database_id")


class BaseClientConfiguration:
    """The common part of both configurations. It checks the values; `ConfigurationError` names the wrong one.

    addresses: the servers. Without them the client asks for `upstream`, a name of the daemon's configuration.
    request_timeout: milliseconds that a call may take; None: the upstream's, or 250.
    inflight_requests_limit: how many calls of a client may be open at once, per event loop or in all threads;
    None: 1000.
    lazy_connect: whether the daemon and the upstream may be absent until the first command: `create` raises for
    neither, and warns of a missing daemon.
    client_side_cache: the cache to use; None: none.
    read_from: which of several addresses answer reads that are not cached; the cache is filled from the primary alone.
    reconnect_strategy, client_name, protocol: accepted; the connections are the daemon's, which decides.
    upstream: `"default"` if neither it nor addresses are given.
    fallback: `"direct"`: without a daemon, commands go to `addresses`, uncached (the default with addresses, where the
    extra `direct` is installed); `"error"`: they raise `DaemonUnavailableError` (the default otherwise, and the only
    choice without addresses).
    runtime_dir: where the daemon is; None: `$GLIDECACHED_RUNTIME_DIR`, `/run/glidecached`, and so on.
    """

    def __init__(
        self,
        addresses: Iterable[NodeAddress] | None,
        use_tls: bool,
        credentials: ServerCredentials | None,
        read_from: ReadFrom,
        request_timeout: int | None,
        reconnect_strategy: BackoffStrategy | None,
        database_id: int | None,
        client_name: str | None,
        protocol: ProtocolVersion,
        inflight_requests_limit: int | None,
        lazy_connect: bool | None,
        client_side_cache: ClientSideCache | None,
        upstream: str | None,
        fallback: Fallback | None,
        runtime_dir: str | PathLike[str] | None,
        unsupported: dict[str, Any],
    ) -> None:
        owner = type(self).__name__
        refuse_unsupported(owner, unsupported, _UNSUPPORTED)
        for name, value, kind in (
            ("use_tls", use_tls, bool),
            ("credentials", credentials, ServerCredentials),
            ("read_from", read_from, ReadFrom),
            ("reconnect_strategy", reconnect_strategy, BackoffStrategy),
            ("client_name", client_name, str),
            ("protocol", protocol, ProtocolVersion),
            ("lazy_connect", lazy_connect, bool),
            ("client_side_cache", client_side_cache, ClientSideCache),
            ("upstream", upstream, str),
        ):
            need(owner, name, value, kind)
        need_ms(owner, "request_timeout", request_timeout)
        need_not_negative(owner, "database_id", database_id)
        need_not_negative(owner, "inflight_requests_limit", inflight_requests_limit)
        if read_from not in _SUPPORTED_READ_FROM:
            supported = ", ".join(each.name for each in _SUPPORTED_READ_FROM)
            message = f"{owner}: read_from {read_from.name} is not supported yet; supported are {supported}"
            raise ConfigurationError(message)
        self.addresses = None if addresses is None else _checked_addresses(owner, addresses)
        self.use_tls = bool(use_tls)
        self.credentials = credentials
        self.read_from = read_from
        self.request_timeout = request_timeout
        self.reconnect_strategy = reconnect_strategy
        self.database_id = database_id
        self.client_name = client_name
        self.protocol = protocol
        self.inflight_requests_limit = inflight_requests_limit
        self.lazy_connect = lazy_connect
        self.client_side_cache = client_side_cache
        self.upstream = upstream
        self.fallback = fallback
        self.runtime_dir = runtime_dir
        self._check_upstream(owner)
        self._check_fallback(owner)

    def __repr__(self) -> str:
        """Show the settings; credentials and TLS keys show themselves without their secrets."""
        return described(self)

    def _check_upstream(self, owner: str) -> None:
        if self.addresses is None:
            for name in _OF_ADDRESSES:
                if getattr(self, name):
                    message = (
                        f"{owner}: {name} goes with addresses; the upstream "
                        f"{self.upstream or DEFAULT_UPSTREAM!r} has its own in the daemon's configuration"
                    )
                    raise ConfigurationError(message)
        elif self.upstream is not None:
            message = f"{owner}: addresses and upstream exclude each other: give one of the two"
            raise ConfigurationError(message)

    def _check_fallback(self, owner: str) -> None:
        if self.fallback is not None and self.fallback not in FALLBACKS:
            message = f"{owner}: fallback is {self.fallback!r}; it must be one of {', '.join(FALLBACKS)}"
            raise ConfigurationError(message)
        if self.fallback == "direct" and self.addresses is None:
            message = (
                f'{owner}: fallback="direct" needs addresses: those of an upstream only the daemon knows'
            )
            raise ConfigurationError(message)
        if self.fallback == "direct" and not direct_extra_installed():
            message = f'{owner}: fallback="direct" needs valkey, which is not installed: {DIRECT_EXTRA}'
            raise ConfigurationError(message)


class GlideClientConfiguration(BaseClientConfiguration):
    """A client of one server and its replicas; see `BaseClientConfiguration` for what the parameters mean."""

    def __init__(
        self,
        addresses: Iterable[NodeAddress] | None = None,
        use_tls: bool = False,
        credentials: ServerCredentials | None = None,
        read_from: ReadFrom = ReadFrom.PRIMARY,
        request_timeout: int | None = None,
        reconnect_strategy: BackoffStrategy | None = None,
        database_id: int | None = None,
        client_name: str | None = None,
        protocol: ProtocolVersion = ProtocolVersion.RESP3,
        pubsub_subscriptions: Any = None,
        inflight_requests_limit: int | None = None,
        client_az: str | None = None,
        advanced_config: AdvancedGlideClientConfiguration | None = None,
        lazy_connect: bool | None = None,
        compression: Any = None,
        read_only: bool = False,
        client_side_cache: ClientSideCache | None = None,
        node_discovery_mode: Any = None,
        address_resolver: Any = None,
        client_circuit_breaker: Any = None,
        lib_name: str | None = None,
        client_info_tag: str | None = None,
        rdma: Any = None,
        *,
        upstream: str | None = None,
        fallback: Fallback | None = None,
        runtime_dir: str | PathLike[str] | None = None,
    ) -> None:
        super().__init__(
            addresses,
            use_tls,
            credentials,
            read_from,
            request_timeout,
            reconnect_strategy,
            database_id,
            client_name,
            protocol,
            inflight_requests_limit,
            lazy_connect,
            client_side_cache,
            upstream,
            fallback,
            runtime_dir,
            {
                "pubsub_subscriptions": pubsub_subscriptions,
                "client_az": client_az,
                "compression": compression,
                "read_only": read_only,
                "node_discovery_mode": node_discovery_mode,
                "address_resolver": address_resolver,
                "client_circuit_breaker": client_circuit_breaker,
                "lib_name": lib_name,
                "client_info_tag": client_info_tag,
                "rdma": rdma,
            },
        )
        need(type(self).__name__, "advanced_config", advanced_config, AdvancedGlideClientConfiguration)
        self.advanced_config = advanced_config


class GlideClusterClientConfiguration(BaseClientConfiguration):
    """A client of a cluster; see `BaseClientConfiguration` for what the parameters mean."""

    def __init__(
        self,
        addresses: Iterable[NodeAddress] | None = None,
        use_tls: bool = False,
        credentials: ServerCredentials | None = None,
        read_from: ReadFrom = ReadFrom.PRIMARY,
        request_timeout: int | None = None,
        reconnect_strategy: BackoffStrategy | None = None,
        database_id: int | None = None,
        client_name: str | None = None,
        protocol: ProtocolVersion = ProtocolVersion.RESP3,
        periodic_checks: Any = None,
        pubsub_subscriptions: Any = None,
        inflight_requests_limit: int | None = None,
        recovery_requests_queue_size: int | None = None,
        client_az: str | None = None,
        advanced_config: AdvancedGlideClusterClientConfiguration | None = None,
        lazy_connect: bool | None = None,
        compression: Any = None,
        client_side_cache: ClientSideCache | None = None,
        address_resolver: Any = None,
        client_circuit_breaker: Any = None,
        lib_name: str | None = None,
        client_info_tag: str | None = None,
        rdma: Any = None,
        *,
        upstream: str | None = None,
        fallback: Fallback | None = None,
        runtime_dir: str | PathLike[str] | None = None,
    ) -> None:
        super().__init__(
            addresses,
            use_tls,
            credentials,
            read_from,
            request_timeout,
            reconnect_strategy,
            database_id,
            client_name,
            protocol,
            inflight_requests_limit,
            lazy_connect,
            client_side_cache,
            upstream,
            fallback,
            runtime_dir,
            {
                "periodic_checks": periodic_checks,
                "pubsub_subscriptions": pubsub_subscriptions,
                "recovery_requests_queue_size": recovery_requests_queue_size,
                "client_az": client_az,
                "compression": compression,
                "address_resolver": address_resolver,
                "client_circuit_breaker": client_circuit_breaker,
                "lib_name": lib_name,
                "client_info_tag": client_info_tag,
                "rdma": rdma,
            },
        )
        need(type(self).__name__, "advanced_config", advanced_config, AdvancedGlideClusterClientConfiguration)
        self.advanced_config = advanced_config


def _checked_addresses(owner: str, addresses: Any) -> list[NodeAddress]:
    try:
        checked = list(addresses)
    except TypeError:
        checked = [None]
    if isinstance(addresses, str) or not all(isinstance(each, NodeAddress) for each in checked):
        message = f"{owner}: addresses must be a list of NodeAddress, not {addresses!r:.100}"
        raise ConfigurationError(message)
    if not checked:
        message = f"{owner}: addresses must not be empty; leave it out for an upstream of the daemon's configuration"
        raise ConfigurationError(message)
    return checked
