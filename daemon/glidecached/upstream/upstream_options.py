"""How an upstream's connections behave."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamOptions:
    """How an upstream's connections behave. Bounds and times; nothing that a pool's identity depends on."""

    connect_timeout_ms: int = 2_000
    reconnect_initial_ms: int = 50
    reconnect_max_ms: int = 1_000
    stall_timeout_ms: int = 15_000
    max_waiting_requests: int = 262_144
    max_blocking_connections: int = 64
    allow_replica: bool = False
