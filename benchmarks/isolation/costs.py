"""The cost of the guards: hits, misses and EXISTS of two trees, in rounds that take turns."""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from isolation.measure import Measure, at_most, plain
from support.valkey_server import ValkeyServer

if TYPE_CHECKING:
    from collections.abc import Callable

_PROGRAM = Path(__file__).with_name("cost_program.py")
_MOST = {"hit": 1.03, "miss": 1.03, "exists": 1.03}
_WHAT = {
    "hit": "a blocking GET hit",
    "miss": "a GET miss",
    "exists": "an EXISTS, eight processes at once",
}


def measure(before: Path | None, after: Path, rounds: int, say: Callable[[str], object]) -> list[Measure]:
    """Measure each tree with the interpreter, the daemon and the client of its own `.venv`, on one server."""
    if before is None:
        return [plain("cost of the guards: not measured, give --before DIRECTORY", 0, "")]
    times: dict[str, dict[str, list[float]]] = {"before": {}, "after": {}}
    with tempfile.TemporaryDirectory(prefix="glidecached-bench-") as place:
        server = ValkeyServer(Path(place) / "valkey")
        server.start()
        try:
            for number in range(rounds):
                order = [("before", before), ("after", after)]
                for name, tree in order if number % 2 else order[::-1]:
                    for what, microseconds in _round(tree, server.port).items():
                        times[name].setdefault(what, []).append(microseconds)
                say(f"  round {number + 1} of {rounds}")
        finally:
            server.stop()
    lines = []
    for what, name in _WHAT.items():
        medians = {tree: statistics.median(values[what]) for tree, values in times.items()}
        ratios = [new / old for new, old in zip(times["after"][what], times["before"][what], strict=True)]
        note = (
            f"{medians['before']:.3f} us before, {medians['after']:.3f} us after; ratios of rounds "
            + ", ".join(f"{ratio:.3f}" for ratio in ratios)
        )
        ratio = medians["after"] / medians["before"]
        lines.append(at_most(f"cost of the guards: {name}", ratio, "x", _MOST[what], [note]))
    return lines


def _round(tree: Path, port: int) -> dict[str, float]:
    done = subprocess.run(
        [tree / ".venv/bin/python", "-P", _PROGRAM, str(port)],
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd="/",
    )
    if done.returncode:
        message = f"the measuring program failed in {tree}:\n{done.stderr}"
        raise RuntimeError(message)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found
