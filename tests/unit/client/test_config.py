"""Configurations: GLIDE's parameters and order, and refusals by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from glidecache import (
    AdvancedGlideClientConfiguration,
    AdvancedGlideClusterClientConfiguration,
    BackoffStrategy,
    ClientSideCache,
    ConfigurationError,
    GlideClientConfiguration,
    GlideClusterClientConfiguration,
    NodeAddress,
    ProtocolVersion,
    ReadFrom,
    ServerCredentials,
    TlsAdvancedConfiguration,
)
from glidecache.core.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

HERE = [NodeAddress("localhost", 6379)]
BOTH = (GlideClientConfiguration, GlideClusterClientConfiguration)


def spec(**configuration: Any) -> dict[str, Any]:
    return Settings(GlideClientConfiguration(**configuration), "standalone").spec


def test_glides_parameters_by_position() -> None:
    credentials = ServerCredentials("secret", "app")
    config = GlideClientConfiguration(
        HERE,
        True,
        credentials,
        ReadFrom.PREFER_REPLICA,
        500,
        BackoffStrategy(1, 2, 3),
        4,
        "me",
        ProtocolVersion.RESP2,
    )
    wire = Settings(config, "standalone").spec
    assert wire == {
        "mode": "standalone",
        "upstream": None,
        "addresses": [["localhost", 6379]],
        "use_tls": True,
        "tls": None,
        "username": "app",
        "password": "secret",
        "database_id": 4,
        "client_name": "me",
        "read_from": "prefer_replica",
        "request_timeout_ms": 500,
        "lazy_connect": False,
        "cache": None,
    }


def test_without_addresses_the_daemon_chooses_its_default() -> None:
    wire = spec()
    assert (wire["addresses"], wire["upstream"], wire["database_id"]) == (None, None, 0)


@pytest.mark.parametrize("configuration_class", BOTH)
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"addresses": "localhost:6379"}, "addresses must be a list of NodeAddress"),
        ({"addresses": [("localhost", 6379)]}, "addresses must be a list of NodeAddress"),
        ({"addresses": []}, "addresses must not be empty"),
        ({"addresses": HERE, "upstream": "default"}, "addresses and upstream exclude each other"),
        ({"upstream": "default", "database_id": 1}, "database_id goes with addresses"),
        ({"use_tls": True}, "use_tls goes with addresses"),
        ({"credentials": ServerCredentials("x")}, "credentials goes with addresses"),
        ({"fallback": "direct"}, 'fallback="direct" needs addresses'),
        ({"fallback": "never"}, "fallback is 'never'; it must be one of direct, error"),
        ({"request_timeout": 0}, "request_timeout is 0; it must be 1 to"),
        ({"request_timeout": 1.5}, "request_timeout must be int, not float"),
        ({"request_timeout": True}, "request_timeout must be int, not bool"),
        ({"addresses": HERE, "database_id": -1}, "database_id is -1"),
        ({"credentials": "secret"}, "credentials must be ServerCredentials, not str"),
        ({"client_side_cache": "catalog"}, "client_side_cache must be ClientSideCache, not str"),
        ({"read_from": ReadFrom.AZ_AFFINITY}, "AZ_AFFINITY is not supported yet; supported are PRIMARY"),
        ({"advanced_config": "fast"}, "advanced_config must be Advanced"),
        ({"pubsub_subscriptions": object()}, "pubsub_subscriptions is not supported"),
        ({"client_az": "eu-1"}, "client_az is not supported"),
        ({"compression": object()}, "compression is not supported"),
        ({"address_resolver": print}, "address_resolver is not supported"),
        ({"client_circuit_breaker": object()}, "client_circuit_breaker is not supported"),
        ({"lib_name": "x"}, "lib_name is not supported"),
        ({"client_info_tag": "x"}, "client_info_tag is not supported"),
        ({"rdma": object()}, "rdma is not supported"),
    ],
)
def test_what_is_refused_is_named(configuration_class: Any, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{configuration_class.__name__}: .*{message}"):
        configuration_class(**parameters)


@pytest.mark.parametrize(
    ("refused", "name"),
    [
        (lambda: GlideClientConfiguration(read_only=True), "read_only"),
        (lambda: GlideClientConfiguration(node_discovery_mode=object()), "node_discovery_mode"),
        (lambda: GlideClusterClientConfiguration(periodic_checks=object()), "periodic_checks"),
        (
            lambda: GlideClusterClientConfiguration(recovery_requests_queue_size=5),
            "recovery_requests_queue_size",
        ),
        (lambda: AdvancedGlideClientConfiguration(tcp_nodelay=True), "tcp_nodelay"),
        (lambda: AdvancedGlideClientConfiguration(connection_timeout=0), "connection_timeout"),
        (lambda: AdvancedGlideClusterClientConfiguration(None, None, True), "refresh_topology"),
        (lambda: TlsAdvancedConfiguration(cert_reload_interval_seconds=5), "cert_reload_interval_seconds"),
        (lambda: TlsAdvancedConfiguration(client_cert_pem=b"x"), "its key must be given together"),
        (
            lambda: TlsAdvancedConfiguration(None, None, b"x", b"y", client_cert_path="/x"),
            "exclude each other",
        ),
        (lambda: NodeAddress("h", 0), "port is 0"),
        (lambda: NodeAddress("", 1), "host must not be empty"),
        (lambda: NodeAddress("h", "1"), "port must be int"),  # type: ignore[arg-type]
        (lambda: NodeAddress(unix_socket_path="/x"), "unix_socket_path is not supported"),
        (lambda: ServerCredentials(username="app"), "password must be given"),
        (lambda: ServerCredentials(iam_config=object()), "iam_config is not supported"),
        (lambda: BackoffStrategy(-1, 2, 3), "num_of_retries is -1"),
        (
            lambda: spec(client_side_cache=ClientSideCache.create(1, 0, server_assisted=True)),
            "server_assisted=True",
        ),
        (lambda: spec(runtime_dir="/" + "d" * 120), "at most 107"),
        (
            lambda: spec(
                addresses=HERE,
                advanced_config=AdvancedGlideClientConfiguration(
                    tls_config=TlsAdvancedConfiguration(root_pem_cacerts=b"a certificate")
                ),
            ),
            "root_pem_cacerts is given, but TLS is disabled: set use_tls=True",
        ),
        (
            lambda: spec(
                addresses=HERE,
                advanced_config=AdvancedGlideClientConfiguration(
                    tls_config=TlsAdvancedConfiguration(use_insecure_tls=True)
                ),
            ),
            "use_insecure_tls cannot be enabled when use_tls is disabled",
        ),
        (
            lambda: Settings(GlideClusterClientConfiguration(HERE, fallback="direct"), "cluster"),
            "not supported yet with a cluster",
        ),
    ],
)
def test_what_is_refused_is_named_elsewhere_too(refused: Any, name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        refused()


def test_glides_defaults_may_be_given() -> None:
    GlideClientConfiguration(
        HERE, pubsub_subscriptions=None, client_az=None, read_only=False, compression=None, lazy_connect=None
    )


def test_tls_files_travel_as_bytes(tmp_path: Path) -> None:
    certificate, key = tmp_path / "certificate", tmp_path / "key"
    certificate.write_bytes(b"CERT")
    key.write_bytes(b"KEY")
    tls = TlsAdvancedConfiguration(True, b"CA", client_cert_path=certificate, client_key_path=str(key))
    advanced = AdvancedGlideClientConfiguration(tls_config=tls)
    wire = spec(addresses=HERE, use_tls=True, advanced_config=advanced)
    assert wire["tls"] == {"insecure": True, "ca": b"CA", "cert": b"CERT", "key": b"KEY"}
    key.unlink()
    with pytest.raises(ConfigurationError, match=f"client_key_path: .*{key}"):
        spec(addresses=HERE, use_tls=True, advanced_config=advanced)


def test_secrets_are_not_shown() -> None:
    assert "secret" not in repr(ServerCredentials("secret", "app"))


@pytest.mark.parametrize(
    ("parameters", "direct"),
    [
        ({"addresses": HERE}, True),
        ({"addresses": HERE, "fallback": "error"}, False),
        ({}, False),
        ({"upstream": "other", "fallback": "error"}, False),
    ],
)
def test_who_goes_direct(parameters: dict[str, Any], *, direct: bool) -> None:
    assert Settings(GlideClientConfiguration(**parameters), "standalone").may_go_direct is direct
