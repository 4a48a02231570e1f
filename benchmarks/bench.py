"""The pool beside its peers, in one run on one machine: a table, a JSON file, and a chart.

It starts the servers that it needs, each on an address of its own, and ends them. Needs the `bench` extra; a peer
that is not there is left out by name. docs/benchmarks.md says what is measured, how, and what came of it.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# The tests' ways to run a real Valkey and a real daemon serve here too.
sys.path.insert(0, str(ROOT / "tests"))


def main() -> None:
    """Measure what was asked for, and report it."""
    from comparison import chart, publish, report, run
    from comparison.scale import DEFAULT, QUICK

    options = arguments(run.NAMES)
    scale = QUICK if options.quick else DEFAULT
    scale = replace(scale, entries=options.entries or scale.entries)
    results = run.measure(options.only or run.NAMES, scale)
    print(report.table(results))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(report.to_json(results))
    written = [options.output, *chart.draw(results, options.output.with_suffix(""))]
    if options.publish:
        written += publish.publish(results, ROOT)
    print("\nwritten:", *written)


def arguments(groups: tuple[str, ...]) -> argparse.Namespace:
    """Return the parsed command line."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument(
        "--output",
        type=Path,
        default=ROOT / "build/bench.json",
        help="the JSON file; the chart goes beside it",
    )
    options.add_argument(
        "--quick", action="store_true", help="fewer rounds, smaller pools: to see that it works"
    )
    options.add_argument(
        "--entries", type=entries, help="entries of the large pools (1000000; quick: 100000)"
    )
    options.add_argument("--only", action="append", choices=groups, help="this group; may be given again")
    options.add_argument("--publish", action="store_true", help="put table and chart into docs/ too")
    chosen = options.parse_args()
    if chosen.publish and (chosen.quick or chosen.only or chosen.entries):
        options.error("--publish is for whole runs: without --quick, --only and --entries")
    return chosen


def entries(text: str) -> int:
    """Return the number that `--entries` was given."""
    from comparison.scale import FEWEST_ENTRIES

    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < FEWEST_ENTRIES:
        message = f"must be a number of at least {FEWEST_ENTRIES}, not {text!r}"
        raise argparse.ArgumentTypeError(message)
    return number


if __name__ == "__main__":
    main()
