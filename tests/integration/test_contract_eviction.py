"""Contract C8–C12: the bound, and who has to leave when it is reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from glidecache import EvictionPolicy
from glidecache_shared.pool.store import charge_bytes
from support.caches import KEY_BYTES, VALUE_BYTES, is_cached, new_cache, sleep_past, write_entries

if TYPE_CHECKING:
    from support.connector import Connector
    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer

by_policy = pytest.mark.parametrize("policy", list(EvictionPolicy), ids=lambda policy: policy.name)


@by_policy
def test_c8_three_entries_fit_in_one_kb_a_fourth_does_not(
    connect: Connector, valkey: ValkeyServer, policy: EvictionPolicy
) -> None:
    *three, fourth = write_entries(valkey, "a", "b", "c", "d")
    client = connect(new_cache(1, eviction_policy=policy))
    for key in three:
        client.get(key)
    assert client.metrics().entry_count == 3
    assert client.metrics().evictions == 0
    client.get(fourth)
    assert client.metrics().entry_count == 3
    assert client.metrics().evictions == 1


@pytest.mark.parametrize("value_bytes", [1, 100, 1000, 9000])
def test_c8_as_many_entries_as_their_charges_allow(
    connect: Connector, valkey: ValkeyServer, value_bytes: int
) -> None:
    max_cache_kb = 48
    fit = max_cache_kb * 1024 // charge_bytes(KEY_BYTES, value_bytes)
    keys = write_entries(valkey, *(str(n) for n in range(fit + 7)), value_bytes=value_bytes)
    client = connect(new_cache(max_cache_kb))
    for number, key in enumerate(keys, 1):
        client.get(key)
        assert client.metrics().entry_count == min(number, fit)
    assert client.metrics().evictions == 7


@by_policy
def test_c9_an_entry_over_the_bound_is_skipped_and_evicts_nothing(
    connect: Connector, daemon: Daemon, valkey: ValkeyServer, policy: EvictionPolicy
) -> None:
    keys = write_entries(valkey, "a", "b", "c")
    client = connect(new_cache(1, eviction_policy=policy))
    for key in keys:
        client.get(key)
    valkey.admin.set("whale", "x" * 2000)
    log = len(daemon.log_text())
    for _ in range(2):
        assert client.get("whale") == b"x" * 2000
    assert valkey.calls("get") == 5
    assert client.metrics().entry_count == 3
    assert client.metrics().evictions == 0
    assert all(is_cached(client, valkey, key) for key in keys)
    assert "level=debug" in daemon.log_text()[log:], "a debug line tells what was skipped"


@by_policy
def test_c10_victims_leave_one_at_a_time_and_not_one_more(
    connect: Connector, valkey: ValkeyServer, policy: EvictionPolicy
) -> None:
    bound = 16 * 1024
    small = charge_bytes(KEY_BYTES, VALUE_BYTES)
    fit = bound // small
    keys = write_entries(valkey, *(str(n) for n in range(fit)))
    client = connect(new_cache(16, eviction_policy=policy))
    for key in keys:
        client.get(key)
    (large,) = write_entries(valkey, "large", value_bytes=5000)
    must_leave = -(-(fit * small + charge_bytes(KEY_BYTES, 5000) - bound) // small)
    client.get(large)
    assert client.metrics().evictions == must_leave
    assert client.metrics().entry_count == fit - must_leave + 1
    assert all(is_cached(client, valkey, key) for key in [large, *keys[must_leave:]])


def test_c10_an_entry_that_fits_is_always_stored(connect: Connector, valkey: ValkeyServer) -> None:
    """Sizes that leave free space in pieces of all lengths: none of them may keep a later entry out."""
    client = connect(new_cache(64))
    for number in range(120):
        value_bytes = (number * 977) % 12_000 + 1
        (key,) = write_entries(valkey, f"k{number}", value_bytes=value_bytes)
        client.get(key)
        assert is_cached(client, valkey, key), f"{value_bytes} bytes"


def test_c11_lru_evicts_what_was_not_accessed_for_longest(connect: Connector, valkey: ValkeyServer) -> None:
    a, b, c, d = write_entries(valkey, "a", "b", "c", "d")
    client = connect(new_cache(1, eviction_policy=EvictionPolicy.LRU))
    for key in (a, b, c, a, a, c):
        client.get(key)
    client.get(d)
    assert [is_cached(client, valkey, key) for key in (a, c, d, b)] == [True, True, True, False]


def test_c11_lfu_evicts_the_lowest_count(connect: Connector, valkey: ValkeyServer) -> None:
    a, b, c, d = write_entries(valkey, "a", "b", "c", "d")
    client = connect(new_cache(1, eviction_policy=EvictionPolicy.LFU))
    for key in (a, b, c, a, b, a, b, a, c):  # four, three, and two accesses, the last one to c
        client.get(key)
    client.get(d)
    assert [is_cached(client, valkey, key) for key in (a, b, d, c)] == [True, True, True, False]


def test_c11_lfu_among_equals_evicts_the_oldest_access(connect: Connector, valkey: ValkeyServer) -> None:
    a, b, c, d = write_entries(valkey, "a", "b", "c", "d")
    client = connect(new_cache(1, eviction_policy=EvictionPolicy.LFU))
    for key in (a, b, c, b, a, c):
        client.get(key)
    client.get(d)
    assert [is_cached(client, valkey, key) for key in (a, c, d, b)] == [True, True, True, False]


@by_policy
def test_c11_hits_of_every_process_count(
    connect: Connector, valkey: ValkeyServer, policy: EvictionPolicy
) -> None:
    a, b, c, d = write_entries(valkey, "a", "b", "c", "d")
    cache = new_cache(1, eviction_policy=policy)
    client = connect(cache)
    worker = connect.worker(cache)
    for key in (a, b, c):
        client.get(key)
    for _ in range(2):
        worker.call("get", a)
    client.get(c)
    client.get(d)
    assert [is_cached(client, valkey, key) for key in (a, c, d, b)] == [True, True, True, False]


def test_c11_counts_do_not_decay(connect: Connector, valkey: ValkeyServer) -> None:
    a, b, c, *others = write_entries(valkey, "a", "b", "c", *(f"o{n}" for n in range(30)))
    client = connect(new_cache(1, eviction_policy=EvictionPolicy.LFU))
    for key in (a, a, a, b, b, b, c):
        client.get(key)
    for key in others:  # each evicts the one before it
        client.get(key)
    assert is_cached(client, valkey, a)
    assert is_cached(client, valkey, b)
    assert client.metrics().evictions == len(others)


@by_policy
def test_c12_a_victim_that_has_expired_counts_as_an_expiration(
    connect: Connector, valkey: ValkeyServer, policy: EvictionPolicy
) -> None:
    ttl_ms = 400
    *three, fourth = write_entries(valkey, "a", "b", "c", "d")
    client = connect(new_cache(1, entry_ttl_ms=ttl_ms, eviction_policy=policy))
    for key in three:
        client.get(key)
    sleep_past(ttl_ms)
    client.get(fourth)
    assert client.metrics().expirations == 1
    assert client.metrics().evictions == 0
    assert client.metrics().entry_count == 3
