"""What a daemon makes of its predecessor's pools: which it goes on with, which it removes, and what it says."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from glidecache_shared import lease
from glidecache_shared.pool.reader import PoolReader
from glidecache_shared.protocol import STRING
from glidecached.access import Access
from glidecached.pools.manager import PoolManager
from glidecached.pools.metadata import (
    Admission,
    ConfiguredCache,
    PoolKey,
    PoolMetadata,
    PoolSettings,
    decode_metadata,
)
from glidecached.pools.warm_restart import PreviousPools, remove_all
from glidecached.sequence import Sequence
from glidecached.upstream.target import Address, Identity
from support.log_events import event_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from glidecached.pools.pool import Pool

NAMED = PoolKey("catalog", None)
UNNAMED = PoolKey(None, "u-1")


def told(caplog: pytest.LogCaptureFixture) -> str:
    """The events of the log, with their fields."""
    return "\n".join(event_lines(caplog.records))


def identity(database: int = 0) -> Identity:
    return Identity(addresses=frozenset({Address("h", 1)}), tls="off", database=database, user="default")


def settings(**changed: Any) -> PoolSettings:
    return PoolSettings(**({"max_cache_kb": 64, "entry_ttl_ms": 0} | changed))


def configured(**changed: Any) -> ConfiguredCache:
    return ConfiguredCache(name="catalog", identity=identity(), settings=settings(**changed))


def hold(pool: Pool) -> lease.Lease:
    handout = pool.client_info()
    held = lease.hold(handout["lease_path"], handout["lease_inode"])
    assert held is not None
    return held


def reader_of(pool: Pool) -> PoolReader:
    handout = pool.client_info()
    return PoolReader(handout["pool_path"], handout["board_path"])


@pytest.fixture
def start(loop: Any, tmp_path: Path) -> Iterator[Callable[..., PoolManager]]:
    """Registries of daemons that follow each other in one directory."""
    made: list[PoolManager] = []

    def daemon(
        *caches: ConfiguredCache,
        max_total_cache_kb: int = 10_000,
        warm: bool = True,
        accesses: dict[str, Access] | None = None,
    ) -> PoolManager:
        registry = PoolManager(
            loop,
            tmp_path,
            instance_id=len(made) + 1,
            grace_ms=5_000,
            max_total_cache_kb=max_total_cache_kb,
            next_number=Sequence(),
            previous_pools=PreviousPools(tmp_path) if warm else None,
        )
        made.append(registry)
        for cache in caches:
            registry.changes.configure(cache)
        registry.inherit(accesses or {})
        return registry

    yield daemon
    for registry in made:
        registry.close()


def test_c20_a_named_pool_outlives_its_daemon(start: Callable[..., PoolManager], tmp_path: Path) -> None:
    first = start()
    pool = first.join(NAMED, identity(), settings())
    pool.entries.insert(b"k", STRING, b"v", 1)
    reader, inode = reader_of(pool), pool.client_info()["lease_inode"]
    first.close()
    assert any(path.suffix == ".state" for path in tmp_path.iterdir())
    second = start()
    taken = second.find("catalog")
    assert reader.get(b"k") == b"v"
    assert reader.instance_id == 2
    assert taken.client_info()["lease_inode"] == inode
    assert second.join(NAMED, identity(), settings()) is taken
    assert taken.entries.lookup(b"k", STRING, 0) == b"v"


def test_c20_an_unnamed_pool_outlives_its_daemon_only_while_it_is_held(
    start: Callable[..., PoolManager], tmp_path: Path
) -> None:
    first = start()
    pool = first.join(UNNAMED, identity(), settings())
    first.join(PoolKey(None, "nobody's"), identity(), settings())
    with hold(pool):
        first.close()
        second = start()
        assert len(second) == 1
        assert second.find("u-1").held()
        second.close()
    third = start()
    assert len(third) == 0
    assert list(tmp_path.iterdir()) == []


def test_c19_a_name_with_other_settings_is_made_anew_and_that_is_said(
    start: Callable[..., PoolManager], caplog: pytest.LogCaptureFixture
) -> None:
    first = start(configured())
    pool = first.find("catalog")
    pool.entries.insert(b"k", STRING, b"v", 1)
    reader = reader_of(pool)
    first.close()
    second = start(configured(entry_ttl_ms=5))
    assert second.find("catalog").entries.lookup(b"k", STRING, 0) is None
    assert reader.retired
    assert (
        'event="previous pool not restored, starting empty" cache=catalog reason="its entry_ttl_ms is 0, not 5"'
        in told(caplog)
    )
    assert second.find("catalog").generation == 2


def test_c18_another_identity_never_sees_the_values_of_before(
    start: Callable[..., PoolManager], caplog: pytest.LogCaptureFixture
) -> None:
    first = start(configured())
    first.find("catalog").entries.insert(b"k", STRING, b"v", 1)
    first.close()
    other = ConfiguredCache(name="catalog", identity=identity(database=1), settings=settings())
    second = start(other)
    assert second.find("catalog").entries.lookup(b"k", STRING, 0) is None
    assert "upstream identity is another: database 0, not 1" in told(caplog)


def test_what_the_configuration_no_longer_has_is_removed(
    start: Callable[..., PoolManager], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    first = start(configured())
    reader = reader_of(first.find("catalog"))
    first.close()
    assert len(start()) == 0
    assert reader.retired
    assert list(tmp_path.iterdir()) == []
    assert "no longer in the configuration" in told(caplog)


def test_c19_pools_of_before_count_against_the_limit(
    start: Callable[..., PoolManager], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    first = start()
    first.join(NAMED, identity(), settings())
    first.join(PoolKey("other", None), identity(), settings())
    first.close()
    assert len(start(max_total_cache_kb=100)) == 1
    assert "max_total_cache_kb=100" in told(caplog)


def test_a_killed_daemons_pools_are_gone_on_with(
    start: Callable[..., PoolManager], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    pool = start().join(NAMED, identity(), settings())
    pool.entries.insert(b"k", STRING, b"v", 9)
    second = start()  # the first one just never came to an end
    assert second.find("catalog").entries.lookup(b"k", STRING, 0) == b"v"
    assert 'event="pool restored" cache=catalog entries=1 verified=True dropped=0' in told(caplog)
    pool.entries.store.close()
    pool.entries.end()


def test_a_damaged_pool_is_made_anew_for_those_who_hold_it(
    start: Callable[..., PoolManager], caplog: pytest.LogCaptureFixture
) -> None:
    first = start()
    pool = first.join(UNNAMED, identity(), settings())
    path = Path(pool.client_info()["pool_path"])
    with hold(pool):
        first.close()
        path.write_bytes(b"no pool" * 1_000)
        second = start()
        assert second.find("u-1").held()
        assert "not a pool file" in told(caplog)
        assert not path.exists()


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b"\xff", b'{"form": 1, "key": ["catalog", null]'])
def test_a_lease_that_tells_nothing_whole_leads_to_no_pool(
    start: Callable[..., PoolManager], tmp_path: Path, text: bytes
) -> None:
    first = start()
    first.join(NAMED, identity(), settings())
    first.close()
    next(tmp_path.glob("*.lease")).write_bytes(text)
    (tmp_path / "note").touch()
    assert len(start()) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["note"]


def test_only_the_last_generation_counts(start: Callable[..., PoolManager], tmp_path: Path) -> None:
    first = start()
    first.join(NAMED, identity(), settings()).entries.insert(b"k", STRING, b"v", 1)
    first.close()
    for path in list(tmp_path.glob("*.1.*")):
        (tmp_path / path.name.replace(".1.", ".0.")).touch()
        (tmp_path / path.name.replace(".1.", ".7.")).touch()
    second = start()
    assert second.find("catalog").generation == 8
    assert sorted(path.name.partition(".")[2] for path in tmp_path.iterdir()) == [
        "8.board",
        "8.pool",
        "lease",
    ]


def test_a_generation_that_was_being_filled_does_not_count(
    start: Callable[..., PoolManager], tmp_path: Path
) -> None:
    """A daemon that is killed while a pool changes its size leaves two; the first one was in use."""
    first = start()
    pool = first.join(NAMED, identity(), settings())
    pool.entries.insert(b"k", STRING, b"v", 1)
    pool.resize(settings(max_cache_kb=2048), 5)
    assert len(list(tmp_path.glob("*.pool"))) == 2
    second = start()  # as if the first had been killed
    assert second.find("catalog").generation == 1
    assert second.find("catalog").entries.lookup(b"k", STRING, 0) == b"v"
    assert sorted(path.name.partition(".")[2] for path in tmp_path.iterdir()) == [
        "1.board",
        "1.pool",
        "lease",
    ]


def test_a_daemon_that_is_not_warm_leaves_and_takes_nothing(
    start: Callable[..., PoolManager], tmp_path: Path
) -> None:
    first = start()
    pool = first.join(NAMED, identity(), settings())
    reader = reader_of(pool)
    first.close()
    remove_all(tmp_path)
    assert reader.retired
    assert list(tmp_path.iterdir()) == []
    second = start(warm=False)
    second.join(NAMED, identity(), settings())
    second.close()
    assert list(tmp_path.iterdir()) == []


def test_an_origin_survives_its_text() -> None:
    origin = PoolMetadata(
        key=NAMED,
        identity=identity(3),
        settings=settings(enable_metrics=True),
        configured=True,
        admission=Admission(upstream="u", access=Access(uids=frozenset({5}), gids=frozenset({6, 7}))),
    )
    assert decode_metadata(origin.encode()) == origin
    assert decode_metadata(origin.encode().replace(b'"form": 2', b'"form": 1')) is None


def test_c19_a_pool_whose_list_has_changed_begins_anew(
    start: Callable[..., PoolManager], caplog: pytest.LogCaptureFixture
) -> None:
    """Who has mapped the old files would go on reading what comes."""
    caplog.set_level(logging.INFO)
    both, one = (Access(uids=frozenset(uids)) for uids in ((5, 6), (5,)))
    first = start()
    pool = first.join(NAMED, identity(), settings(), Admission(upstream="u", access=both))
    pool.entries.insert(b"k", STRING, b"v", 1)
    reader = reader_of(pool)
    first.close()
    second = start(accesses={"u": one})
    new = second.join(NAMED, identity(), settings(), Admission(upstream="u", access=one))
    assert new.entries.lookup(b"k", STRING, 0) is None
    assert not reader.trusted
    assert "other users may use it now" in told(caplog)
    second.close()
    third = start(accesses={"u": one})
    assert (
        third.join(NAMED, identity(), settings(), Admission(upstream="u", access=one)).admission.access == one
    )
    assert told(caplog).count("other users may use it now") == 1


def test_a_pool_whose_upstream_is_gone_is_removed(
    start: Callable[..., PoolManager], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    first = start()
    first.join(NAMED, identity(), settings(), Admission(upstream="u"))
    first.close()
    start(accesses={"other": Access()})
    assert "its upstream 'u' is no longer in the configuration" in told(caplog)
    assert list(tmp_path.iterdir()) == []


ACL = "system.posix_acl_access"
ONE = Access(uids=frozenset({5}))
BOTH = Access(uids=frozenset({5, 6}))


def join_of(registry: PoolManager, access: Access) -> Pool:
    return registry.join(NAMED, identity(), settings(), Admission(upstream="u", access=access))


def test_who_is_listed_since_the_last_daemon_may_take_the_lease(
    start: Callable[..., PoolManager], tmp_path: Path
) -> None:
    first = start()
    join_of(first, ONE)
    first.close()
    for access in (Access(uids=frozenset({6})), BOTH):
        daemon = start(accesses={"u": access})
        pool, taken = (next(tmp_path.glob(f"*.{suffix}")) for suffix in ("pool", "lease"))
        assert os.getxattr(taken, ACL) == os.getxattr(pool, ACL)
        daemon.close()
    start(accesses={"u": Access()})
    assert os.listxattr(next(tmp_path.glob("*.lease"))) == []


def test_a_pool_that_more_may_use_is_gone_on_with(start: Callable[..., PoolManager]) -> None:
    first = start()
    join_of(first, ONE).entries.insert(b"k", STRING, b"v", 1)
    first.close()
    for access in (BOTH, Access()):
        daemon = start(accesses={"u": access})
        assert join_of(daemon, access).entries.lookup(b"k", STRING, 0) == b"v"
        daemon.close()


def test_a_daemon_killed_while_it_shuts_users_out_leaves_them_nothing_that_comes(
    start: Callable[..., PoolManager], caplog: pytest.LogCaptureFixture
) -> None:
    """They have the files mapped that were in use at that moment: no daemon may go on with these."""
    first = start(accesses={"u": BOTH})
    pool = join_of(first, BOTH)
    pool.entries.insert(b"k", STRING, b"v", 1)
    shut_out = reader_of(pool)
    first.changes.readmit({"u": ONE})
    assert pool.is_resizing
    second = start(accesses={"u": ONE})  # as if the first had been killed
    assert not shut_out.trusted
    assert join_of(second, ONE).entries.lookup(b"k", STRING, 0) is None
    assert "other users may use it now" in told(caplog)


def test_a_kill_while_the_next_generation_was_removed_costs_nothing(
    start: Callable[..., PoolManager], tmp_path: Path
) -> None:
    """The pool's file goes first, so the board may be all that is left of it."""
    first = start()
    pool = first.join(NAMED, identity(), settings())
    pool.entries.insert(b"k", STRING, b"v", 1)
    board = Path(pool.client_info()["board_path"])
    board.with_name(board.name.replace(".1.", ".2.")).touch()
    second = start()
    assert second.find("catalog").entries.lookup(b"k", STRING, 0) == b"v"
    assert not list(tmp_path.glob("*.2.*"))


def test_one_pool_that_cannot_be_left_does_not_keep_the_others(
    start: Callable[..., PoolManager], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = start()
    pools = [first.join(PoolKey(name, None), identity(), settings()) for name in ("a", "b")]
    for pool in pools:
        pool.entries.insert(b"k", STRING, b"v", 1)

    def fail() -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(pools[0], "detach", fail)
        first.close()
    second = start()
    assert second.find("b").entries.lookup(b"k", STRING, 0) == b"v"
    pools[0].detach()


def test_the_rest_of_a_longer_description_does_not_count() -> None:
    origin = PoolMetadata(key=NAMED, identity=identity(), settings=settings(), configured=True)
    assert decode_metadata(origin.encode() + b'"left over"}\n') == origin


def test_the_name_of_a_pools_files_cannot_be_guessed_and_is_found_again(
    start: Callable[..., PoolManager], tmp_path: Path
) -> None:
    first = start()
    first.join(NAMED, identity(), settings())
    names = {next(tmp_path.glob("*.lease")).name}
    first.close()
    second = start()
    assert {path.name for path in tmp_path.glob("*.lease")} == names
    for _ in range(3):
        second.drop("catalog")
        second.join(NAMED, identity(), settings())
        names |= {path.name for path in tmp_path.glob("*.lease")}
    assert len(names) == 4


def test_of_two_leftovers_with_one_key_the_later_counts(
    start: Callable[..., PoolManager], tmp_path: Path
) -> None:
    first = start()
    first.join(NAMED, identity(), settings()).entries.insert(b"k", STRING, b"old", 1)
    first.close()
    for path in list(tmp_path.iterdir()):
        name = path.name.replace(path.name.partition(".")[0], f"named-{'0' * 24}")
        (tmp_path / name).write_bytes(path.read_bytes())
    second = start()
    second.drop("catalog")
    assert list(tmp_path.iterdir()) == []
