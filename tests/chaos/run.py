"""Faults under load, and a report: `python -m chaos.run --rounds 200`. Exit status 1 when anything was wrong."""

from __future__ import annotations

import argparse
import random
import signal
import sys
from pathlib import Path

from chaos.engine import run_rounds
from chaos.stage import Setting, Stage


def main() -> int:
    """Run, print, and write the report; the exit status."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=200)
    options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    options.add_argument("--json", type=Path, default=Path("build/chaos.json"))
    given = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing is left behind
    _say(f"{given.rounds} rounds, seed {given.seed}")
    with Stage(Setting()) as stage:
        report = run_rounds(stage, given.rounds, given.seed, _say)
        if not report.fine:
            _say(f"the daemon's log ends with\n{stage.daemon.log_text()[-4_000:]}")
    report.write(given.json)
    _say(f"\n{report.text()}\nas JSON         {given.json}")
    return 0 if report.fine else 1


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - this is a program


if __name__ == "__main__":
    sys.exit(main())
