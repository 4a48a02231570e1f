"""A session with `glidecache advise`: a cache too small, one too large, one with a wrong TTL, one that is written to.

Starts a daemon with an embedded Valkey in a private directory, and two worker processes; nothing is left behind. With
--publish the session replaces the one in docs/advice.md.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import shlex
import subprocess
import sys
import tempfile
import time
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from demo import connect, daemon

from glidecache import ClientSideCache

if TYPE_CHECKING:
    from multiprocessing.synchronize import Event

PAGE = Path(__file__).parents[1] / "docs" / "advice.md"
BEGIN = "<!-- session: written by `scripts/advice_session.py --publish` -->"
END = "<!-- end of the session -->"
PROGRAM = "from glidecached.cli.operator import main; main()"

WORKERS = 2
ROUND_SECONDS = 0.02
VALUE_BYTES = 400


class Traffic(NamedTuple):
    """A cache's settings, and the traffic of each worker: by Zipf's law over some keys, and a share of writes."""

    max_cache_kb: int
    entry_ttl_ms: int
    keys: int
    exponent: float
    reads_per_second: int
    writes: float = 0.0


CACHES = {
    "small": Traffic(1_024, 600_000, keys=10_000, exponent=0.8, reads_per_second=1_500),
    "large": Traffic(65_536, 600_000, keys=2_000, exponent=0.8, reads_per_second=500),
    "brief": Traffic(640, 1_000, keys=1_000, exponent=0.6, reads_per_second=400),
    "cart": Traffic(640, 600_000, keys=1_000, exponent=0.6, reads_per_second=400, writes=0.05),
}
COMMANDS = (
    "glidecache advise small",
    "glidecache advise large",
    "glidecache advise brief --ttls 1000,5000,30000,120000",
    "glidecache advise cart",
    "glidecache advise | tail -7",
    "glidecache doctor",
)


def main() -> int:
    """Run the session. Return the exit status: 1 if a cache has no advice."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=90.0, help="how long the traffic lasts before (90)")
    options.add_argument("--publish", action="store_true", help="put the session into docs/advice.md")
    given = options.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="glidecached-advice-") as directory,
        daemon(Path(directory)) as runtime_dir,
    ):
        session, advised = under_traffic(runtime_dir, given.seconds)
    if given.publish:
        put(session)
    else:
        print(session)
    missing = sorted(name for name in CACHES if not advised.get(name))
    if missing:
        print(f"no advice for {', '.join(missing)}", file=sys.stderr)
    return int(bool(missing))


def under_traffic(runtime_dir: str, seconds: float) -> tuple[str, dict[str, list[str]]]:
    """Return what the commands print while workers read, and what should be changed in which cache."""
    fill(runtime_dir)
    spawn = multiprocessing.get_context("spawn")
    over = spawn.Event()
    workers = [spawn.Process(target=work, args=(runtime_dir, over, seed)) for seed in range(WORKERS)]
    for worker in workers:
        worker.start()
    try:
        time.sleep(seconds)
        parts = [shown(runtime_dir, command) for command in COMMANDS]
        answer = json.loads(run(runtime_dir, "glidecache advise --json").stdout)
    finally:
        over.set()
        for worker in workers:
            worker.join()
    changes = {name: [each["what"] for each in report["advice"]] for name, report in answer["caches"].items()}
    return "\n".join(parts), changes


def fill(runtime_dir: str) -> None:
    """Write all keys to the server."""
    client = connect(runtime_dir)
    for name, traffic in CACHES.items():
        names = [f"{name}:{number}" for number in range(traffic.keys)]
        for begin in range(0, len(names), 1_000):
            client.mset({key: key.ljust(VALUE_BYTES, ".") for key in names[begin : begin + 1_000]})
    client.close()


def work(runtime_dir: str, over: Event, seed: int) -> None:
    """Run one worker: read from each cache at its pace, and write where it is written to."""
    chance = random.Random(seed)
    clients = {
        name: connect(
            runtime_dir,
            ClientSideCache.create(each.max_cache_kb, each.entry_ttl_ms, enable_metrics=True, name=name),
        )
        for name, each in CACHES.items()
    }
    weights = {
        name: list(accumulate(1 / rank**each.exponent for rank in range(1, each.keys + 1)))
        for name, each in CACHES.items()
    }
    due_s = time.monotonic()
    while not over.is_set():
        for name, each in CACHES.items():
            numbers = chance.choices(
                range(each.keys), cum_weights=weights[name], k=int(each.reads_per_second * ROUND_SECONDS)
            )
            for number in numbers:
                key = f"{name}:{number}"
                if chance.random() < each.writes:
                    clients[name].set(key, f"{key} {chance.random()}".ljust(VALUE_BYTES, "."))
                else:
                    clients[name].get(key)
        due_s += ROUND_SECONDS
        time.sleep(max(0.0, due_s - time.monotonic()))
    for client in clients.values():
        client.close()


def shown(runtime_dir: str, command: str) -> str:
    """Return a command as it is typed, what it prints, and its exit status, for a page. Of doctor only the advice."""
    typed, _, tail = command.partition(" | tail -")
    ended = run(runtime_dir, typed)
    lines = ended.stdout.splitlines()
    if tail:
        return "\n".join([f"```\n$ {command}", *lines[-int(tail) :], "```\n"])
    if command.endswith("doctor"):
        lines = [
            line
            for place, line in enumerate(lines)
            if "advice: " in line or (line.startswith(" ") and "advice: " in lines[place - 1])
        ]
        return "\n".join([f"```\n$ {command}", *lines, "```\n"])
    return "\n".join([f"```\n$ {command}; echo $?", *lines, f"{ended.returncode}\n```\n"])


def run(runtime_dir: str, command: str) -> subprocess.CompletedProcess[str]:
    """Run one of the operator's commands. Raises `RuntimeError` if it says that anything is wrong."""
    _, *arguments = shlex.split(command)
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments, "--runtime-dir", runtime_dir],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if ended.stderr:
        message = f"{command}: {ended.stderr}"
        raise RuntimeError(message)
    return ended


def put(session: str) -> None:
    """Replace the session in the page. Raises `ValueError` if the page has lost its two markers."""
    before, begin, rest = PAGE.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        message = f"{PAGE} must have the lines {BEGIN!r} and {END!r}: the session goes between them"
        raise ValueError(message)
    PAGE.write_text(f"{before}{BEGIN}\n\n{session}\n{END}{after}")


if __name__ == "__main__":
    sys.exit(main())
