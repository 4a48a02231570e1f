"""The servers that the daemon connects to, read from a library's connection arguments."""

from __future__ import annotations

from glidecache.config import (
    AdvancedGlideClientConfiguration,
    AdvancedGlideClusterClientConfiguration,
    GlideClientConfiguration,
    GlideClusterClientConfiguration,
    NodeAddress,
    ServerCredentials,
)
from glidecache.core.settings import DEFAULT_REQUEST_TIMEOUT_MS, Settings
from glidecache.errors import ConfigurationError
from glidecache.fronts.server_tls import NOT_FOR_THE_DAEMON, tls_configuration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from glidecache.fronts.front_options import FrontOptions
    from glidecache.fronts.libraries import Library

_DEFAULT_PORT = 6379


def settings_of(
    library: Library,
    options: FrontOptions,
    arguments: Mapping[str, Any],
    connection_class: Any,
    *,
    nodes: Sequence[tuple[str, int]] | None = None,
    by_sentinel: bool = False,
) -> Settings:
    """Return the settings of the pool client for connections with these arguments.

    nodes: a cluster's; None for a single server. Raises `ConfigurationError` for what the daemon cannot use.
    """
    mode = "standalone" if nodes is None else "cluster"
    common: dict[str, Any] = {
        "request_timeout": _timeout_ms(arguments.get("socket_timeout")),
        "client_side_cache": options.cache,
        "runtime_dir": options.runtime_dir,
        "fallback": "error",
        "lazy_connect": True,
    }
    if options.upstream is not None:
        common["upstream"] = options.upstream
    else:
        common |= _own_servers(library, arguments, connection_class, nodes, mode, by_sentinel=by_sentinel)
    if nodes is None:
        settings = Settings(GlideClientConfiguration(**common), "standalone")
    else:
        settings = Settings(GlideClusterClientConfiguration(**common), "cluster")
    if options.upstream is not None and nodes is None:
        settings.spec["expected_database_id"] = int(arguments.get("db") or 0)
    if options.settings_are_defaults:
        settings.spec["cache"]["settings_are_defaults"] = True
    return settings


def _own_servers(
    library: Library,
    arguments: Mapping[str, Any],
    connection_class: Any,
    nodes: Sequence[tuple[str, int]] | None,
    mode: str,
    *,
    by_sentinel: bool,
) -> dict[str, Any]:
    if by_sentinel:
        _refuse("a client whose address comes from Sentinel")
    if "path" in arguments:
        _refuse(f"the Unix socket {arguments['path']!r}")
    if nodes is None:
        nodes = [(arguments.get("host") or "localhost", int(arguments.get("port") or _DEFAULT_PORT))]
    found: dict[str, Any] = {"addresses": [NodeAddress(host, port) for host, port in nodes]}
    username, password = _credentials(library, arguments)
    if password is not None and password != "":
        found["credentials"] = ServerCredentials(password=_text(password), username=username or None)
    elif username:
        _refuse("a username without a password")
    if mode == "standalone":
        found["database_id"] = int(arguments.get("db") or 0)
    if library.uses_tls(connection_class):
        found |= _over_tls(arguments, mode)
    return found


def _over_tls(arguments: Mapping[str, Any], mode: str) -> dict[str, Any]:
    for name in NOT_FOR_THE_DAEMON:
        if arguments.get(name):
            _refuse(name)
    if arguments.get("ssl_password") and (arguments.get("ssl_keyfile") or arguments.get("ssl_certfile")):
        _refuse("a client certificate's key that has a password (ssl_password)")
    advanced = (
        AdvancedGlideClientConfiguration if mode == "standalone" else AdvancedGlideClusterClientConfiguration
    )
    return {"use_tls": True, "advanced_config": advanced(tls_config=tls_configuration(arguments))}


def _credentials(library: Library, arguments: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return username and password, which never change for as long as the client lives."""
    provider = arguments.get("credential_provider")
    if provider is None:
        return arguments.get("username"), arguments.get("password")
    if type(provider) is not library.static_credentials_class:
        _refuse(f"a credential_provider ({type(provider).__name__}), which may give others at any time")
    return provider.username, provider.password


def _text(password: Any) -> str:
    return password.decode() if isinstance(password, bytes) else str(password)


def _timeout_ms(seconds: Any) -> int | None:
    """Return the time for a miss: the upstream's, unless the library's own is shorter than the usual one.

    A library's time-out bounds a wait for a server that may be slow. Here the library asks the server itself
    afterwards, so waiting any longer for the daemon is of no use.
    """
    if seconds is None or float(seconds) * 1000 >= DEFAULT_REQUEST_TIMEOUT_MS:
        return None
    return max(1, int(float(seconds) * 1000))


def _refuse(what: str) -> None:
    message = (
        f"the daemon cannot use {what}: put the servers into its configuration, and say upstream=..., "
        "the name that they have there; or leave shared_cache out"
    )
    raise ConfigurationError(message)
