"""Measure what one client can do to another: `make bench-isolation`. Print a table, and write a JSON file.

All load stays on the loopback, and is bounded in count and time. Timings on a loaded machine mean little: the latency
measures compare with a client that is connected to the server directly, beside the same abuser.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from isolation.measure import Measure, as_json

from isolation import costs, forwarded, jobs, latency, memory, shapes

if TYPE_CHECKING:
    from collections.abc import Callable


def main() -> int:
    """Measure, print, write; return exit status 1 when a target was missed."""
    options = argparse.ArgumentParser(prog="make bench-isolation", description=__doc__)
    options.add_argument("--json", type=Path, default=Path("build/bench-isolation.json"))
    options.add_argument("--only", default="", help="names of measures, with commas between them")
    options.add_argument("--jobs", type=int, default=1_000)
    options.add_argument("--share", type=float, default=1.0, help="of all command shapes")
    options.add_argument("--seconds", type=float, default=8.0, help="of each abuser")
    options.add_argument("--before", type=Path, help="a tree to compare the costs of requests with")
    options.add_argument("--after", type=Path, default=Path(__file__).resolve().parents[1])
    options.add_argument("--rounds", type=int, default=9, help="of that comparison")
    given = options.parse_args()
    measures: dict[str, Callable[[], list[Measure]]] = {
        "jobs": lambda: jobs.measure(given.jobs, say),
        "shapes": lambda: shapes.measure(given.share, say),
        "latency": lambda: latency.measure(given.seconds, say),
        "memory": lambda: memory.measure(say),
        "costs": lambda: costs.measure(given.before, given.after, given.rounds, say),
        "forwarded": lambda: forwarded.measure(say),
    }
    chosen = given.only.split(",") if given.only else list(measures)
    if unknown := set(chosen) - set(measures):
        options.error(f"there is no measure {', '.join(sorted(unknown))}: there are {', '.join(measures)}")
    found: dict[str, list[Measure]] = {}
    for name in chosen:
        say(f"{name} ...")
        began = time.monotonic()
        found[name] = measures[name]()
        say(f"{name}: {time.monotonic() - began:.0f} s")
    print()
    for lines in found.values():
        for line in lines:
            print(line.text())
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(
        json.dumps({name: as_json(lines) for name, lines in found.items()}, indent=2) + "\n"
    )
    print(f"\nwritten to {given.json}")
    return int(any(line.met is False for lines in found.values() for line in lines))


def say(line: str) -> None:
    """Print the progress."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
