"""The budget for all bytes that the daemon holds for its peers, and the time limit of an unfinished message.

It counts the bytes of incomplete frames, of queued and open requests, and of answers that their peers have not read.
"""

from __future__ import annotations

from glidecached.frontend.oversize_lane import OversizeLane
from glidecached.shares import Shares, megabytes

DEFAULT_CLIENT_MEMORY_MB = 256
UNFINISHED_NS = 10_000_000_000
"""The time in which a peer must send the next part of a message, or read some of a message in the lane."""

LEAST_PROGRESS_BYTES = 65_536
LEAST_LANE_PROGRESS_BYTES = 16_777_216
"""The progress that a message in the lane must make in that time; or all of it, if less is left."""

_MB = 1_048_576


class Budget:
    """The shares of memory, and the lane. For the loop's thread."""

    def __init__(self, memory_mb: int = DEFAULT_CLIENT_MEMORY_MB) -> None:
        self.memory = Shares(
            memory_mb * _MB, "buffers for clients", "[daemon] max_client_memory_mb", show=megabytes
        )
        self.lane = OversizeLane()
        self.unfinished_ns = UNFINISHED_NS

    def limit(self, memory_mb: int) -> None:
        """Set a new total; what is held stays."""
        self.memory.total = memory_mb * _MB
