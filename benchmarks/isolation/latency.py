"""A victim's misses beside each abuser, through the daemon and through a direct connection to the server."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isolation.abuser import WAYS
from isolation.measure import Measure, Place, at_most
from support.process import child_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_BOUND_MS = 20.0
_SETTLE_S = 0.5
_END_S = 60.0


def measure(seconds: float, say: Callable[[str], object]) -> list[Measure]:
    """Run each abuser for the given time, each on a daemon and a server of its own."""
    lines: list[Measure] = []
    for way in ("none", *WAYS):
        with Place("proto-max-bulk-len 512mb", "client-query-buffer-limit 2gb") as place:
            ours, direct, said = _beside(place, way, seconds)
        say(f"  {way}: {ours['p999_ms']:.1f} ms by the daemon, {direct['p999_ms']:.1f} ms directly; {said}")
        over = ours["p999_ms"] - direct["p999_ms"]
        notes = [
            f"{name}: p50 {one['p50_ms']:.2f} ms, p99 {one['p99_ms']:.1f} ms, p99.9 {one['p999_ms']:.1f} ms, "
            f"max {one['max_ms']:.0f} ms of {one['reads']}; {one['failed']} failed {one['example']}, "
            f"{one['wrong']} wrong"
            for name, one in (("by the daemon", ours), ("directly", direct))
        ]
        lines.append(
            at_most(
                f"p99.9 of misses beside {way}, over a direct client's", over, "ms", _BOUND_MS, [*notes, said]
            )
        )
        lines.append(at_most(f"... failed or wrong beside {way}", ours["failed"] + ours["wrong"], "", 0))
    return lines


def _beside(place: Place, way: str, seconds: float) -> tuple[dict[str, Any], dict[str, Any], str]:
    children: list[subprocess.Popen[str]] = []
    try:
        victims = [start("victim", how, place, seconds, children) for how in ("daemon", "direct")]
        abuser = start("abuser", way, place, seconds + 2 * _SETTLE_S, children)
        time.sleep(_SETTLE_S)
        for victim in victims:
            assert victim.stdin is not None
            victim.stdin.write("go\n")
            victim.stdin.flush()
        ours, direct = (json.loads(_rest(victim)) for victim in victims)
        said = _rest(abuser)
    finally:
        end_all(children)
    return ours, direct, said


def start(
    program: str, how: str, place: Place, seconds: float, children: list[subprocess.Popen[str]]
) -> subprocess.Popen[str]:
    """Start one of this package's programs, and wait until it says that it begins."""
    environment = child_environment()
    environment["PYTHONPATH"] += f":{Path(__file__).resolve().parents[1]}"
    command = [
        sys.executable,
        "-m",
        f"isolation.{program}",
        how,
        place.runtime_dir,
        str(place.server.port),
        f"{seconds}",
    ]
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
    )
    children.append(child)
    assert child.stdout is not None
    assert child.stdout.readline() == "begins\n"
    return child


def end_all(children: Iterable[subprocess.Popen[str]]) -> None:
    """End the remaining processes, each by its id."""
    for child in children:
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()


def _rest(child: subprocess.Popen[str]) -> str:
    """Return the rest of a program's output."""
    assert child.stdout is not None
    return child.stdout.read().strip() or "ended by its alarm"
