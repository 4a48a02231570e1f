"""Pools that a reload changes: what stays, what begins anew, and what happens where there is no room."""

from __future__ import annotations

import itertools
import logging
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from glidecache_shared.pool.generation import PoolFull
from glidecache_shared.pool.reader import PoolReader
from glidecache_shared.protocol import STRING
from glidecached.access import Access
from glidecached.pools.generation_copy import GenerationCopy
from glidecached.pools.manager import PoolManager
from glidecached.pools.metadata import Admission, ConfiguredCache, PoolKey
from glidecached.pools.table import CacheRefusedError
from glidecached.pools.warm_restart import PreviousPools
from glidecached.sequence import Sequence
from support.catalog import ENTRIES, catalog, count, identity, settings, settle
from support.log_events import event_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = PoolKey("catalog", None)


def test_the_entries_stay_and_nobody_waits(registry: PoolManager, loop: Any) -> None:
    pool = registry.find("catalog")
    before = pool.client_info()["pool_path"]
    registry.changes.reconfigure(catalog(max_cache_kb=2048, enable_metrics=True))
    assert pool.is_resizing
    assert pool.client_info()["pool_path"] == before
    pool.entries.insert(b"meanwhile", STRING, b"v", ENTRIES + 1)
    settle(registry, loop)
    assert registry.find("catalog") is pool
    assert pool.client_info()["pool_path"] != before
    assert pool.client_info()["enable_metrics"]
    assert count(registry) == ENTRIES + 1
    assert pool.entries.lookup(b"meanwhile", STRING, 0) == b"v"


def test_another_ttl_is_in_force_at_once_and_needs_no_files(registry: PoolManager) -> None:
    path = registry.find("catalog").client_info()["pool_path"]
    registry.changes.reconfigure(catalog(entry_ttl_ms=5))
    assert not registry.find("catalog").is_resizing
    assert registry.find("catalog").client_info()["pool_path"] == path
    assert registry.find("catalog").settings == settings(max_cache_kb=1024, entry_ttl_ms=5)


def test_c18_another_identity_begins_anew(registry: PoolManager) -> None:
    old = registry.find("catalog")
    registry.changes.reconfigure(catalog(database=1))
    assert old.ended
    assert count(registry) == 0
    with pytest.raises(CacheRefusedError, match="another server, database or user"):
        registry.join_configured("catalog", identity())


def test_a_cache_that_is_no_longer_configured_ends(registry: PoolManager) -> None:
    old = registry.find("catalog")
    registry.changes.unconfigure("catalog")
    assert old.ended
    with pytest.raises(CacheRefusedError, match="has no cache 'catalog'; it has: none"):
        registry.join_configured("catalog", identity())


def test_c19_a_name_that_clients_had_is_the_configurations_now(make_registry: Any) -> None:
    registry = make_registry()
    old = registry.join(KEY, identity(), settings())
    registry.changes.reconfigure(catalog())
    assert old.ended
    assert registry.find("catalog").configured


def test_c19_a_growing_pool_claims_its_room_at_once(registry: PoolManager, loop: Any) -> None:
    registry.max_total_cache_kb = 4096
    registry.changes.reconfigure(catalog(max_cache_kb=4000))
    with pytest.raises(CacheRefusedError, match="4000 KB of the daemon's"):
        registry.join(PoolKey("other", None), identity(), settings(max_cache_kb=97))
    settle(registry, loop)
    registry.join(PoolKey("other", None), identity(), settings(max_cache_kb=96))


def test_c19_a_pool_that_would_outgrow_the_total_keeps_its_bound(
    registry: PoolManager, loop: Any, caplog: pytest.LogCaptureFixture
) -> None:
    registry.max_total_cache_kb = 2000
    registry.changes.reconfigure(catalog(max_cache_kb=2001, eviction_policy="LFU"))
    settle(registry, loop)
    assert registry.find("catalog").settings == settings(max_cache_kb=1024, eviction_policy="LFU")
    (told,) = event_lines(caplog.records)
    assert told.startswith('event="pool not enlarged, max_total_cache_kb is in use" cache=catalog ')
    assert told.endswith(" kept_kb=1024 max_cache_kb=2001 others_kb=0 max_total_cache_kb=2000")


class Full(GenerationCopy):
    """A file system that is full after some entries."""

    def run(self, until_ns: int | None) -> Any:
        del until_ns
        self._resize.step(300)
        raise PoolFull


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glidecached.pools.pool.GenerationCopy", Full)


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize(("wanted_kb", "kept_kb"), [(2048, 1024), (512, 512)])
def test_c8_without_room_for_both_the_pool_stays_with_the_smaller_bound(
    registry: PoolManager, loop: Any, tmp_path: Path, wanted_kb: int, kept_kb: int
) -> None:
    files = sorted(tmp_path.iterdir())
    registry.changes.reconfigure(catalog(max_cache_kb=wanted_kb))
    settle(registry, loop)
    assert registry.find("catalog").settings.max_cache_kb == kept_kb
    assert registry.find("catalog").claimed_kb == kept_kb
    assert sorted(tmp_path.iterdir()) == files
    assert count(registry) == ENTRIES


@pytest.mark.usefixtures("full")
def test_without_room_for_both_a_cache_whose_users_change_begins_anew(
    registry: PoolManager, loop: Any
) -> None:
    old = registry.find("catalog")
    registry.changes.reconfigure(catalog(access=Access(uids=frozenset({1}))))
    settle(registry, loop)
    assert old.ended
    assert count(registry) == 0
    assert registry.find("catalog").admission.access == Access(uids=frozenset({1}))


def test_a_pool_that_ends_on_its_way_leaves_no_files(
    registry: PoolManager, loop: Any, tmp_path: Path
) -> None:
    registry.changes.reconfigure(catalog(max_cache_kb=2048))
    registry.drop("catalog")
    settle(registry, loop)
    assert list(tmp_path.iterdir()) == []


def test_c20_a_pool_that_is_left_on_its_way_arrives_first(loop: Any, tmp_path: Path) -> None:
    def daemon() -> PoolManager:
        return PoolManager(
            loop,
            tmp_path,
            instance_id=7,
            grace_ms=5_000,
            max_total_cache_kb=10_000,
            next_number=Sequence(),
            previous_pools=PreviousPools(tmp_path),
        )

    first = daemon()
    first.changes.configure(catalog())
    first.find("catalog").entries.insert(b"k", STRING, b"v", 1)
    first.changes.reconfigure(catalog(max_cache_kb=2048))
    first.close()
    second = daemon()
    second.changes.configure(catalog(max_cache_kb=2048))
    assert second.find("catalog").entries.lookup(b"k", STRING, 0) == b"v"
    second.drop("catalog")


def test_pools_of_an_upstreams_clients_follow_its_users(make_registry: Any, loop: Any) -> None:
    registry = make_registry()
    new = Access(uids=frozenset({5}))
    pools = {
        name: registry.join(PoolKey(name, None), identity(), settings(), Admission(upstream=upstream))
        for name, upstream in (("theirs", "default"), ("gone", "other"), ("own", None))
    }
    pools["theirs"].entries.insert(b"k", STRING, b"v", 1)
    registry.changes.readmit({"default": new})
    settle(registry, loop)
    assert pools["gone"].ended
    assert not pools["own"].ended
    assert pools["theirs"].admission == Admission(upstream="default", access=new)
    assert pools["theirs"].entries.lookup(b"k", STRING, 0) == b"v"


def test_one_pool_that_fails_does_not_stop_the_others(
    make_registry: Any, loop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = make_registry()
    for name in ("a", "b"):
        registry.changes.configure(ConfiguredCache(name=name, identity=identity(), settings=settings()))
    for name in ("a", "b"):
        registry.changes.reconfigure(ConfiguredCache(name=name, identity=identity(), settings=settings(128)))

    def fail(_until_ns: int | None) -> bool:
        raise RuntimeError

    monkeypatch.setattr(registry.find("a"), "continue_resize", fail)
    (turn,), loop.deferred = loop.deferred, []
    with pytest.raises(RuntimeError):
        turn()
    settle(registry, loop)
    assert registry.find("b").settings.max_cache_kb == 128


def other(**changed: Any) -> ConfiguredCache:
    return ConfiguredCache(name="other", identity=identity(), settings=settings(**changed))


def test_c19_what_one_cache_gives_back_another_may_have_in_the_same_reload(
    registry: PoolManager, loop: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    registry.max_total_cache_kb = 1024 + 64
    registry.changes.configure(other())
    over: list[bool] = []
    registry.changes.reconfigure(catalog(max_cache_kb=512))
    registry.changes.reconfigure(other(max_cache_kb=500))
    registry.changes.reconfigure(ConfiguredCache(name="new", identity=identity(), settings=settings(76)))
    registry.changes.when_settled(lambda: over.append(True))
    assert registry.find("other").claimed_kb == 64, "it is not there yet"
    settle(registry, loop)
    assert over == [True], "the reload is over when the last of them is done"
    assert [registry.find(name).settings.max_cache_kb for name in ("catalog", "other", "new")] == [
        512,
        500,
        76,
    ]
    assert caplog.text == ""


def test_the_log_says_which_cache_has_a_new_generation(
    registry: PoolManager, loop: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    registry.changes.reconfigure(catalog(max_cache_kb=512))
    settle(registry, loop)
    (told,) = [line for line in event_lines(caplog.records) if "pool resized" in line]
    assert told.startswith('event="pool resized" cache=catalog generation=')


def test_a_cache_that_more_may_use_keeps_its_files(registry: PoolManager) -> None:
    one, both = (Access(uids=frozenset(uids)) for uids in ((1,), (1, 2)))
    registry.changes.configure(other())
    pool = registry.find("other")
    path = Path(pool.client_info()["pool_path"])
    registry.changes.reconfigure(replace(other(), admission=Admission(access=one)))
    assert pool.is_resizing
    pool.continue_resize(None)
    path = Path(pool.client_info()["pool_path"])
    for access in (both, Access()):
        registry.changes.reconfigure(replace(other(), admission=Admission(access=access)))
        assert not pool.is_resizing
        assert pool.admission.access == access
        assert Path(pool.client_info()["pool_path"]) == path
    assert os.listxattr(path) == []
    assert os.listxattr(pool.client_info()["lease_path"]) == []


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(copy: GenerationCopy, _until_ns: int | None) -> None:
        copy._resize.step(300)
        raise RuntimeError

    monkeypatch.setattr(GenerationCopy, "run", fail)


def turn(loop: Any) -> None:
    (deferred,), loop.deferred = loop.deferred, []
    deferred()


@pytest.mark.usefixtures("broken")
def test_a_fault_leaves_nothing_of_the_next_generation(
    registry: PoolManager, loop: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = sorted(tmp_path.iterdir())
    registry.changes.reconfigure(catalog(max_cache_kb=2048))
    with pytest.raises(RuntimeError):
        turn(loop)
    pool = registry.find("catalog")
    assert sorted(tmp_path.iterdir()) == files
    assert (pool.is_resizing, pool.claimed_kb) == (False, 1024)
    monkeypatch.undo()
    registry.changes.reconfigure(catalog(max_cache_kb=2048))
    settle(registry, loop)
    assert pool.settings.max_cache_kb == 2048
    assert count(registry) == ENTRIES


@pytest.mark.usefixtures("broken")
def test_a_fault_while_users_are_shut_out_costs_the_entries_and_shows_them_nothing(
    registry: PoolManager, loop: Any
) -> None:
    old = registry.find("catalog")
    registry.changes.reconfigure(catalog(access=Access(uids=frozenset({1}))))
    with pytest.raises(RuntimeError):
        turn(loop)
    assert old.ended
    assert count(registry) == 0
    assert registry.find("catalog").admission.access == Access(uids=frozenset({1}))


@pytest.fixture
def in_memory(loop: Any) -> Iterator[PoolManager]:
    """A registry on a tmpfs: a disk's file system has ideas of its own about when it takes a file's room back."""
    with tempfile.TemporaryDirectory(prefix="glidecache-unit-", dir="/dev/shm") as directory:
        made = PoolManager(
            loop,
            Path(directory),
            instance_id=7,
            grace_ms=5_000,
            max_total_cache_kb=1 << 20,
            next_number=Sequence(),
        )
        yield made
        made.close()


def test_what_is_left_of_a_large_pool_goes_a_little_at_a_time(in_memory: PoolManager, loop: Any) -> None:
    """Freeing all of it at once would keep everybody waiting; and readers may be in the middle of a lookup."""
    registry = in_memory
    registry.changes.configure(other(max_cache_kb=64 * 1024))
    pool = registry.find("other")
    for number in range(24):
        pool.entries.insert(b"%d" % number, STRING, b"v" * (1 << 20), number + 1)
    handout = pool.client_info()
    with Path(handout["pool_path"]).open("rb") as file:
        reader = PoolReader(handout["pool_path"], handout["board_path"])
        registry.changes.unconfigure("other")
        assert not Path(handout["pool_path"]).exists()
        held = [os.fstat(file.fileno()).st_blocks * 512]
        loop.pass_time(4_999)
        assert loop.deferred == [], "readers have a grace"
        loop.pass_time(1)
        while loop.deferred:
            turn(loop)
            held.append(os.fstat(file.fileno()).st_blocks * 512)
        assert held[0] > 24 << 20
        assert max(before - after for before, after in itertools.pairwise(held)) <= 16 << 20
        assert held[-1] == 4096, "the header, which says that it has ended"
        assert reader.retired
        assert reader.get(b"1") is None


def test_a_daemon_that_stops_keeps_nothing_of_what_has_ended(make_registry: Any, loop: Any) -> None:
    registry = make_registry(max_total_cache_kb=1 << 20)
    registry.changes.configure(other(max_cache_kb=64 * 1024))
    pool = registry.find("other")
    for number in range(20):
        pool.entries.insert(b"%d" % number, STRING, b"v" * (1 << 20), number + 1)
    path = pool.client_info()["pool_path"]
    registry.changes.unconfigure("other")
    assert path in Path("/proc/self/maps").read_text()
    registry.close()
    assert path not in Path("/proc/self/maps").read_text()
    loop.pass_time(5_000)
    while loop.deferred:
        turn(loop)


@pytest.mark.parametrize("meanwhile", ["nothing", "the next generation", "the end"])
def test_c16_a_flush_takes_all_entries_and_nobody_waits_for_it(
    registry: PoolManager, loop: Any, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    """A slice at a time; where entries are in another file at the end, from there as well."""
    monkeypatch.setattr("glidecached.pools.background_work._SLICE_NS", 0)
    removed: list[int] = []
    registry.flush("catalog", removed.append)
    assert removed == []
    assert 0 < count(registry) < ENTRIES
    if meanwhile == "the next generation":
        registry.changes.reconfigure(catalog(eviction_policy="LFU"))
        registry.find("catalog").continue_resize(None)
    elif meanwhile == "the end":
        registry.drop("catalog")
    while loop.deferred:
        turn_all(loop)
    if meanwhile == "the end":
        assert 0 < removed[0] < ENTRIES
    else:
        assert removed == [ENTRIES]
        assert count(registry) == 0


def turn_all(loop: Any) -> None:
    deferred, loop.deferred = loop.deferred, []
    for callback in deferred:
        callback()
