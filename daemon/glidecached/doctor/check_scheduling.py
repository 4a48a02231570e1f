"""The daemon's turns on the processors: whether it has to queue behind other processes when it has work."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from glidecache_shared import protocol
from glidecached.cli.daemon_client import DaemonClient, DaemonUnreachableError, RefusedError
from glidecached.doctor.result import ok, skipped, warn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from glidecached.doctor.context import DoctorContext
    from glidecached.doctor.result import Finding

_CHECK = "processor time"
_PINGS = 20
_PAUSE_SECONDS = 0.05
"""Twenty questions in a second: an idle daemon gets turns as well, and a busy one does not notice them."""
_LONG_WAIT_NS = 250_000
"""A request takes two or three turns: so much for each of them is more than all else that a request costs."""


class Turns(NamedTuple):
    """A thread's turns on the processors so far: how long it ran, how long it waited for them, their number."""

    ran_ns: int
    waited_ns: int
    number: int

    def since(self, earlier: Turns) -> Turns:
        """Return the turns between two times."""
        return Turns(*(now - before for now, before in zip(self, earlier, strict=True)))


def check_scheduling(context: DoctorContext) -> Iterator[Finding]:
    """Check that it gets a processor when it has work: the kernel counts for how long it was ready and did not run.

    Over the second in which this asks the daemon twenty times: what was before says nothing about the host now.
    """
    process = context.contact.process
    if process is None or not process.pid or context.contact.silence:
        yield skipped(_CHECK, "the daemon's process cannot be seen from here, or does not answer")
        return
    try:
        before = turns_of(process.pid)
    except FileNotFoundError:
        yield skipped(_CHECK, "this kernel does not count how long processes wait for a processor")
        return
    try:
        with DaemonClient(context.runtime_dir) as link:
            for _ in range(_PINGS):
                link.request(protocol.PING)
                time.sleep(_PAUSE_SECONDS)
    except (DaemonUnreachableError, RefusedError) as error:
        yield skipped(_CHECK, f"the daemon could not be asked: {error}")
        return
    found = turns_of(process.pid).since(before)
    yield judge_turns(found, process.pid, os.getpriority(os.PRIO_PROCESS, process.pid))


def turns_of(pid: int) -> Turns:
    """Return the turns of a process's first thread, which is the daemon's loop. Raises `OSError`."""
    return Turns(*map(int, Path(f"/proc/{pid}/schedstat").read_text().split()))


def judge_turns(found: Turns, pid: int, nice: int) -> Finding:
    """Return the finding about the daemon's turns in the last second. `nice` is its present priority."""
    wait_ns = found.waited_ns / max(found.number, 1)
    seen = (
        f"in {found.number} turns it ran {found.ran_ns / 1e6:.1f} ms, and waited {found.waited_ns / 1e6:.1f} ms "
        f"for a processor, {wait_ns / 1e6:.2f} ms a turn; its nice value is {nice}"
    )
    if wait_ns < _LONG_WAIT_NS or found.waited_ns < found.ran_ns:
        return ok(_CHECK, seen)
    advice = (
        "it is starved, so every miss waits: give it Nice=-10 and CPUWeight=1000 in its unit, as the shipped one has "
        f"(systemctl edit glidecached), or renice -n -10 -p {pid}; or run fewer busy processes on this host"
    )
    return warn(_CHECK, seen, advice)
