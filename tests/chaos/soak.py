"""Steady traffic for a long time, with churn and faults: `python -m chaos.soak`. Exit status 1 for a leak or an error.

Half of the places' workers are replaced again and again; the other half, and the daemon, live as long as the run: so
every half minute there is one of the faults that end neither. A leak is what has grown, from its median over the second
quarter of the run to that over the last, by more than `ALLOWED`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path

from chaos.engine import strike
from chaos.faults import (
    CallersDie,
    ConnectionsCut,
    DaemonHangs,
    DaemonHangsPastGrace,
    Fault,
    FilesVanish,
    HostileMembers,
    ServerHangs,
    ServerKilled,
    SocketVanishes,
)
from chaos.growth import Watch
from chaos.report import Report
from chaos.stage import Setting, Stage

FAULT_EVERY_S = 30.0
SAMPLE_EVERY_S = 2.0
GENTLE = Setting(pause_s=0.05, writes_per_second=50)
FAULTS: tuple[type[Fault], ...] = (
    DaemonHangsPastGrace,
    ConnectionsCut,
    ServerHangs,
    DaemonHangs,
    ServerKilled,
    CallersDie,
    HostileMembers,
    SocketVanishes,
    FilesVanish,
)
"""In turn; the first has clients go directly, so that what they import for that is there from the beginning."""


def main() -> int:
    """Run, print, and write the report; the exit status."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=float(os.environ.get("SOAK_SECONDS", "1800")))
    options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    options.add_argument("--json", type=Path, default=Path("build/soak.json"))
    given = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing is left behind
    _say(f"{given.seconds:.0f} s, seed {given.seed}")
    with Stage(GENTLE) as stage:
        watch = Watch(stage)
        report = soak(stage, watch, given.seconds, given.seed)
    grown = watch.growths()
    leaks = [growth for growth in grown if growth.is_leak]
    given.json.parent.mkdir(parents=True, exist_ok=True)
    found = {"fine": report.fine and not leaks, **asdict(report), "growths": [asdict(each) for each in grown]}
    given.json.write_text(json.dumps(found, indent=2) + "\n")
    _say(f"\n{report.text()}\n")
    for growth in grown:
        _say(growth.text())
    _say(f"leaks           {len(leaks)}\nas JSON         {given.json}")
    return 0 if report.fine and not leaks else 1


def soak(stage: Stage, watch: Watch, seconds: float, seed: int) -> Report:
    """Go on for so long; what was wrong besides leaks."""
    report = Report(seed=seed)
    chance = random.Random(seed)
    began = time.monotonic()
    next_fault_s = min(FAULT_EVERY_S, seconds / 10)
    churned = 0
    try:
        while (elapsed_s := time.monotonic() - began) < seconds:
            if elapsed_s >= next_fault_s:
                next_fault_s = elapsed_s + FAULT_EVERY_S
                fault = FAULTS[report.rounds % len(FAULTS)]()
                times = strike(stage, [fault], chance)
                report.struck([fault], times)
                churned = churn(stage, churned)
                stage.look_at_pools()
                _say(f"{elapsed_s:>6.0f} s  {fault.name}: back after {max(times):.2f} s; {watch.text()}")
            stage.let_pass(SAMPLE_EVERY_S)
            watch.look()
        stage.finish()
        report.audit(stage)
    except AssertionError as failure:
        report.failures.append(str(failure))
    report.seconds = time.monotonic() - began
    report.close(stage)
    return report


def churn(stage: Stage, churned: int) -> int:
    """Another worker in one of the later half of the places, after the one there has been killed or has ended."""
    places = stage.setting.workers
    place = places // 2 + churned % (places // 2)
    if churned % 2:
        stage.team.kill(place)
    else:
        stage.team.at_work[place].finish()
    stage.team.replace(place)
    stage.wait_until_back(time.monotonic_ns())
    return churned + 1


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - this is a program


if __name__ == "__main__":
    sys.exit(main())
