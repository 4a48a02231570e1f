"""TLS material as the daemon gets it, PEM texts in memory: checked when it comes, then handed to valkey-py."""

from __future__ import annotations

import contextlib
import os
import ssl
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from glidecached.upstream.identity import TlsMaterial


class TlsMaterialError(ValueError):
    """A text that is not the PEM it should be: `args[0]` says which, and why."""


def check(tls: TlsMaterial) -> None:
    """Read all texts once, so that what cannot be read is refused when it is given. Raises `TlsMaterialError`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if tls.ca is not None:
        try:
            context.load_verify_locations(cadata=tls.ca.decode("ascii"))
        except (ssl.SSLError, ValueError) as error:
            message = f"the root certificates are not readable as PEM: {error}"
            raise TlsMaterialError(message) from error
    if tls.certificate is None or tls.key is None:
        return
    with _memory_file(tls.certificate) as certificate, _memory_file(tls.key) as key:
        try:
            context.load_cert_chain(certificate, key, password=_no_password)
        except ssl.SSLError as error:
            message = f"the client certificate and its key are not readable as PEM, or do not match: {error}"
            raise TlsMaterialError(message) from error


@contextlib.contextmanager
def connection_options(tls: TlsMaterial | None) -> Iterator[dict[str, Any]]:
    """valkey-py's TLS arguments; to be used within the context, which the files of certificate and key live in."""
    if tls is None:
        yield {}
        return
    with contextlib.ExitStack() as stack:
        certificate, key = (
            None if content is None else stack.enter_context(_memory_file(content))
            for content in (tls.certificate, tls.key)
        )
        yield {
            "ssl_cert_reqs": ssl.CERT_NONE if tls.insecure else ssl.CERT_REQUIRED,
            "ssl_check_hostname": not tls.insecure,
            "ssl_ca_data": None if tls.ca is None else tls.ca.decode("ascii"),
            "ssl_certfile": certificate,
            "ssl_keyfile": key,
        }


@contextlib.contextmanager
def _memory_file(content: bytes) -> Iterator[str]:
    """A path that leads to `content` while the context lasts: Python's ssl reads certificates only from paths."""
    descriptor = os.memfd_create("glidecached-pem", os.MFD_CLOEXEC)
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        file.write(content)
        yield f"/proc/self/fd/{descriptor}"


def _no_password() -> str:
    """Without it, OpenSSL would ask the daemon's terminal for the password of an encrypted key, and wait."""
    message = "the key of the client certificate is encrypted; give it without a password"
    raise TlsMaterialError(message)
