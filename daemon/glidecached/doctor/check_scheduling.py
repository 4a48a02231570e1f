"""The daemon's turns on the processors: whether it has to queue behind other processes when it has work."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from glidecache_shared import protocol
from glidecached.cli.daemon_client import DaemonClient, DaemonUnreachableError, RefusedError
from glidecached.doctor.result import skipped
from glidecached.doctor.turns import CHECK, judge_turns, turns_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from glidecached.doctor.context import DoctorContext
    from glidecached.doctor.result import Finding

_PINGS = 20
_PAUSE_SECONDS = 0.05
"""Twenty questions in a second: an idle daemon gets turns as well, and a busy one does not notice them."""


def check_scheduling(context: DoctorContext) -> Iterator[Finding]:
    """Check that it gets a processor when it has work: the kernel counts for how long it was ready and did not run.

    Over the second in which this asks the daemon twenty times: what was before says nothing about the host now.
    """
    process = context.contact.process
    if process is None or not process.pid or context.contact.silence:
        yield skipped(CHECK, "the daemon's process cannot be seen from here, or does not answer")
        return
    try:
        before = turns_of(process.pid)
    except FileNotFoundError:
        yield skipped(CHECK, "this kernel does not count how long processes wait for a processor")
        return
    try:
        with DaemonClient(context.runtime_dir) as link:
            for _ in range(_PINGS):
                link.request(protocol.PING)
                time.sleep(_PAUSE_SECONDS)
    except (DaemonUnreachableError, RefusedError) as error:
        yield skipped(CHECK, f"the daemon could not be asked: {error}")
        return
    found = turns_of(process.pid).since(before)
    yield judge_turns(found, process.pid, os.getpriority(os.PRIO_PROCESS, process.pid))
