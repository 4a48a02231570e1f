"""The options of an upstream's connections."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamOptions:
    """The options of an upstream's connections: limits and times. A pool's identity does not depend on them."""

    connect_timeout_ms: int = 2_000
    reconnect_initial_ms: int = 50
    reconnect_max_ms: int = 1_000
    stall_timeout_ms: int = 15_000
    max_waiting_requests: int = 262_144
    max_blocking_connections: int = 64
    allow_replica: bool = False
