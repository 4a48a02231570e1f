"""A reader is older than the fork, and works on both sides of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glidecache_shared.protocol import STRING

if TYPE_CHECKING:
    from stress.conftest import MakeStore, StartWorker


def test_c13_c19_a_reader_made_before_a_fork_serves_parent_children_and_grandchildren(
    make_store: MakeStore, start_worker: StartWorker
) -> None:
    store = make_store(eviction_policy="LFU")
    store.insert(b"k", STRING, b"v", 1)
    hits = 20_000
    result = start_worker(
        "fork_and_count",
        pool_path=store.pool_path,
        board_path=store.board_path,
        hits=hits,
        generations=2,
        key="k",
    ).result()
    assert result["statuses"] == [0, 0]
    assert result["hits_of_parent"] == 2 * hits
    # Each of the four descendants: a first round in one thread, a second in two.
    assert store.metrics().hits == 2 * hits + 4 * 3 * hits
