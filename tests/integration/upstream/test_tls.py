"""TLS: who is verified by what, and what of that tells pools apart (contract C18)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization

from glidecache import (
    AdvancedGlideClientConfiguration,
    ClosingError,
    ConfigurationError,
    NodeAddress,
    RequestError,
    ServerCredentials,
    TlsAdvancedConfiguration,
)
from support.caches import new_cache
from support.valkey_server import HOST

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.clients import AnyClient
    from support.connector import Connector
    from support.daemon import Daemon
    from support.tls_server import Authority, TlsServer


def over_tls(daemon: Daemon, server: TlsServer, **tls: Any) -> dict[str, Any]:
    """A configuration's keywords for a client that reaches this server by TLS."""
    return {
        "runtime_dir": str(daemon.runtime_dir),
        "addresses": [NodeAddress(HOST, server.tls_port)],
        "use_tls": True,
        "advanced_config": AdvancedGlideClientConfiguration(tls_config=TlsAdvancedConfiguration(**tls)),
    }


def encrypted(key: bytes) -> bytes:
    """The same key, with a password."""
    return serialization.load_pem_private_key(key, password=None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.BestAvailableEncryption(b"password"),
    )


def works(client: AnyClient) -> bool:
    """Whether a value of some size comes back as it went."""
    value = bytes(range(256)) * 1024
    client.call("set", "large", value)
    client.call("hset", "hash", {"field": "value"})
    return client.get("large") == value and client.call("hgetall", "hash") == {b"field": b"value"}


def test_a_server_is_verified_by_the_given_authority(
    connect: Connector, daemon: Daemon, tls_server: TlsServer, authority: Authority
) -> None:
    assert works(connect(new_cache(), **over_tls(daemon, tls_server, root_pem_cacerts=authority.ca)))


def test_a_server_of_another_authority_is_refused(
    connect: Connector,
    daemon: Daemon,
    tls_server: TlsServer,
    strange_authority: Authority,
) -> None:
    for tls in ({"root_pem_cacerts": strange_authority.ca}, {}):
        with pytest.raises(ClosingError, match="certificate verify failed") as raised:
            connect(**over_tls(daemon, tls_server, **tls))
        assert str(tls_server.tls_port) in str(raised.value)


def test_a_certificate_for_another_host_is_refused(
    connect: Connector, daemon: Daemon, start_tls: Callable[..., TlsServer], authority: Authority
) -> None:
    server = start_tls(name="elsewhere.example")
    with pytest.raises(ClosingError, match="mismatch"):
        connect(**over_tls(daemon, server, root_pem_cacerts=authority.ca))


def test_nobody_is_unverified_but_on_request(
    connect: Connector, daemon: Daemon, start_tls: Callable[..., TlsServer]
) -> None:
    server = start_tls(name="elsewhere.example")
    assert works(connect(**over_tls(daemon, server, use_insecure_tls=True)))


def test_what_is_no_certificate_is_refused_by_name(
    connect: Connector, daemon: Daemon, tls_server: TlsServer, authority: Authority
) -> None:
    certificate, key = authority.certificate("client")
    _, other_key = authority.certificate("other")
    for tls, about in (
        ({"root_pem_cacerts": b"no certificate"}, "root certificates"),
        ({"root_pem_cacerts": "Grüße".encode()}, "root certificates"),
        (
            {"root_pem_cacerts": authority.ca, "client_cert_pem": b"none", "client_key_pem": key},
            "certificate",
        ),
        (
            {"root_pem_cacerts": authority.ca, "client_cert_pem": certificate, "client_key_pem": other_key},
            "match",
        ),
        ({"client_cert_pem": certificate, "client_key_pem": encrypted(key)}, "encrypted"),
    ):
        with pytest.raises(ConfigurationError, match=about):
            connect(**over_tls(daemon, tls_server, **tls))


def test_a_client_certificate_is_shown_where_the_server_asks(
    connect: Connector,
    daemon: Daemon,
    start_tls: Callable[..., TlsServer],
    authority: Authority,
    strange_authority: Authority,
    tmp_path: Path,
) -> None:
    server = start_tls(client_ca=authority.ca)
    certificate, key = authority.certificate("client")
    verified = {"root_pem_cacerts": authority.ca}
    assert works(
        connect(**over_tls(daemon, server, **verified, client_cert_pem=certificate, client_key_pem=key))
    )
    (tmp_path / "client.pem").write_bytes(certificate)
    (tmp_path / "client.key").write_bytes(key)
    paths = {"client_cert_path": tmp_path / "client.pem", "client_key_path": tmp_path / "client.key"}
    assert works(connect(**over_tls(daemon, server, **verified, **paths)))
    with pytest.raises(ClosingError, match=str(server.tls_port)):
        connect(**over_tls(daemon, server, **verified))
    certificate, key = strange_authority.certificate("client")
    with pytest.raises(ClosingError, match=str(server.tls_port)):
        connect(**over_tls(daemon, server, **verified, client_cert_pem=certificate, client_key_pem=key))


def test_a_server_without_tls_and_a_client_without_it_are_refused_in_time(
    connect: Connector, daemon: Daemon, tls_server: TlsServer
) -> None:
    verified = over_tls(daemon, tls_server)
    for addresses, use_tls in (
        ([NodeAddress(HOST, tls_server.port)], True),
        ([NodeAddress(HOST, tls_server.tls_port)], False),
    ):
        advanced = AdvancedGlideClientConfiguration(300, TlsAdvancedConfiguration() if use_tls else None)
        wrong = {**verified, "addresses": addresses, "use_tls": use_tls, "advanced_config": advanced}
        wrong["request_timeout"] = 300
        with pytest.raises(ClosingError, match=str(addresses[0].port)):
            connect(**wrong)


def test_c18_verified_and_unverified_clients_never_share_a_pool(
    connect: Connector,
    daemon: Daemon,
    tls_server: TlsServer,
    authority: Authority,
    strange_authority: Authority,
) -> None:
    cache = new_cache()
    connect(cache, **over_tls(daemon, tls_server, root_pem_cacerts=authority.ca)).get("k")
    both = authority.ca + strange_authority.ca
    for tls in ({"use_insecure_tls": True}, {"root_pem_cacerts": both}):
        with pytest.raises(ConfigurationError, match="tls"):
            connect(cache, **over_tls(daemon, tls_server, **tls))
    # Who was refused has no part in it, whoever asks first.
    with pytest.raises(ClosingError):
        connect(new_cache(), **over_tls(daemon, tls_server, root_pem_cacerts=strange_authority.ca))


def test_user_password_and_database_over_tls(
    connect: Connector, daemon: Daemon, tls_server: TlsServer, authority: Authority
) -> None:
    reached = over_tls(daemon, tls_server, root_pem_cacerts=authority.ca)
    client = connect(new_cache(), **reached, credentials=ServerCredentials("secret", "app"), database_id=3)
    client.call("set", "app:k", "v")
    assert client.get("app:k") == b"v"
    with pytest.raises(ClosingError, match="WRONGPASS"):
        connect(**reached, credentials=ServerCredentials("wrong", "app"))
    with pytest.raises(RequestError, match="NOPERM"):
        client.call("set", "other:k", "v")
