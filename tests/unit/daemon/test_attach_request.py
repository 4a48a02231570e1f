"""What clients ask for in ATTACH: wrong forms and impossible wishes are told apart, and clearly."""

from __future__ import annotations

from typing import Any

import pytest

from glidecached.frontend.dispatcher import MalformedError
from glidecached.handlers.attach_request import SpecError, read_spec
from glidecached.pools.metadata import PoolKey, PoolSettings
from glidecached.upstream.target import Address

SETTINGS = {"max_cache_kb": 1, "entry_ttl_ms": 0}
ADDRESSES = {"addresses": [["h", 1]]}


def spec(**fields: Any) -> dict[str, Any]:
    return {"mode": "standalone", **fields}


def test_a_client_that_says_nothing_gets_the_default_upstream() -> None:
    read = read_spec(spec())
    assert (read.upstream, read.has_cache, read.lazy_connect) == ("default", False, False)


def test_c18_identity_is_addresses_as_a_set_tls_database_and_user() -> None:
    def identity(**fields: Any) -> object:
        return read_spec(spec(**fields)).target.identity

    base = identity(addresses=[["A", 1], ["b", 2]])
    assert base == identity(addresses=[["b", 2], ["a", 1], ["b", 2]])
    assert base == identity(
        addresses=[["a", 1], ["b", 2]], client_name="x", password="p", read_from="prefer_replica"
    )
    assert base == identity(addresses=[["a", 1], ["b", 2]], username="default", request_timeout_ms=7)
    for other in (
        {"addresses": [["a", 1]]},
        {"database_id": 1},
        {"username": "u"},
        {"use_tls": True},
        {"use_tls": True, "tls": {"insecure": True}},
        {"use_tls": True, "tls": {"ca": b"pem"}},
        {"use_tls": True, "tls": {"cert": b"pem", "key": b"pem"}},
    ):
        assert base != identity(**{"addresses": [["a", 1], ["b", 2]], **other})


def test_secrets_are_not_shown() -> None:
    shown = repr(
        read_spec(spec(**ADDRESSES, password="hunter2", use_tls=True, tls={"cert": b"c3rt", "key": b"k3y"}))
    )
    assert not [secret for secret in ("hunter2", "c3rt", "k3y") if secret in shown]


def test_forms_of_caches() -> None:
    assert read_spec(spec(cache={"name": "n"})).configured_cache == "n"
    unnamed = read_spec(spec(cache={"id": "u", "settings": SETTINGS}))
    assert unnamed.pool_key == PoolKey(None, "u")
    assert unnamed.pool_settings == PoolSettings(max_cache_kb=1, entry_ttl_ms=0)
    shared = read_spec(spec(cache={"id": "u", "name": "n", "settings": SETTINGS}))
    assert shared.pool_key == PoolKey("n", None)


def test_addresses_are_kept_in_order() -> None:
    read = read_spec(spec(addresses=[["B", 2], ["a", 1]]))
    assert read.target.addresses == (Address("b", 2), Address("a", 1))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("standalone", "spec is str; expected a map"),
        ({}, "mode is None; expected one of standalone, cluster"),
        (spec(mode="both"), "spec's|mode is 'both'; expected one of"),
        (spec(colour="red"), "unknown key 'colour'; known are mode, upstream"),
        (spec(upstream=1), "spec's upstream is int; expected str or nil"),
        (spec(use_tls=1), "use_tls is int; expected bool"),
        (spec(database_id=True), "database_id is bool; expected int"),
        (spec(addresses=["h:1"]), r"address 'h:1' is not \[host, port\]"),
        (spec(read_from="nobody"), "read_from is 'nobody'"),
        (spec(**ADDRESSES, use_tls=True, tls={"ca": "text"}), "tls's ca is str; expected bytes or nil"),
        (spec(cache={}), "neither settings nor a name"),
        (spec(cache={"settings": SETTINGS}), "neither an id nor a name"),
        (spec(cache={"id": "u", "settings": {"max_cache_kb": 1}}), "lack entry_ttl_ms"),
        (
            spec(cache={"id": "u", "settings": {**SETTINGS, "max_cache_kb": "1"}}),
            "max_cache_kb is str; expected int",
        ),
    ],
)
def test_wrong_forms(value: Any, message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        read_spec(value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (spec(**ADDRESSES, upstream="default"), "exclude each other"),
        (spec(addresses=[]), "0 addresses were given"),
        (spec(addresses=[["", 1]]), "not a host name"),
        (spec(addresses=[["/run/valkey.sock", 1]]), "not a host name"),
        (spec(addresses=[["h", 0]]), "0 is not a port"),
        (spec(**ADDRESSES, database_id=-1), "database_id is -1"),
        (spec(**ADDRESSES, use_tls=True, tls={"cert": b"pem"}), "certificate and its key"),
        (spec(request_timeout_ms=0), "request_timeout_ms is 0"),
        (spec(cache={"name": ""}), "name has 0 characters"),
        (spec(cache={"name": "n" * 300}), "name has 300 characters"),
        (
            spec(cache={"id": "u", "settings": {**SETTINGS, "max_cache_kb": 0}}),
            "max_cache_kb is 0; it must be positive",
        ),
        (spec(cache={"id": "u", "settings": {**SETTINGS, "entry_ttl_ms": -1}}), "must be non-negative"),
        (spec(cache={"id": "u", "settings": {**SETTINGS, "eviction_policy": "FIFO"}}), "LRU, LFU"),
    ],
)
def test_impossible_wishes(value: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        read_spec(value)
