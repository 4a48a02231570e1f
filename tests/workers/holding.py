"""Which unnamed pools there are, and what a process has open."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psutil

if TYPE_CHECKING:
    import signal

    from support.daemon import Daemon


def unnamed_pools(daemon: Daemon) -> list[str]:
    """The unnamed pools that there are, by the names of their files."""
    return [name for name in daemon.pool_files() if name.startswith("unnamed") and name.endswith(".pool")]


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a process costs the kernel: what grows here with time is a leak."""

    descriptors: int
    threads: int

    @classmethod
    def of(cls, pid: int) -> Self:
        process = psutil.Process(pid)
        return cls(process.num_fds(), process.num_threads())


def zombies_of(pid: int) -> list[int]:
    """The children of a process that have ended and that it has not reaped."""
    found = []
    for child in psutil.Process(pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if child.status() == psutil.STATUS_ZOMBIE:
                found.append(child.pid)
    return found


def handles(pid: int, number: signal.Signals) -> bool:
    """Whether a process has a handler of its own for that signal."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = re.search(r"^SigCgt:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return caught is not None and bool(int(caught[1], 16) >> number - 1 & 1)
