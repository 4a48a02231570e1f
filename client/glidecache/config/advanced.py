"""The advanced settings: connection time-out and TLS."""

from __future__ import annotations

import os

from glidecache.config.checks import described, need, need_ms, refuse_unsupported
from glidecache.errors import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from os import PathLike
    from typing import Any

_TLS = "TlsAdvancedConfiguration"
_UNSUPPORTED = {
    "cert_reload_interval_seconds": "create a new client when a certificate changes",
    "pubsub_reconciliation_interval": "subscriptions are bound to one connection, and the daemon's are shared",
    "refresh_topology_from_initial_nodes": "the daemon refreshes the topology by itself",
    "tcp_nodelay": "the daemon writes what waits in one go, and chooses its sockets' options",
}


class TlsAdvancedConfiguration:
    """The TLS settings for the servers. PEM texts are bytes; files are read when the client is created.

    They are sent to the daemon as bytes: it opens no path that a client names (architecture 12).
    """

    def __init__(
        self,
        use_insecure_tls: bool | None = None,
        root_pem_cacerts: bytes | None = None,
        client_cert_pem: bytes | None = None,
        client_key_pem: bytes | None = None,
        *,
        client_cert_path: str | PathLike[str] | None = None,
        client_key_path: str | PathLike[str] | None = None,
        cert_reload_interval_seconds: int | None = None,
    ) -> None:
        refuse_unsupported(_TLS, {"cert_reload_interval_seconds": cert_reload_interval_seconds}, _UNSUPPORTED)
        need(_TLS, "use_insecure_tls", use_insecure_tls, bool)
        for name, text in (
            ("root_pem_cacerts", root_pem_cacerts),
            ("client_cert_pem", client_cert_pem),
            ("client_key_pem", client_key_pem),
        ):
            need(_TLS, name, text, bytes)
        for given, path, name in (
            (client_cert_pem, client_cert_path, "client_cert"),
            (client_key_pem, client_key_path, "client_key"),
        ):
            if given is not None and path is not None:
                message = f"{_TLS}: {name}_pem and {name}_path exclude each other"
                raise ConfigurationError(message)
        if (client_cert_pem is None and client_cert_path is None) != (
            client_key_pem is None and client_key_path is None
        ):
            message = f"{_TLS}: a client certificate and its key must be given together"
            raise ConfigurationError(message)
        self.use_insecure_tls = use_insecure_tls
        self.root_pem_cacerts = root_pem_cacerts
        self.client_cert_pem = client_cert_pem
        self.client_key_pem = client_key_pem
        self.client_cert_path = client_cert_path
        self.client_key_path = client_key_path

    def __repr__(self) -> str:
        """Show the settings; of certificates and keys, only the lengths."""
        return described(self)

    def need_no_tls(self) -> None:
        """Raise `ConfigurationError` for settings that make no sense without TLS, as GLIDE does."""
        if self.use_insecure_tls:
            message = f"{_TLS}: use_insecure_tls cannot be enabled when use_tls is disabled"
            raise ConfigurationError(message)
        for name in ("root_pem_cacerts", "client_cert_pem", "client_cert_path"):
            if getattr(self, name) is not None:
                message = f"{_TLS}: {name} is given, but TLS is disabled: set use_tls=True, or leave it out"
                raise ConfigurationError(message)

    def as_wire(self) -> dict[str, Any]:
        """Return the settings as `ATTACH` carries them. Raises `ConfigurationError` for a file that cannot be read."""
        return {
            "insecure": bool(self.use_insecure_tls),
            "ca": self.root_pem_cacerts,
            "cert": self.client_cert_pem or _read("client_cert_path", self.client_cert_path),
            "key": self.client_key_pem or _read("client_key_path", self.client_key_path),
        }


class _AdvancedConfiguration:
    """The common part of both modes."""

    def __init__(
        self,
        connection_timeout: int | None,
        tls_config: TlsAdvancedConfiguration | None,
        unsupported: dict[str, Any],
    ) -> None:
        owner = type(self).__name__
        need_ms(owner, "connection_timeout", connection_timeout)
        need(owner, "tls_config", tls_config, TlsAdvancedConfiguration)
        refuse_unsupported(owner, unsupported, _UNSUPPORTED)
        self.connection_timeout = connection_timeout
        self.tls_config = tls_config

    def __repr__(self) -> str:
        return described(self)


class AdvancedGlideClientConfiguration(_AdvancedConfiguration):
    """The advanced settings. `connection_timeout` bounds the check of the upstream at creation, ms (2000 if None)."""

    def __init__(
        self,
        connection_timeout: int | None = None,
        tls_config: TlsAdvancedConfiguration | None = None,
        tcp_nodelay: bool | None = None,
        pubsub_reconciliation_interval: int | None = None,
    ) -> None:
        super().__init__(
            connection_timeout,
            tls_config,
            {
                "tcp_nodelay": tcp_nodelay,
                "pubsub_reconciliation_interval": pubsub_reconciliation_interval,
            },
        )


class AdvancedGlideClusterClientConfiguration(_AdvancedConfiguration):
    """The advanced settings. `connection_timeout` bounds the check of the upstream at creation, ms (2000 if None)."""

    def __init__(
        self,
        connection_timeout: int | None = None,
        tls_config: TlsAdvancedConfiguration | None = None,
        refresh_topology_from_initial_nodes: bool = False,
        tcp_nodelay: bool | None = None,
        pubsub_reconciliation_interval: int | None = None,
    ) -> None:
        super().__init__(
            connection_timeout,
            tls_config,
            {
                "refresh_topology_from_initial_nodes": refresh_topology_from_initial_nodes,
                "tcp_nodelay": tcp_nodelay,
                "pubsub_reconciliation_interval": pubsub_reconciliation_interval,
            },
        )


def _read(name: str, path: str | PathLike[str] | None) -> bytes | None:
    if path is None:
        return None
    try:
        with open(os.fspath(path), "rb") as file:
            return file.read()
    except OSError as error:
        message = f"{_TLS}: {name}: {error}"
        raise ConfigurationError(message) from error
