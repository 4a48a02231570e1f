"""Cache objects: GLIDE's fields and refusals, and whom they share with (contract C19)."""

from __future__ import annotations

import copy
import pickle
import uuid
from typing import Any

import pytest

from glidecache import ClientSideCache, EvictionPolicy


def test_c19_copies_and_pickles_share_and_separate_objects_do_not() -> None:
    cache = ClientSideCache.create(1024, 60_000, EvictionPolicy.LFU, enable_metrics=True, name="catalog")
    for same in (copy.copy(cache), copy.deepcopy(cache), pickle.loads(pickle.dumps(cache))):  # noqa: S301
        assert same == cache
        assert same.as_wire() == cache.as_wire()
    assert ClientSideCache.create(1024, 60_000).cache_id != ClientSideCache.create(1024, 60_000).cache_id


def test_c19_the_id_is_a_random_uuid() -> None:
    assert uuid.UUID(ClientSideCache.create(1, 0).cache_id).version == 4


def test_defaults_are_glides() -> None:
    cache = ClientSideCache.create(1024, 0)
    assert (cache.eviction_policy, cache.enable_metrics, cache.server_assisted) == (None, False, False)
    assert cache.as_wire() == {
        "id": cache.cache_id,
        "settings": {
            "max_cache_kb": 1024,
            "entry_ttl_ms": 0,
            "eviction_policy": "LRU",
            "enable_metrics": False,
        },
    }


def test_glides_constructor_takes_its_fields_by_position() -> None:
    cache = ClientSideCache("7", 10, 20, EvictionPolicy.LFU, True, False)
    assert cache.as_wire()["id"] == "7"
    assert cache.as_wire()["settings"]["eviction_policy"] == "LFU"


def test_c19_a_name_alone_is_the_daemons_cache() -> None:
    assert ClientSideCache.named("catalog").as_wire() == {"name": "catalog"}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((0, 0), ValueError, "max_cache_kb must be positive"),
        ((-1, 0), ValueError, "max_cache_kb must be positive"),
        ((1, -1), ValueError, r"entry_ttl_ms must be non-negative \(0 = no expiration\)"),
        ((1, 0, "FIFO"), ValueError, "EvictionPolicy.LRU or EvictionPolicy.LFU, not 'FIFO'"),
        ((1.5, 0), TypeError, "max_cache_kb must be an int, not float"),
        ((True, 0), TypeError, "max_cache_kb must be an int, not bool"),
        ((1, "60"), TypeError, "entry_ttl_ms must be an int, not str"),
    ],
)
def test_bad_settings(arguments: tuple[Any, ...], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ClientSideCache.create(*arguments)


@pytest.mark.parametrize("value", [None, 1, "true"])
def test_c29_bad_server_ttl(value: Any) -> None:
    with pytest.raises(TypeError, match="server_ttl must be a bool, not"):
        ClientSideCache.create(1, 0, server_ttl=value)


def test_c29_it_is_sent_only_when_it_is_on() -> None:
    """An older daemon, which does not know it, serves all others."""
    assert "server_ttl" not in ClientSideCache.create(1, 0).as_wire()["settings"]
    assert ClientSideCache.create(1, 0, server_ttl=True).as_wire()["settings"]["server_ttl"] is True
    assert ClientSideCache("7", 1, 0, server_ttl=True) != ClientSideCache("7", 1, 0)


@pytest.mark.parametrize(("name", "error"), [("", ValueError), (5, TypeError), (None, TypeError)])
def test_bad_names(name: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="name must"):
        ClientSideCache.named(name)
