"""A server that speaks TLS, and authorities that sign for it and for its clients.

The embedded Valkey is built without TLS, so this is the system's `redis-server`; `scripts/system-deps` installs it.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
import trustme

from support.valkey_server import HOST, ValkeyServer, free_port

if TYPE_CHECKING:
    from pathlib import Path


class Authority:
    """A certificate authority of a test's own: what it signs is accepted by those who are given `ca`."""

    def __init__(self) -> None:
        self._authority = trustme.CA()
        self.ca: bytes = self._authority.cert_pem.bytes()

    def certificate(self, name: str) -> tuple[bytes, bytes]:
        """A certificate for a host's name or address, and its key, both as PEM."""
        issued = self._authority.issue_cert(name)
        chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        return chain, issued.private_key_pem.bytes()


class SystemServer(ValkeyServer):
    """A server of the system's package, `redis-server`."""

    def executable(self) -> str:
        """Return the system's server; without it skip the test, or fail where CI has to have it."""
        path = shutil.which("redis-server")
        if path is None:
            message = "no redis-server here: scripts/system-deps installs it"
            if os.environ.get("CI"):
                pytest.fail(message)
            pytest.skip(message)
        return path


class TlsServer(SystemServer):
    """A server with a TLS port beside the plain one, which stays the test's own.

    `client_ca`: clients have to show a certificate that this authority signed.
    """

    def __init__(
        self,
        directory: Path,
        *directives: str,
        authority: Authority,
        name: str = HOST,
        client_ca: bytes | None = None,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        certificate, key = authority.certificate(name)
        for file, content in (
            ("cert.pem", certificate),
            ("key.pem", key),
            ("ca.pem", client_ca or authority.ca),
        ):
            (directory / file).write_bytes(content)
        self.tls_port = free_port()
        super().__init__(
            directory,
            f"tls-port {self.tls_port}",
            f"tls-cert-file {directory / 'cert.pem'}",
            f"tls-key-file {directory / 'key.pem'}",
            f"tls-ca-cert-file {directory / 'ca.pem'}",
            f"tls-auth-clients {'no' if client_ca is None else 'yes'}",
            *directives,
        )
