"""A process's turns on the processors, as the kernel counts them, and whether it has to wait too long for them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from glidecached.doctor.result import ok, warn

if TYPE_CHECKING:
    from glidecached.doctor.result import Finding

CHECK = "processor time"
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
        return ok(CHECK, seen)
    advice = (
        "it is starved, so every miss waits: give it Nice=-10 and CPUWeight=1000 in its unit, as the shipped one has "
        f"(systemctl edit glidecached), or renice -n -10 -p {pid}; or run fewer busy processes on this host"
    )
    return warn(CHECK, seen, advice)
