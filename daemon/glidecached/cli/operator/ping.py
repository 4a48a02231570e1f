"""`glidecache ping`."""

from __future__ import annotations

import time

import click

from glidecache_shared import protocol
from glidecached.cli.options import linked, runtime_dir_option
from glidecached.stats import formatting


@click.command()
@runtime_dir_option
def ping(runtime_dir: str | None) -> None:
    """Exit with 0 if the daemon answers, and say how long that took."""
    with linked(runtime_dir) as link:
        sent_ns = time.perf_counter_ns()
        about = link.request(protocol.PING)
        taken_us = (time.perf_counter_ns() - sent_ns) / 1_000
    click.echo(
        f"glidecached {about['daemon_version']} answers, pid {about['pid']}, in {formatting.latency(taken_us)}"
    )
