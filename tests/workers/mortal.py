"""Workers that come, attach to an unnamed cache, and end in every way: `python -m workers.mortal CYCLES`.

Ends with the number of cycles as its output.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING, NoReturn

from glidecache import ClientSideCache
from glidecache.sync import GlideClient
from workers.application import configuration

if TYPE_CHECKING:
    from collections.abc import Callable

TOGETHER = 8
MAX_CACHE_KB = 16
ATTACHED_BEFORE_THE_KILL = 8


def attach() -> GlideClient:
    client = GlideClient.create(configuration(ClientSideCache.create(MAX_CACHE_KB, 0)))
    assert client.get("k") == client.get("k") == b"v"
    return client


def close() -> None:
    attach().close()


def leave() -> None:
    attach()


def be_killed() -> None:
    kept = attach()
    os.kill(os.getpid(), signal.SIGKILL)
    kept.close()


def leave_a_child() -> None:
    """The child inherits the hold, outlives its parent, and is killed when it has."""
    kept = attach()
    parent = os.getpid()
    if os.fork() == 0:
        while os.getppid() == parent:
            time.sleep(0.001)
        assert kept.get("k") == b"v"
        os.kill(os.getpid(), signal.SIGKILL)


def be_killed_attaching() -> None:
    """At any moment of these, by the parent."""
    for _ in range(ATTACHED_BEFORE_THE_KILL):
        attach()
    signal.pause()


ENDS = (close, leave, be_killed, leave_a_child, be_killed_attaching)
EXPECTED = {be_killed: -signal.SIGKILL, be_killed_attaching: -signal.SIGKILL}


def main(cycles: int) -> None:
    close()  # so that the children need not import, each by itself, what a first attachment imports
    running: list[tuple[int, Callable[[], None]]] = []
    for cycle in range(cycles):
        end = ENDS[cycle % len(ENDS)]
        running.append((_fork(end), end))
        if len(running) == TOGETHER:
            _see_end(*running.pop(0))
    for each in running:
        _see_end(*each)
    print(cycles)  # noqa: T201 - the answer to the test


def _fork(work: Callable[[], None]) -> int:
    pid = os.fork()
    if pid == 0:
        _leave(work)
    return pid


def _leave(work: Callable[[], None]) -> NoReturn:
    """Do a child's work and end it as the interpreter would, but for what the parent's would do too."""
    status = 1
    try:
        work()
        status = 0
    finally:
        os._exit(status)


def _see_end(pid: int, end: Callable[[], None]) -> None:
    if end is be_killed_attaching:
        os.kill(pid, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status == EXPECTED.get(end, 0), (end.__name__, status)


if __name__ == "__main__":
    main(int(sys.argv[1]))
