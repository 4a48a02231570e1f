"""Which pool a client gets, and when pools end (contract C18 to C20)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from glidecache_shared import lease
from glidecache_shared.protocol import STRING
from glidecached.pools.manager import PoolManager, UnknownCacheError
from glidecached.pools.metadata import ConfiguredCache, PoolKey
from glidecached.pools.pool_stats import pool_stats
from glidecached.pools.table import CacheRefusedError
from support.catalog import identity, settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecached.pools.pool import Pool

HANDOUT_MS = 3_000
PROBE_MS = 1_000


def named(name: str = "catalog") -> PoolKey:
    return PoolKey(name, None)


def unnamed(cache_id: str = "u-1") -> PoolKey:
    return PoolKey(None, cache_id)


def take(pool: Pool) -> lease.Lease:
    """What a client does with a pool that it was handed."""
    handout = pool.client_info()
    held = lease.hold(handout["lease_path"], handout["lease_inode"])
    assert held is not None
    return held


@pytest.fixture
def registry(make_registry: Callable[..., PoolManager]) -> PoolManager:
    return make_registry()


def test_c19_one_cache_object_is_one_pool_and_two_are_two(registry: PoolManager) -> None:
    pool = registry.join(unnamed("a"), identity(), settings())
    assert registry.join(unnamed("a"), identity(), settings()) is pool
    assert registry.join(unnamed("b"), identity(), settings()) is not pool
    assert registry.join(named("a"), identity(), settings()) is not pool


def test_c18_a_held_pool_refuses_another_identity(registry: PoolManager) -> None:
    with take(registry.join(unnamed(), identity(), settings())):
        text = "another server, database or user: database 0, not 1; all programs .* in the same words .*cache name"
        with pytest.raises(CacheRefusedError, match=text):
            registry.join(unnamed(), identity(database=1), settings())
        with pytest.raises(CacheRefusedError, match="user default, not other"):
            registry.join(unnamed(), identity(user="other"), settings())


def test_c19_a_held_name_refuses_other_settings_and_lists_them(registry: PoolManager) -> None:
    with take(registry.join(named(), identity(), settings())):
        with pytest.raises(CacheRefusedError) as raised:
            registry.join(named(), identity(), settings(entry_ttl_ms=5, eviction_policy="LFU"))
        message = str(raised.value)
        assert "entry_ttl_ms 0, not 5" in message
        assert "eviction_policy LRU, not LFU" in message
        assert "max_cache_kb" not in message


def test_c19_an_unheld_name_is_made_again_with_other_settings(registry: PoolManager) -> None:
    old = registry.join(named(), identity(), settings())
    take(old).close()
    handout = old.client_info()
    new = registry.join(named(), identity(), settings(entry_ttl_ms=5))
    assert old.ended
    assert new.settings.entry_ttl_ms == 5
    # Who was told of the old one, and comes late, notices: by the lease, or, where its number was given to the new
    # one's file, by the pool's path.
    assert not Path(handout["pool_path"]).exists()
    take(new).close()


def test_c20_an_unnamed_pool_ends_when_its_last_holder_is_gone(
    registry: PoolManager, loop: Any, tmp_path: Path
) -> None:
    registry.start()
    pool = registry.join(unnamed(), identity(), settings())
    first, second = take(pool), take(pool)
    loop.pass_time(HANDOUT_MS + PROBE_MS)
    first.close()
    loop.pass_time(2 * PROBE_MS)
    assert not pool.ended
    second.close()
    pool.last_attach_ns -= HANDOUT_MS * 1_000_000  # time passes
    loop.pass_time(2 * PROBE_MS)
    assert pool.ended
    assert len(registry) == 0
    assert list(tmp_path.iterdir()) == []


def test_c20_a_pool_that_was_just_handed_out_is_not_ended(registry: PoolManager, loop: Any) -> None:
    registry.start()
    pool = registry.join(unnamed(), identity(), settings())
    loop.pass_time(2 * PROBE_MS)
    assert not pool.ended


def test_c20_a_named_pool_lives_without_holders(registry: PoolManager, loop: Any) -> None:
    registry.start()
    pool = registry.join(named(), identity(), settings())
    pool.last_attach_ns = 0
    loop.pass_time(10 * PROBE_MS)
    assert registry.join(named(), identity(), settings()) is pool


def test_c19_all_bounds_together_stay_below_the_limit(make_registry: Callable[..., PoolManager]) -> None:
    registry = make_registry(max_total_cache_kb=100)
    held = [take(registry.join(unnamed(), identity(), settings(60)))]
    with pytest.raises(CacheRefusedError, match=r"max_cache_kb=50, and 60 KB .*max_total_cache_kb=100"):
        registry.join(named(), identity(), settings(50))
    held.append(take(registry.join(named(), identity(), settings(40))))
    for each in held:
        each.close()


def test_c19_unheld_pools_make_room_before_a_client_is_refused(
    make_registry: Callable[..., PoolManager],
) -> None:
    registry = make_registry(max_total_cache_kb=100)
    registry.join(unnamed("gone"), identity(), settings(60))
    assert registry.join(unnamed("new"), identity(), settings(60))
    assert len(registry) == 1


def test_c19_a_cache_of_the_configuration_is_joined_by_its_name_alone(registry: PoolManager) -> None:
    registry.changes.configure(ConfiguredCache(name="catalog", identity=identity(), settings=settings()))
    pool = registry.join_configured("catalog", identity())
    assert registry.join_configured("catalog", identity()) is pool
    with pytest.raises(CacheRefusedError, match="database 0, not 3"):
        registry.join_configured("catalog", identity(database=3))
    with pytest.raises(CacheRefusedError, match=r"ClientSideCache\.named\('catalog'\)"):
        registry.join(named(), identity(), settings())
    with pytest.raises(CacheRefusedError, match="no cache 'other'; it has: catalog"):
        registry.join_configured("other", identity())


def test_a_dropped_cache_ends_though_it_is_held_and_can_be_made_again(registry: PoolManager) -> None:
    pool = registry.join(named(), identity(), settings())
    with take(pool):
        registry.drop("catalog")
        assert pool.ended
        again = registry.join(named(), identity(), settings())
        assert again is not pool
        take(again).close()


def test_a_dropped_cache_of_the_configuration_comes_back(registry: PoolManager) -> None:
    registry.changes.configure(ConfiguredCache(name="catalog", identity=identity(), settings=settings()))
    registry.drop("catalog")
    assert not registry.join_configured("catalog", identity()).ended


def test_c16_a_flush_empties_one_cache(registry: PoolManager) -> None:
    pool = registry.join(named(), identity(), settings(enable_metrics=True))
    other = registry.join(unnamed(), identity(), settings())
    for each in (pool, other):
        each.entries.insert(b"k", STRING, b"v", 1)
    removed: list[int] = []
    registry.flush("catalog", removed.append)
    assert removed == [1]
    assert pool.entries.lookup(b"k", STRING, 0) is None
    assert other.entries.lookup(b"k", STRING, 0) == b"v"
    metrics = pool_stats(pool)["metrics"]
    assert (metrics["evictions"], metrics["expirations"]) == (0, 0)


def test_unknown_caches_are_named(registry: PoolManager) -> None:
    registry.join(unnamed("u-7"), identity(), settings())
    for ask in (registry.find, registry.drop):
        with pytest.raises(UnknownCacheError, match="no cache 'x'; there are: u-7"):
            ask("x")


def test_of_very_many_caches_some_are_named(registry: PoolManager) -> None:
    for number in range(25):
        registry.join(named(f"cache-{number:02}"), identity(), settings(max_cache_kb=1))
    with pytest.raises(UnknownCacheError) as refused:
        registry.find("x" * 100_000)
    message = str(refused.value)
    assert "cache-19 and 5 more" in message
    assert "cache-20" not in message
    assert len(message) < 1_000


def test_a_reply_that_comes_after_the_pools_end_is_not_stored(registry: PoolManager) -> None:
    pool = registry.join(named(), identity(), settings())
    registry.drop("catalog")
    pool.entries.insert(b"k", STRING, b"v", 1)


def test_names_never_become_paths(registry: PoolManager, tmp_path: Path) -> None:
    registry.join(named("../../etc/passwd\0"), identity(), settings())
    registry.join(unnamed("/absolute"), identity(), settings())
    assert all(path.parent == tmp_path for path in tmp_path.iterdir())
    assert len(list(tmp_path.iterdir())) == 6


def test_closing_leaves_no_file(registry: PoolManager, tmp_path: Path) -> None:
    with take(registry.join(named(), identity(), settings())):
        registry.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"max_cache_kb": 0}, "max_cache_kb is 0"),
        ({"entry_ttl_ms": -1}, "entry_ttl_ms must be|it must be non-negative"),
        ({"eviction_policy": "FIFO"}, "FIFO.*LRU, LFU"),
    ],
)
def test_settings_out_of_range(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        settings(**wrong)
