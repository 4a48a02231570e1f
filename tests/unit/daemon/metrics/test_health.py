"""What `/healthz` says of upstreams: a line each, whatever a server has answered."""

from __future__ import annotations

from typing import Any

import pytest

from glidecached.metrics.application import Health
from glidecached.stats.snapshots import Snapshots


@pytest.mark.parametrize(
    ("connected_to", "last_error", "told"),
    [
        ("h:1", None, "connected to h:1"),
        ("h:1", "connection lost", "connected to h:1"),
        (None, None, "not used yet"),
        (None, "h:1: connection refused", "not connected: h:1: connection refused"),
        (None, "-ERR\nok: all is well\x1b[2J", r"not connected: -ERR\nok: all is well\x1b[2J"),
    ],
)
def test_each_upstream_is_one_line(
    loop: Any, connected_to: str | None, last_error: str | None, told: str
) -> None:
    upstream = {"name": "default", "connected_to": connected_to, "last_error": last_error}
    snapshots = Snapshots(loop, lambda: {"upstreams": [upstream]})
    health = Health(snapshots, grace_ms=5_000)
    assert health.check()[1].count("\n") == 1, "nothing is known of them yet"
    snapshots.take()
    well, text = health.check()
    assert well
    first, line, end = text.split("\n")
    assert first.startswith("ok: the loop turned ")
    assert (line, end) == (f"upstream default: {told}", "")
