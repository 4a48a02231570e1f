"""TLS material as the daemon gets it, PEM texts in memory: checked when it comes, then handed to valkey-py."""

from __future__ import annotations

import contextlib
import hashlib
import os
import ssl
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from glidecached.upstream.target import TlsMaterial


_MOST_REMEMBERED = 256
_checked: dict[bytes, str | None] = {}
"""The fault of each text that was read recently, by the digest of the texts; None: no fault."""


class TlsMaterialError(ValueError):
    """A text that is not the PEM it should be: `args[0]` says which, and why."""


def check(tls: TlsMaterial) -> None:
    """Read all texts once, so that what cannot be read is refused when it is given. Raises `TlsMaterialError`.

    A text of a megabyte takes long to read, and clients bring the same one again and again. So the result is
    remembered, by the text's digest.
    """
    parts = (tls.ca, tls.certificate, tls.key)
    digest = hashlib.sha256()
    for part in parts:
        digest.update(b"-" if part is None else b"%d:" % len(part))
        digest.update(part or b"")
    key = digest.digest()
    if key in _checked:
        fault = _checked.pop(key)
    else:
        fault = _find_fault(tls)
        if len(_checked) >= _MOST_REMEMBERED:
            del _checked[next(iter(_checked))]
    _checked[key] = fault
    if fault is not None:
        raise TlsMaterialError(fault)


def _find_fault(tls: TlsMaterial) -> str | None:
    try:
        _read(tls)
    except TlsMaterialError as error:
        return str(error)
    return None


def _read(tls: TlsMaterial) -> None:
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
    """Yield valkey-py's TLS arguments. Certificate and key are files that exist only within the context."""
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
    """Yield a path that leads to `content` while the context lasts: Python's ssl reads certificates only from paths."""
    descriptor = os.memfd_create("glidecached-pem", os.MFD_CLOEXEC)
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        file.write(content)
        yield f"/proc/self/fd/{descriptor}"


def _no_password() -> str:
    """Raise `TlsMaterialError`: the key is encrypted.

    Without this function OpenSSL would ask the daemon's terminal for the password, and wait.
    """
    message = "the key of the client certificate is encrypted; give it without a password"
    raise TlsMaterialError(message)
