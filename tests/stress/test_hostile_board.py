"""Architecture decision 12: a hostile worker can spoil recency, counters and advice; never a value, or the daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from stress.conftest import StartWorker


@pytest.mark.parametrize("policy", ["LRU", "LFU"])
@pytest.mark.parametrize(
    "attack", ["noise", "ones", "zeros", "hammer", "ring", "truncate", "truncate and grow"]
)
def test_c21_a_spoilt_board_costs_recency_and_nothing_else(
    start_worker: StartWorker, pool_directory: str, stress_seconds: float, policy: str, attack: str
) -> None:
    outcome = start_worker(
        "withstand",
        module="stress.hostile_board",
        directory=pool_directory,
        policy=policy,
        attack=attack,
        seconds=stress_seconds / 4,
    ).result()
    assert outcome["wrong"] == []
    assert outcome["attacks"] > 0
    assert outcome["stored"] > 1_000
    assert outcome["charged"] <= outcome["max_bytes"]
    assert outcome["slowest_report_ms"] < 2_000
    assert outcome["slowest_insert_ms"] < 1_000  # no attack stalls the daemon
