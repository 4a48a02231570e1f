"""Pools that are found damaged while they change, or while there is no room for fresh ones."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from glidecache_shared.pool.generation import PoolFull
from glidecache_shared.protocol import STRING
from support.catalog import ENTRIES, catalog, count, settle
from support.log_events import event_lines
from support.pool_file import BUCKETS_AT

if TYPE_CHECKING:
    import pytest

    from glidecached.pools.manager import PoolManager
    from glidecached.pools.pool import Pool


def spoil(pool: Pool) -> None:
    """Let the header tell of other numbers of buckets than there are."""
    with Path(pool.client_info()["pool_path"]).open("r+b") as file:
        file.seek(BUCKETS_AT)
        file.write(b"\x7f" * 8)


def test_a_pool_on_its_way_arrives_without_its_entries(
    registry: PoolManager, loop: Any, tmp_path: Path
) -> None:
    pool = registry.find("catalog")
    registry.changes.reconfigure(catalog(max_cache_kb=2048))
    assert pool.is_resizing, "it is on its way"
    spoil(pool)
    settle(registry, loop)
    assert registry.find("catalog") is pool
    assert (pool.settings.max_cache_kb, pool.claimed_kb, count(registry)) == (2048, 2048, 0)
    pool.entries.insert(b"0", STRING, b"w", ENTRIES + 1)
    assert pool.entries.lookup(b"0", STRING, 0) == b"w"
    assert len(list(tmp_path.glob("*.pool"))) == 1


def test_without_room_for_a_fresh_one_everything_is_a_miss_until_there_is(
    registry: PoolManager, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Full:
        @staticmethod
        def create(*_: object, **__: object) -> NoReturn:
            message = "no room"
            raise PoolFull(message)

    pool = registry.find("catalog")
    path = pool.client_info()["pool_path"]
    spoil(pool)
    monkeypatch.setattr("glidecached.pools.pool.PoolStore", Full)
    with caplog.at_level(logging.WARNING):
        assert pool.entries.lookup(b"0", STRING, 0) is None
        assert pool.entries.lookup(b"1", STRING, 0) is None
        pool.entries.insert(b"0", STRING, b"w", ENTRIES + 1)
        pool.entries.insert(b"0", STRING, b"w", ENTRIES + 1)
        pool.beat()
        assert pool.hottest(5, 100) == []
    (said,) = event_lines(caplog.records)
    event = 'event="damaged pool cannot be replaced now" cache=catalog reason="no room" '
    assert said.startswith(event), "once, and not at each request"
    assert pool.client_info()["pool_path"] == path
    monkeypatch.undo()
    pool._replaceable_at_ns = 0  # a second has passed
    pool.entries.insert(b"0", STRING, b"w", ENTRIES + 1)
    assert pool.client_info()["pool_path"] != path
    pool.entries.insert(b"0", STRING, b"w", ENTRIES + 1)
    assert [pool.entries.lookup(key, STRING, 0) for key in (b"0", b"1")] == [b"w", None]
