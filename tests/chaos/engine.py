"""Rounds of faults, chosen by chance from a seed, under workers that never stop calling."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from chaos.faults import Fault, choose
from chaos.report import Report

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chaos.stage import Stage

SETTLE_S = (0.05, 0.3)


def run_rounds(
    stage: Stage, rounds: int, seed: int, say: Callable[[str], None] = lambda _line: None
) -> Report:
    """So many rounds; what they found. What the run could not go on after is among the failures."""
    report = Report(seed=seed)
    chance = random.Random(seed)
    began = time.monotonic()
    try:
        for number in range(rounds):
            faults = choose(chance, stage.setting.workers)
            names = " + ".join(fault.name for fault in faults)
            times = strike(stage, faults, chance)
            report.struck(faults, times)
            say(f"{number + 1:>4}/{rounds}  {names}: back after {max(times):.2f} s")
            stage.let_pass(chance.uniform(*SETTLE_S))
            stage.look_at_pools()
        stage.finish()
        report.audit(stage)
    except AssertionError as failure:
        report.failures.append(str(failure))
    report.seconds = time.monotonic() - began
    report.close(stage)
    return report


def strike(stage: Stage, faults: Sequence[Fault], chance: random.Random) -> list[float]:
    """Let these faults begin, last, and end, in any order; how long each worker then took, in seconds."""
    for fault in faults:
        fault.begin(stage)
        stage.let_pass(fault.duration_s(chance))
    for fault in chance.sample(list(faults), len(faults)):
        fault.end(stage)
    return stage.wait_until_back(time.monotonic_ns())
