"""From a library's TLS arguments to the TLS settings of the daemon's own connections to the same servers."""

from __future__ import annotations

import os

from glidecache.config import TlsAdvancedConfiguration
from glidecache.errors import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

NOT_FOR_THE_DAEMON = (
    "ssl_ca_path",
    "ssl_include_verify_flags",
    "ssl_validate_ocsp",
    "ssl_validate_ocsp_stapled",
)
"""Arguments that make a connection stricter than the daemon can be, or name this process's files."""


def tls_configuration(arguments: Mapping[str, Any]) -> TlsAdvancedConfiguration:
    """Return what the daemon needs to reach the servers as connections with these arguments do.

    Files are read now, since the daemon opens no path that a client names. Raises `ConfigurationError` for a file that
    cannot be read. The daemon compares a verified certificate with the host's name, whatever `ssl_check_hostname` is.
    """
    requirement = arguments.get("ssl_cert_reqs", "required")
    insecure = requirement is None or requirement in {"none", 0}
    authorities = _authorities(arguments.get("ssl_ca_data")) + _content(arguments, "ssl_ca_certs")
    certificate = _content(arguments, "ssl_certfile")
    # As in OpenSSL, a certificate's file may have the key too.
    key = _content(arguments, "ssl_keyfile") or certificate
    try:
        return TlsAdvancedConfiguration(
            use_insecure_tls=insecure or None,
            root_pem_cacerts=authorities or None,
            client_cert_pem=certificate or None,
            client_key_pem=key or None,
        )
    except ConfigurationError as error:
        message = f"ssl_certfile is missing: {error}"
        raise ConfigurationError(message) from error


def _content(arguments: Mapping[str, Any], name: str) -> bytes:
    path = arguments.get(name)
    if not path:
        return b""
    try:
        with open(os.fspath(path), "rb") as file:
            return file.read()
    except OSError as error:
        message = f"{name}: {path} cannot be read: {error.strerror}"
        raise ConfigurationError(message) from error


def _authorities(data: Any) -> bytes:
    """Return `ssl_ca_data` as PEM: it is PEM if it is text, and DER otherwise."""
    if not data:
        return b""
    if isinstance(data, str):
        return data.encode() + b"\n"
    if bytes(data).lstrip().startswith(b"-----BEGIN"):  # the libraries refuse it, with their own text
        return bytes(data) + b"\n"
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=data)
    except (ssl.SSLError, TypeError) as error:
        message = f"ssl_ca_data is no certificate in DER: {error}"
        raise ConfigurationError(message) from error
    found = context.get_ca_certs(binary_form=True)
    return "".join(map(ssl.DER_cert_to_PEM_cert, found)).encode()
