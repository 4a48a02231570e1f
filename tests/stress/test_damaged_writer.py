"""Architecture's failure model: whatever is written into a pool file, its daemon neither crashes nor hangs over it.

A store fills, a part of its file is spoilt at random but reproducibly, and it goes on: inserts, evictions, lookups,
flushes, trims, a resize. Each returns, or raises `PoolDamagedError`, and from then on all do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stress.damaged_writer import REGIONS

if TYPE_CHECKING:
    from stress.conftest import StartWorker

TRIALS_PER_SECOND = 50


@pytest.mark.timeout(0)
@pytest.mark.parametrize("region", REGIONS)
def test_the_writer_survives_damage_to_its_own_file(
    start_worker: StartWorker, pool_directory: str, stress_seconds: float, region: str
) -> None:
    outcome = start_worker(
        "write_damaged",
        module="stress.damaged_writer",
        directory=pool_directory,
        region=region,
        trials=int(TRIALS_PER_SECOND * stress_seconds),
        first=1,
    ).result()
    assert outcome["damaged"] > 0, "none of it was noticed"
