"""I9: how many pools a process and a user may make, and what ends for others; I11: which user owns a name."""

from __future__ import annotations

import itertools
import os
import random
import resource
from typing import TYPE_CHECKING, Any

import pytest

from glidecached.access import Peer
from glidecached.pools.cache_shares import Maker, PoolShares
from glidecached.pools.manager import PoolManager
from glidecached.pools.metadata import OPEN, Admission, PoolKey, PoolMetadata, decode_metadata
from glidecached.pools.table import CacheBusyError, CacheRefusedError
from glidecached.pools.warm_restart import PreviousPools
from glidecached.process.limits import plan_descriptors
from glidecached.sequence import Sequence
from support.catalog import identity, settings
from unit.daemon.test_pool_manager import take

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from glidecached.pools.pool import Pool

USER, OTHER_USER = 70_001, 70_002
STRING = 1
HANDOUT_MS = 3_000


def peer(uid: int = USER, pid: int = 1) -> Peer:
    return Peer(uid, uid, pid)


def name(number: int) -> PoolKey:
    return PoolKey(f"c{number}", None)


@pytest.fixture
def start(loop: Any, tmp_path: Path) -> Iterator[Callable[..., PoolManager]]:
    """Open a daemon's registry in the directory; close the previous one, as when a daemon stops."""
    made: list[PoolManager] = []
    instances = itertools.count(1)

    def begin(max_pools: int = 16, max_total_cache_kb: int = 100_000, *, inherit: bool = True) -> PoolManager:
        for registry in made:
            registry.close()
        registry = PoolManager(
            loop,
            tmp_path,
            instance_id=next(instances),
            grace_ms=5_000,
            max_total_cache_kb=max_total_cache_kb,
            max_pools=max_pools,
            next_number=Sequence(),
            previous_pools=PreviousPools(tmp_path),
        )
        made.append(registry)
        if inherit:
            registry.inherit({})
        return registry

    yield begin
    for registry in made:
        registry.close()


def fill(registry: PoolManager, who: Peer, count: int, *, first: int = 0) -> list[Pool]:
    """Make pools and use them, so that they are worth keeping."""
    pools = []
    for number in range(first, first + count):
        pool = registry.join(name(number), identity(), settings(), peer=who)
        pool.entries.insert(b"k", STRING, b"v", 1)
        pools.append(pool)
    return pools


def test_i9_a_process_alone_leaves_room_and_beside_others_has_a_quarter(
    start: Callable[..., PoolManager],
) -> None:
    registry = start()
    fill(registry, peer(), 9)
    with pytest.raises(
        CacheBusyError, match=rf"caches are full for process 1 of uid {USER}: 9 in use.*max_pools"
    ):
        fill(registry, peer(), 1, first=12)
    fill(registry, peer(pid=3), 1, first=20)
    fill(registry, peer(OTHER_USER, 2), 2, first=30)
    assert len(registry) == 12


def test_i9_what_nobody_holds_and_was_never_used_makes_room_for_its_maker(
    start: Callable[..., PoolManager],
) -> None:
    """Names that were never used leave for their maker's new ones, and their number stays bounded."""
    registry = start()
    for number in range(100):
        registry.join(name(number), identity(), settings(), peer=peer())
    assert len(registry) == 9
    held = [
        take(registry.join(name(number), identity(), settings(), peer=peer())) for number in range(91, 100)
    ]
    with pytest.raises(CacheBusyError):
        registry.join(name(100), identity(), settings(), peer=peer())
    held.pop().close()
    registry.join(name(100), identity(), settings(), peer=peer())


def test_i9_named_pools_that_nobody_holds_leave_for_others_the_longest_idle_first(
    start: Callable[..., PoolManager],
) -> None:
    registry = start(max_pools=8)
    # These belong to the daemon's own user, who has no user's share.
    pools = [pool for pid in range(1, 9) for pool in fill(registry, peer(os.geteuid(), pid), 1, first=pid)]
    assert len(registry) == 8
    # These are too fresh: their clients may be about to take them.
    with pytest.raises(CacheBusyError):
        registry.join(name(50), identity(), settings(), peer=peer(OTHER_USER, 20))
    for age_s, pool in zip((9, 8, 7, 6, 5, 4.5, 4, 3.5), pools, strict=True):
        pool.last_attach_ns -= int(age_s * 1e9)
    with take(pools[0]):
        pools[0].last_attach_ns -= 60_000_000_000
        registry.join(name(50), identity(), settings(), peer=peer(OTHER_USER, 20))
        assert [pool.ended for pool in pools] == [False, True] + [False] * 6


def fill_users_part(registry: PoolManager) -> None:
    """Make as many as the user may have alone, from four processes; the last part is for small holders."""
    for pid, count in ((1, 4), (2, 4), (3, 3), (4, 1)):
        fill(registry, peer(pid=pid), count, first=4 * pid)


def test_i9_a_users_idle_pools_leave_for_another_of_its_processes(start: Callable[..., PoolManager]) -> None:
    """Names that were used once, such as one for each release, do not block new ones, also after a restart."""
    registry = start()
    fill_users_part(registry)
    with pytest.raises(CacheBusyError, match=f"caches are full for uid {USER}"):
        fill(registry, peer(pid=40), 1, first=40)
    for new in (60, 61):
        pools = sorted(registry._table, key=lambda pool: pool.last_attach_ns)
        for age_s, pool in enumerate(reversed(pools), start=4):
            pool.last_attach_ns -= age_s * 1_000_000_000
        fill(registry, peer(pid=41), 1, first=new)
        assert [pool.ended for pool in pools] == [True] + [False] * 11
        registry = start()


def test_i9_room_in_kb_is_made_by_what_nobody_holds(start: Callable[..., PoolManager]) -> None:
    registry = start(max_total_cache_kb=100)
    (old,) = fill(registry, peer(), 1)
    wanted = settings(max_cache_kb=60)
    assert old.settings.max_cache_kb == 64
    with pytest.raises(CacheRefusedError, match="max_total_cache_kb=100"):
        registry.join(name(1), identity(), wanted, peer=peer(OTHER_USER, 2))
    old.last_attach_ns -= 4_000_000_000
    registry.join(name(1), identity(), wanted, peer=peer(OTHER_USER, 2))
    assert old.ended


def test_i9_a_cache_that_was_made_for_nothing_keeps_no_room(start: Callable[..., PoolManager]) -> None:
    """The cache has the maximum size, and no client took it: the next client waits a moment at most."""
    registry = start(max_total_cache_kb=100)
    large = registry.join(name(0), identity(), settings(max_cache_kb=100), peer=peer())
    with pytest.raises(CacheRefusedError):
        registry.join(name(1), identity(), settings(), peer=peer(OTHER_USER, 2))
    large.last_attach_ns -= 300_000_000
    registry.join(name(1), identity(), settings(), peer=peer(OTHER_USER, 2))
    assert large.ended


def test_i9_a_process_with_a_cache_leaves_a_part_of_the_kb_for_others(
    start: Callable[..., PoolManager],
) -> None:
    registry = start(max_total_cache_kb=1_600)
    registry.join(name(0), identity(), settings(max_cache_kb=1_450), peer=peer()).entries.insert(
        b"k", STRING, b"v", 1
    )
    with pytest.raises(
        CacheBusyError, match=f"max_total_cache_kb is full for process 1 of uid {USER}.* 100 KB"
    ):
        registry.join(name(1), identity(), settings(max_cache_kb=64), peer=peer())
    registry.join(name(1), identity(), settings(max_cache_kb=64), peer=peer(pid=2))


def test_i9_exhaustion_does_not_survive_a_restart(start: Callable[..., PoolManager], tmp_path: Path) -> None:
    registry = start()
    for number in range(9):
        registry.join(name(number), identity(), settings(), peer=peer())
    (used,) = fill(registry, peer(), 1, first=20)
    held = take(registry.join(name(30), identity(), settings(), peer=peer()))
    assert used.settings == settings()
    registry = start()
    assert sorted(pool["name"] for pool in registry.stats()) == ["c20", "c30"]
    held.close()
    assert len(list(tmp_path.glob("*.lease"))) == 2


def test_i9_a_pool_counts_for_its_maker_after_a_restart(start: Callable[..., PoolManager]) -> None:
    registry = start()
    fill_users_part(registry)
    registry = start()
    assert len(registry) == 12
    # The user is not the daemon's, and alone: its share is three quarters.
    with pytest.raises(CacheBusyError, match=f"caches are full for uid {USER}: 12 in use"):
        fill(registry, peer(pid=40), 1, first=40)
    fill(registry, peer(OTHER_USER, 50), 2, first=50)


def test_i9_more_pools_than_there_may_be_are_not_gone_on_with(start: Callable[..., PoolManager]) -> None:
    registry = start()
    fill_users_part(registry)
    assert len(start(max_pools=5)) == 5


def test_i9_the_limit_of_open_files_counts(start: Callable[..., PoolManager]) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    registry = start(max_pools=4_096)
    resource.setrlimit(resource.RLIMIT_NOFILE, (150, hard))
    try:
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - numbers of descriptors
        with pytest.raises(CacheBusyError, match="RLIMIT_NOFILE"):
            fill(registry, peer(), 100)
        pools = len(registry)
        assert len(os.listdir("/proc/self/fd")) - before == 3 * pools  # noqa: PTH208
        room = plan_descriptors(150).pools
        assert room == 8
        assert pools == 5  # three quarters, less one for the user's other processes
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_i9_an_origin_without_a_maker_is_readable() -> None:
    origin = PoolMetadata(
        key=name(1), identity=identity(), settings=settings(), configured=False, maker_uid=USER
    )
    assert decode_metadata(origin.encode()) == origin
    old = origin.encode().replace(f', "maker_uid": {USER}'.encode(), b"")
    assert old != origin.encode()
    decoded = decode_metadata(old)
    assert decoded is not None
    assert decoded.maker_uid is None
    assert decoded.key == origin.key


@pytest.mark.parametrize("seed", range(8))
def test_i9_counts_are_right_whatever_comes_and_goes(start: Callable[..., PoolManager], seed: int) -> None:
    """The test compares with a model: the number of pools, by maker."""
    chance = random.Random(seed)
    registry = start(max_pools=12)
    held: list[Any] = []
    for _ in range(100):
        who = peer(chance.choice([USER, OTHER_USER, 0]), chance.randrange(1, 5))
        key = (
            PoolKey(f"n{chance.randrange(20)}", None)
            if chance.random() < 0.6
            else PoolKey(None, f"u{chance.randrange(9)}")
        )
        try:
            pool = registry.join(key, identity(), settings(entry_ttl_ms=chance.randrange(2)), peer=who)
            if chance.random() < 0.5:
                held.append(take(pool))
            if chance.random() < 0.5:
                pool.entries.insert(b"k", STRING, b"v", 1)
            pool.last_attach_ns -= chance.randrange(6) * 1_000_000_000
        except CacheRefusedError:
            pass
        if held and chance.random() < 0.5:
            held.pop(chance.randrange(len(held))).close()
        if chance.random() < 0.1:
            registry._probe()
        if chance.random() < 0.1 and len(registry):
            registry.drop(chance.choice([pool.label for pool in registry._table]))
        shares = registry._table.shares
        assert shares.held == len(registry) <= 12
        by_maker: dict[Maker, int] = {}
        for pool in registry._table:
            assert pool.maker is not None
            by_maker[pool.maker] = by_maker.get(pool.maker, 0) + pool.counted_kb
        assert shares._kb == by_maker
    for each in held:
        each.close()


def test_i11_a_name_of_another_user_is_replaced_only_by_the_same_upstream_and_access(
    start: Callable[..., PoolManager],
) -> None:
    registry = start()
    pool = registry.join(name(1), identity(), settings(), peer=peer())
    with pytest.raises(
        CacheRefusedError,
        match=rf"is uid {USER}'s, for another server, database or user: database 0, not 1.*glidecache drop",
    ):
        registry.join(name(1), identity(database=1), settings(), peer=peer(OTHER_USER, 2))
    listed = Admission(upstream="listed", access=type(OPEN.access)(uids=frozenset({OTHER_USER})))
    with pytest.raises(CacheRefusedError, match=f"is uid {USER}'s, with"):
        registry.join(name(1), identity(), settings(), listed, peer(OTHER_USER, 2))
    assert not pool.ended
    # A deployment changes the TTL: with the same upstream and access, any user may (C19).
    second = registry.join(name(1), identity(), settings(entry_ttl_ms=9), peer=peer(OTHER_USER, 2))
    assert pool.ended
    # Its maker may also move it to another database.
    registry.join(name(1), identity(database=1), settings(), peer=peer(OTHER_USER, 3))
    assert second.ended


def test_i9_without_a_limit_of_open_files_the_key_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    monkeypatch.setattr(resource, "getrlimit", lambda _what: unlimited)
    assert PoolShares(77).room(7) == 70
    assert PoolShares(1_000_000).room(0) > 10_000
    assert PoolShares(5).room(7) == 1
