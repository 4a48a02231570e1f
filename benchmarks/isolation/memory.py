"""The daemon's memory beyond its pools while all abusers are at work at once."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from isolation.abuser import OVERSIZED_BYTES, WAYS
from isolation.latency import end_all, start
from isolation.measure import Measure, Place, at_most, plain

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

MB = 1 << 20
_BUDGET_MB = 256
_SECONDS = 12.0
_SAMPLE_S = 0.01
_STOPPED_S = 2.0


def measure(say: Callable[[str], object]) -> list[Measure]:
    """Run all abusers at once. Stop the server for two seconds, so that all queued requests stay."""
    children: list[subprocess.Popen[str]] = []
    with Place("proto-max-bulk-len 512mb", "client-query-buffer-limit 2gb") as place:
        idle = anonymous_bytes(place.daemon.pid)
        peaks: list[int] = []
        try:
            for way in WAYS:
                start("abuser", way, place, _SECONDS, children)
            began = time.monotonic()
            stopped = False
            while (elapsed := time.monotonic() - began) < _SECONDS:
                stop = _SECONDS / 2 < elapsed < _SECONDS / 2 + _STOPPED_S
                if stop != stopped:
                    stopped = stop
                    (place.server.pause if stop else place.server.resume)()
                peaks.append(anonymous_bytes(place.daemon.pid))
                time.sleep(_SAMPLE_S)
        finally:
            place.server.resume()
            end_all(children)
        say(f"  {len(peaks)} samples")
        time.sleep(2)
        after = anonymous_bytes(place.daemon.pid) if place.daemon.running else 0
        lives = place.daemon.running
    bound = _BUDGET_MB + 2 * OVERSIZED_BYTES / MB
    return [
        plain("the daemon's memory beyond pools, idle", idle / MB, "MB"),
        at_most("... more than that, all abusers at once", (max(peaks) - idle) / MB, "MB", bound),
        plain("... more than that, two seconds after them", (after - idle) / MB, "MB"),
        at_most("... daemons that ended", 1 - lives, "", 0),
    ]


def anonymous_bytes(pid: int) -> int:
    """Return the resident bytes of a process that are neither files nor shared memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0
