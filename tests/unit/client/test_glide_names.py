"""What GLIDE's Python clients offer, by the record that tools/record_glide.py writes, but for what is listed."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

import glidecache
import glidecache.sync
from glidecache.commands.unsupported import Unsupported
from support.glide_record import clients_of, record
from support.signatures import methods, shape

RECORD: dict[str, Any] = json.loads(Path(__file__).with_name("glide.json").read_text())

NOT_OFFERED = {name for name in vars(Unsupported) if not name.startswith("_")}
"""Refused by name, with a reason."""

OTHER_PARAMETERS = {
    ("get", "key, buffer=None"): "key",  # replies come as bytes objects of their own
    ("mget", "keys, buffers=None"): "keys",  # the same
    ("close", ""): "err_message=None",  # as the asyncio client's
    (
        "xadd",
        "key, values, options=<object>",
    ): "key, values, options=None",  # the same default, without an object
}

OTHER_CLASSES = {
    "BitEncoding": "an abstract base",
    "BitFieldOffset": "an abstract base",
    "StreamTrimOptions": "an abstract base",
    "ClientSideCache": "a name of its own, by which processes share",
    "EvictionPolicy": "other values, same names",
    "GlideClient": "made by `create` alone",
    "GlideClusterClient": "made by `create` alone",
    "GlideClientConfiguration": "addresses may be left out; parameters of its own at the end",
    "GlideClusterClientConfiguration": "addresses may be left out; parameters of its own at the end",
    "OpenTelemetryMetricsConfig": "no endpoint: the application's SDK exports",
    "OpenTelemetryTracesConfig": "no endpoint: the application's SDK exports",
    "ProtocolVersion": "other values, same names",
    "ReadFrom": "other values, same names",
}

LEFT_OUT = {
    "server modules (JSON, search)": """
        ConsistencyMode DataType DistanceMetricType Field FieldType HybridFilterPolicy InfoScope JsonArrIndexOptions
        JsonArrPopOptions JsonGetOptions LoadField NumericField QueryType ReturnField ShardScope TJsonResponse
        TJsonUniversalResponse TagField TextField ft glide_json json_batch
        """,
    "subscriptions": """
        ALL_CHANNELS ALL_PATTERNS ALL_SHARDED_CHANNELS ClientTrackingInfo MonitorClient MonitorMsg PubSubMsg
        """,
    "connections of one's own": """
        AddressResolver AsyncClientPool AsyncIsolatedScope CircuitBreakerError ClientCircuitBreakerConfiguration
        CompressionBackend CompressionConfiguration NodeDiscoveryMode PeriodicChecksManualInterval
        PeriodicChecksStatus PoolConfig get_min_compressed_size
        """,
    "credentials of clouds": "AwsCredentials GlideCredentialProvider IamAuthConfig ServiceType",
    "files: give the content": """
        load_client_certificate_and_key_from_file load_client_certificate_from_file load_client_key_from_file
        load_root_certificates_from_file
        """,
}
MODULE_PREFIXES = ("Ft", "Vector")

OURS = clients_of(glidecache, glidecache.sync)


@pytest.mark.parametrize("client", OURS)
def test_methods_have_glides_names_and_parameters(client: str) -> None:
    ours = methods(OURS[client])
    glides = {
        method: signature
        for method, by_signature in RECORD["methods"].items()
        for signature, holders in by_signature.items()
        if client in holders.split("; ") and method not in NOT_OFFERED
    }
    expected = {
        method: OTHER_PARAMETERS.get((method, signature), signature) for method, signature in glides.items()
    }
    assert {method: ours.get(method) for method in expected} == expected


@pytest.mark.parametrize("name", [name for name in RECORD["classes"] if name in glidecache.__all__])
def test_classes_have_glides_members_and_parameters(name: str) -> None:
    glides, ours = RECORD["classes"][name], shape(getattr(glidecache, name))
    if name in OTHER_CLASSES:
        assert glides != ours, "no longer different: take it from the list"
        return
    if "()" not in glides:
        # Where GLIDE's value is a table of its own, the name is what counts.
        ours = {member: None if glides.get(member, 0) is None else value for member, value in ours.items()}
    assert ours == glides


def test_every_public_name_is_here_or_left_out_for_a_reason() -> None:
    left_out = {name for names in LEFT_OUT.values() for name in names.split()}
    missing = {
        name
        for name in (*RECORD["classes"], *RECORD["other names"])
        if name not in glidecache.__all__ and not name.startswith(MODULE_PREFIXES)
    }
    assert missing == left_out
    assert not left_out & set(glidecache.__all__)


@pytest.mark.parametrize("name", sorted(NOT_OFFERED))
def test_what_is_not_offered_says_why(name: str) -> None:
    holders = " ".join(RECORD["methods"][name].values())
    assert holders
    for client in (glidecache.GlideClient, glidecache.sync.GlideClusterClient, glidecache.Batch):
        assert not hasattr(client, name)
        assert name not in dir(client.__new__(client))
        with pytest.raises(AttributeError, match=rf"{client.__name__}\.{name} is not offered: \w+ .*"):
            getattr(client, name)


@pytest.mark.skipif(
    not (importlib.util.find_spec("glide") and importlib.util.find_spec("glide_sync")),
    reason="GLIDE is not installed: the record cannot be compared with it (pip install '.[bench]')",
)
def test_the_record_is_of_the_installed_glide() -> None:
    assert record() == RECORD
