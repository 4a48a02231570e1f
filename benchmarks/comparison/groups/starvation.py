"""Commands through the daemon while more processes than processors read hits without a pause."""

from __future__ import annotations

import os
import re
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import valkey

import glidecache.sync
from comparison import data
from comparison.crew import crew
from comparison.peers import own
from comparison.rows import OWN, Group, LeftOut, Target, against_own, row
from comparison.timing import P50, P90, one_by_one

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from comparison.crew import Crew
    from comparison.rows import Row
    from comparison.scale import Scale
    from comparison.stand import Stand

READERS = 16
COMMANDS = 50
DIRECT = "valkey-py, direct"
UNIT = Path(__file__).resolve().parents[3] / "systemd" / "glidecached.service"


def measure(stand: Stand, scale: Scale) -> Group:
    """Measure EXISTS, which no cache answers, beside the readers: a daemon as started, and as its unit starts it."""
    left_out = {}
    with ExitStack() as stack:
        cache = own.new_cache()
        readers = stack.enter_context(crew(READERS, spin, stand.runtime_dir, cache))
        client = own.open_client(stand, stack, cache)
        direct = valkey.Valkey(*stand.address)
        stack.callback(direct.close)
        calls: dict[str, Callable[[], object]] = {
            OWN: lambda: client.exists([data.STRING_KEY]),
            DIRECT: lambda: direct.exists(data.STRING_KEY),
        }
        rows = beside_readers(stand, scale, readers, calls, "as started: ")
        nice = nice_of_unit()
        try:
            with priority(stand.daemon.pid, nice):
                rows += beside_readers(stand, scale, readers, calls, f"nice {nice}, as in the unit: ", TARGET)
        except LeftOut as error:
            left_out["the unit's priority"] = str(error)
    return Group(
        title=f"EXISTS, one blocking client, beside {READERS} processes that read hits without a pause",
        ratio_is="ours / theirs",
        rows=rows,
        left_out=left_out,
    )


TARGET = Target(text="≤ 0.5", at_most=0.5)


def beside_readers(
    stand: Stand,
    scale: Scale,
    readers: Crew,
    calls: dict[str, Callable[[], object]],
    prefix: str,
    target: Target | None = None,
) -> list[Row]:
    """Return the rows of both candidates, which take turns, and how long the daemon waited for each of its turns."""
    with readers.at_work(scale.spin_s * 1000):
        waited_ns, turns = queueing(stand.daemon.pid)
        samples = one_by_one(calls, COMMANDS, scale.crew_rounds)
        waited_until_ns, turns_until = queueing(stand.daemon.pid)
    targets = {DIRECT: target} if target else {}
    wait_us = (waited_until_ns - waited_ns) / max(turns_until - turns, 1) / 1000
    return [
        *against_own(samples, targets, prefix, shares={"p90": P90, "median": P50}),
        row(f"{prefix}the daemon waits for a processor", wait_us, "µs a turn"),
    ]


def queueing(pid: int) -> tuple[int, int]:
    """Return how long a process's first thread has waited for a processor, in ns, and how often it got one."""
    _, waited_ns, turns = Path(f"/proc/{pid}/schedstat").read_text().split()
    return int(waited_ns), int(turns)


def nice_of_unit() -> int:
    """Return the priority that the shipped unit gives the daemon."""
    found = re.search(r"^Nice=(-?\d+)$", UNIT.read_text(), re.MULTILINE)
    assert found, f"no Nice= in {UNIT}"
    return int(found[1])


@contextmanager
def priority(pid: int, nice: int) -> Iterator[None]:
    """Give a process another priority for the block. Raises `LeftOut` where this user may not."""
    before = os.getpriority(os.PRIO_PROCESS, pid)
    try:
        os.setpriority(os.PRIO_PROCESS, pid, nice)
    except PermissionError as error:
        message = f"only root may give a process the priority {nice}"
        raise LeftOut(message) from error
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, pid, before)


def spin(_number: int, runtime_dir: str, cache: Any) -> Callable[[int], object]:
    """Return a hit, again and again."""
    client = glidecache.sync.GlideClient.create(own.settings(runtime_dir, cache))
    assert client.get(data.STRING_KEY) == data.STRING
    return lambda _: client.get(data.STRING_KEY)
