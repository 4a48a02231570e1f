"""Architecture decision 7: a full `/dev/shm` is an error that the store handles, never a SIGBUS."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from stress.conftest import StartWorker

OWN_MOUNTS = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]


@pytest.fixture(scope="module", autouse=True)
def _may_mount() -> None:
    """Skips where the host lets nobody mount a small tmpfs of its own; in CI that is a failure."""
    message = "needs unshare, and the right to mount a tmpfs in a namespace of its own"
    if shutil.which("unshare") is not None:
        trial = [*OWN_MOUNTS, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
        if subprocess.run(trial, check=False, capture_output=True).returncode == 0:
            return
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


def test_c10_where_the_file_system_is_full_inserts_evict_and_reads_go_on(
    start_worker: StartWorker, pool_directory: str
) -> None:
    size_kb = 2_048
    outcome = start_worker(
        "fill",
        module="stress.full_file_system",
        launcher=OWN_MOUNTS,
        directory=pool_directory,
        size_kb=size_kb,
    ).result()
    assert outcome["created"]
    assert outcome["refusals"] > 0
    assert outcome["stored"] == 10_000
    assert outcome["newest"]
    assert outcome["count"] > 1_000
    assert outcome["evictions"] == 10_000 - outcome["count"]
    assert outcome["too_large"] is False
    assert outcome["small_again"]
    assert outcome["resident"] <= size_kb * 1024


def test_c8_memory_that_was_given_back_and_that_others_took_is_not_touched_again(
    start_worker: StartWorker, pool_directory: str
) -> None:
    outcome = start_worker(
        "refill",
        module="stress.full_file_system",
        launcher=OWN_MOUNTS,
        directory=pool_directory,
        size_kb=16 * 1_024,
    ).result()
    assert outcome["trimmed"] < outcome["full"] / 4
    assert outcome["refusals"] > 0
    assert outcome["stored"] == 5_000
    assert outcome["found"] == outcome["count"] > 0


def test_c8_a_pool_whose_bound_changes_without_room_for_both_goes_on_within_the_smaller_bound(
    start_worker: StartWorker, pool_directory: str
) -> None:
    size_kb = 4_096
    outcome = start_worker(
        "succeed",
        module="stress.full_file_system",
        launcher=OWN_MOUNTS,
        directory=pool_directory,
        size_kb=size_kb,
    ).result()
    for change in outcome.values():
        assert "no room for a second generation" in change["refused"]
        assert change["within"]
        assert change["found"] == change["count"] > 1_000
        assert change["files"] == ["full.1.board", "full.1.pool"]
    assert outcome["larger"]["bound_kb"] == size_kb * 2 // 3
    assert outcome["larger"]["count"] == outcome["larger"]["before"]
    assert outcome["smaller"]["bound_kb"] == size_kb * 3 // 5
    assert outcome["smaller"]["count"] < outcome["smaller"]["before"]


@pytest.mark.parametrize("size_kb", [4, 8, 16])
def test_a_file_system_without_room_for_an_empty_pool_is_said_to_be_full(
    start_worker: StartWorker, pool_directory: str, size_kb: int
) -> None:
    outcome = start_worker(
        "fill",
        module="stress.full_file_system",
        launcher=OWN_MOUNTS,
        directory=pool_directory,
        size_kb=size_kb,
    ).result()
    if outcome["created"]:
        assert outcome["small_again"] or outcome["stored"] == 0
    else:
        assert pool_directory in outcome["error"]
    assert outcome["created"] is (size_kb == 16)  # two headers and a page of buckets fit there
