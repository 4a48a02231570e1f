"""`glidecache ping`, for which the base of the distribution is enough."""

from __future__ import annotations

import sys
import time
from typing import Any

from glidecache_shared import __version__, protocol
from glidecached import formatting
from glidecached.cli.options import linked


def ping(runtime_dir: str | None) -> None:
    """Print that the daemon answers, and how long that took. If none does, end the process with a message."""
    # A daemon answers PING to a command of any version, and HELLO to one of its own protocol alone.
    with linked(runtime_dir, greet=False) as link:
        sent_ns = time.perf_counter_ns()
        about: dict[str, Any] = link.request(protocol.PING)
        taken_us = (time.perf_counter_ns() - sent_ns) / 1_000
    version = about.get("daemon_version", "of an unknown version")
    line = f"glidecached {version} answers, pid {about.get('pid')}, in {formatting.latency(taken_us)}"
    if version != __version__:
        line += f"; this command is {__version__}"
    spoken = about.get("protocol_version")
    if spoken != protocol.PROTOCOL_VERSION:
        line += f" and speaks protocol {protocol.PROTOCOL_VERSION}, the daemon {spoken}"
    print(formatting.printable(line))  # noqa: T201 - what was asked for
    sys.stdout.flush()  # an output that cannot be written is the caller's to report
