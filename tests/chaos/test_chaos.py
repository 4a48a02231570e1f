"""The failure model under eight workers that never stop calling: everything by chance, and its rows one by one.

`GLIDECACHE_STRESS=long` has 200 rounds here too; `make chaos` gives a report of them. A seed that failed can be given
again: `GLIDECACHE_CHAOS_SEED`.
"""

from __future__ import annotations

import os
import random
import time

import pytest

from chaos.engine import run_rounds, strike
from chaos.faults import DaemonHangs, DaemonHangsPastGrace, DaemonKilled, DaemonUpgraded
from chaos.stage import Setting, Stage
from chaos.tally import Count
from support.waiting import wait_until

LONG = os.environ.get("GLIDECACHE_STRESS") == "long"
ROUNDS = 200 if LONG else 10
SEED = int(os.environ.get("GLIDECACHE_CHAOS_SEED") or random.randrange(1_000_000))
READS_IN_GRACE = 40

STEADY = Setting(
    ttl_ms=0,
    max_cache_kb=2_048,
    grace_ms=60_000,
    request_timeout_ms=200,
    writes_per_second=0,
    forget_share=0,
)
"""Everything that is read once stays cached, for longer than the daemon is away."""


def must_be_right(stage: Stage) -> None:
    """Let all end, and see that no value was wrong, no write ran twice or got lost, and no call hung."""
    stage.finish()
    account, wrong = stage.audit()
    assert (stage.lies(), wrong, stage.hangs(), stage.refusals()) == ([], [], [], [])
    assert account.done > 0


@pytest.mark.timeout(1_800 if LONG else 180)
def test_c21_c24_c25_nothing_is_wrong_and_nothing_hangs_whatever_dies() -> None:
    with Stage(Setting()) as stage:
        report = run_rounds(stage, ROUNDS, SEED)
    assert report.fine, report.text()
    assert report.rounds == ROUNDS
    assert report.pools["hits"] > 0
    assert report.writes["done"] > 0
    assert report.calls["forgets"] > 0


def test_c24_workers_do_not_notice_a_daemon_that_comes_back() -> None:
    """Both clients, both fallbacks, both kinds of cache: see `Team`."""
    chance = random.Random(SEED)
    with Stage(Setting()) as stage:
        for fault in (DaemonKilled(), DaemonUpgraded(), DaemonHangs(), DaemonHangsPastGrace()):
            strike(stage, [fault], chance)
            stage.let_pass(0.1)
        must_be_right(stage)
        warm, fresh = stage.take_overs()
    assert (warm, fresh) == (4, 0), "two pools, by two new daemons"


def test_c24_hits_go_on_throughout_the_grace() -> None:
    """While the daemon is away nobody asks the server for what is cached; when it is back, hardly anybody.

    Hardly: who looks at an entry in the very moment in which a new daemon verifies it asks for it.
    """
    with Stage(STEADY) as stage:
        wait_until(lambda: is_warm(stage), "everything is cached", 30)
        for fault in (DaemonKilled(), DaemonUpgraded(), DaemonHangs()):
            wait_until_all_have_read(stage)  # what they were asking for has been answered
            asked = asked_for_cached(stage)
            fault.begin(stage)
            wait_until_all_have_read(stage)
            assert asked_for_cached(stage) == asked, fault.name
            fault.end(stage)
            stage.wait_until_back(time.monotonic_ns())
            assert asked_for_cached(stage) - asked < stage.setting.keys / 10, fault.name
        must_be_right(stage)


def wait_until_all_have_read(stage: Stage) -> None:
    """Every lane of every worker goes on reading, though it may wait for its writes."""

    def reads() -> list[int]:
        stage.watch_calls()
        return [row[Count.READS] for worker in stage.team.at_work for row in worker.tally.lanes]

    before = reads()
    wait_until(
        lambda: all(now - was > READS_IN_GRACE for now, was in zip(reads(), before, strict=True)),
        "every lane goes on reading",
        60,
    )


def asked_for_cached(stage: Stage) -> int:
    """How often the server has been asked for hashes and sets: every one of them is cached."""
    return stage.server.calls("hgetall") + stage.server.calls("smembers")


def is_warm(stage: Stage) -> bool:
    """Whether both pools hold all keys."""
    caches = stage.daemon.stats()["caches"]
    return [cache["metrics"]["entry_count"] for cache in caches] == [stage.setting.keys] * 2
