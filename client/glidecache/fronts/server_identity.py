"""The servers that the daemon connects to, read from a library's connection arguments."""

from __future__ import annotations

import os

from glidecache.config import (
    AdvancedGlideClientConfiguration,
    AdvancedGlideClusterClientConfiguration,
    GlideClientConfiguration,
    GlideClusterClientConfiguration,
    NodeAddress,
    ServerCredentials,
    TlsAdvancedConfiguration,
)
from glidecache.core.settings import DEFAULT_REQUEST_TIMEOUT_MS, Settings
from glidecache.errors import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from glidecache.fronts.front_options import FrontOptions
    from glidecache.fronts.libraries import Library

_DEFAULT_PORT = 6379
_NOT_FOR_THE_DAEMON = (
    "credential_provider",
    "ssl_certfile",
    "ssl_keyfile",
    "ssl_ca_path",
    "ssl_validate_ocsp",
    "ssl_validate_ocsp_stapled",
)
"""Arguments that only this process can use."""


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
    for name in _NOT_FOR_THE_DAEMON:
        if arguments.get(name):
            _refuse(f"{name}")
    if nodes is None:
        nodes = [(arguments.get("host") or "localhost", int(arguments.get("port") or _DEFAULT_PORT))]
    found: dict[str, Any] = {"addresses": [NodeAddress(host, port) for host, port in nodes]}
    password = arguments.get("password")
    if password is not None and password != "":
        username = arguments.get("username")
        found["credentials"] = ServerCredentials(password=str(password), username=username or None)
    elif arguments.get("username"):
        _refuse("a username without a password")
    if mode == "standalone":
        found["database_id"] = int(arguments.get("db") or 0)
    if library.uses_tls(connection_class):
        found["use_tls"] = True
        advanced = (
            AdvancedGlideClientConfiguration
            if mode == "standalone"
            else AdvancedGlideClusterClientConfiguration
        )
        found["advanced_config"] = advanced(tls_config=_tls(arguments))
    return found


def _tls(arguments: Mapping[str, Any]) -> TlsAdvancedConfiguration:
    requirement = arguments.get("ssl_cert_reqs", "required")
    insecure = requirement is None or requirement in {"none", 0}
    authorities = arguments.get("ssl_ca_data")
    path = arguments.get("ssl_ca_certs")
    if authorities is None and path is not None:
        try:
            with open(os.fspath(path), "rb") as file:
                authorities = file.read()
        except OSError as error:
            message = f"ssl_ca_certs: {path} cannot be read: {error.strerror}"
            raise ConfigurationError(message) from error
    if isinstance(authorities, str):
        authorities = authorities.encode()
    return TlsAdvancedConfiguration(use_insecure_tls=insecure or None, root_pem_cacerts=authorities or None)


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
