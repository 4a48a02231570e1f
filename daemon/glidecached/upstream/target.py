"""The owner of an upstream connection: the identity that pools are bound to, and the credentials that prove it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import ssl
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


Mode = Literal["standalone", "cluster"]

DEFAULT_USER = "default"
"""The server's own name for a client that gives no user name."""


class Address(NamedTuple):
    """The address of one server: a host with its port, or the path of a Unix socket with port 0."""

    host: str
    port: int

    @property
    def is_unix(self) -> bool:
        """Return whether `host` is the path of a Unix socket."""
        return self.port == 0

    def __str__(self) -> str:
        if self.is_unix:
            return f"unix:{self.host}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsMaterial:
    """The TLS settings for the servers; PEM texts as bytes, never paths. Not shown by `repr`."""

    insecure: bool = False
    ca: bytes | None = field(default=None, repr=False)
    certificate: bytes | None = field(default=None, repr=False)
    key: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The user name, password and TLS settings that prove the identity to the servers. Not shown by `repr`."""

    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: TlsMaterial | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The properties that two clients must have in common to share one pool (contract C18).

    `tls` is `"off"`, `"insecure"`, or `"verified"` with a digest of the given certificate authorities. A client that
    verifies its servers must never be answered from what an unverified connection brought. `user` is the name. For a
    client certificate without a name it is the digest, because a server may map certificates to users.
    """

    addresses: frozenset[Address]
    tls: str
    database: int
    user: str

    def differences(self, other: Identity) -> list[str]:
        """Return `"database 0, not 1"` for each field in which `other` is different."""
        return [
            f"{name} {_plain(mine)}, not {_plain(theirs)}"
            for name in (each.name for each in fields(self))
            if (mine := getattr(self, name)) != (theirs := getattr(other, name))
        ]

    def __str__(self) -> str:
        tls = "" if self.tls == "off" else f" over TLS ({self.tls})"
        return f"{_plain(self.addresses)}{tls}, database {self.database}, user {self.user}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The data needed to connect. Equal targets share one upstream: connections, order, proof."""

    mode: Mode
    addresses: tuple[Address, ...]
    database: int = 0
    credentials: Credentials = field(default_factory=Credentials)

    @property
    def identity(self) -> Identity:
        """Return the part of it that pools are bound to: no mode, no order of addresses, no secret."""
        credentials = self.credentials
        return Identity(
            addresses=frozenset(self.addresses),
            tls=_tls_identity(credentials.tls),
            database=self.database,
            user=credentials.username or _certificate_user(credentials.tls) or DEFAULT_USER,
        )


def parse_address(text: str) -> Address:
    """Read `host:port`, `[v6]:port` or `unix:/path`. Raises `ValueError` that says what is right."""
    if "@" in text:  # not shown: before it there is a password, in the URLs that people know
        message = (
            "an address with an @; write host:port, [IPv6]:port or unix:/path, and the user and the password in "
            "username and password_file"
        )
        raise ValueError(message)
    if text.startswith("unix:"):
        path = text.removeprefix("unix:").removeprefix("//")
        if not path.startswith("/"):
            message = f"{text!r} is not an address: a Unix socket's path must be absolute, as in unix:/run/valkey.sock"
            raise ValueError(message)
        return Address(path, 0)
    host, separator, port = text.rpartition(":")
    if not separator or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:  # noqa: PLR2004
        message = f"{text!r} is not an address; write host:port, [IPv6]:port or unix:/path"
        raise ValueError(message)
    return network_address(host.removeprefix("[").removesuffix("]"), int(port))


def network_address(host: str, port: int) -> Address:
    """Return the address of a host and port, the name in lower case.

    Raises `ValueError` for what cannot be a host or a port.
    """
    if not host or "/" in host or not host.isprintable() or any(character.isspace() for character in host):
        message = f"{host!r} is not a host name or an IP address"
        raise ValueError(message)
    if not 0 < port < 65536:  # noqa: PLR2004
        message = f"{port} is not a port; allowed are 1 to 65535"
        raise ValueError(message)
    return Address(host.lower(), port)


def numeric(address: Address) -> Address:
    """Return an address with the number of this host in place of `localhost`: clusters announce numbers."""
    return address._replace(host="127.0.0.1") if address.host == "localhost" else address


def _tls_identity(tls: TlsMaterial | None) -> str:
    if tls is None:
        return "off"
    if tls.insecure:
        return "insecure"
    return "verified" if tls.ca is None else f"verified by CA {_digest(tls.ca)}"


def _certificate_user(tls: TlsMaterial | None) -> str | None:
    if tls is None or tls.certificate is None:
        return None
    return f"certificate {_digest(tls.certificate)}"


def _digest(pem: bytes) -> str:
    return hashlib.sha256(pem).hexdigest()[:16]


def _plain(value: object) -> str:
    if isinstance(value, frozenset):
        return ",".join(sorted(str(each) for each in value))
    return str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamOptions:
    """The options of an upstream's connections: limits and times. A pool's identity does not depend on them."""

    connect_timeout_ms: int = 2_000
    reconnect_initial_ms: int = 50
    reconnect_max_ms: int = 1_000
    stall_timeout_ms: int = 15_000
    max_waiting_requests: int = 262_144
    max_blocking_connections: int = 64
    allow_replica: bool = False


_MOST_REMEMBERED = 256
_checked: dict[bytes, str | None] = {}
"""The fault of each text that was read recently, by the digest of the texts; None: no fault."""


class TlsMaterialError(ValueError):
    """A text that is not the PEM it should be: `args[0]` says which, and why."""


def check_tls(tls: TlsMaterial) -> None:
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
def tls_options(tls: TlsMaterial | None) -> Iterator[dict[str, Any]]:
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
