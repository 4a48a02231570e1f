"""Architecture decision 2: a damaged pool file gives misses, never a crash, a hang, or another key's value.

Copies are damaged at random but reproducibly; `GLIDECACHE_STRESS_SECONDS` also scales how many.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stress.damage import DAMAGES, ENTRIES, entry

if TYPE_CHECKING:
    from stress.conftest import MakeStore, StartWorker

TRIALS_PER_SECOND = 100


@pytest.mark.timeout(0)
@pytest.mark.parametrize("damage", DAMAGES)
def test_c21_damaged_files_give_misses_or_that_keys_value(
    make_store: MakeStore, start_worker: StartWorker, stress_seconds: float, damage: str
) -> None:
    store = make_store(max_cache_kb=256, eviction_policy="LFU", secret=b"one fixed secret")
    for number in range(
        5 * ENTRIES
    ):  # some come and go first, so that extents are many and free space is in pieces
        key, kind, value = entry(number % ENTRIES)
        if number % 7 or number >= 4 * ENTRIES:
            store.insert(key if number >= 4 * ENTRIES else b"%d" % number, kind, value, number + 1)
    outcome = start_worker(
        "read_damaged",
        module="stress.damage",
        pool_path=store.pool_path,
        board_path=store.board_path,
        trials=int(TRIALS_PER_SECOND * stress_seconds),
        first=1,
        damage=damage,
    ).result()
    assert outcome["wrong"] == []
    if "truncated" in damage:
        assert outcome["refused"] > 0
    else:
        assert outcome["exact"] > 0
    if damage in {"header", "index", "arena", "blocks", "lengths", "chains"}:
        assert outcome["missed"] > 0
