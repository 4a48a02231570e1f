"""What peers can make the daemon hold, in bytes: one budget for all of it, and how long an unfinished message may stay.

Counted are the bytes of frames that have not come in full, of requests that are queued or open, and of answers that
their peers have not read.
"""

from __future__ import annotations

from glidecached.front.lane import Lane
from glidecached.shares import Shares, megabytes

DEFAULT_CLIENT_MEMORY_MB = 256
UNFINISHED_NS = 10_000_000_000
"""How long a peer may take for the next part of a message that it has begun, or to read of one in the lane."""

LEAST_PROGRESS_BYTES = 65_536
LEAST_LANE_PROGRESS_BYTES = 16_777_216
"""What has to come, or leave, in that time at the least; or all that is missing."""

_MB = 1_048_576


class Budget:
    """The shares of memory, and the lane. For the loop's thread."""

    def __init__(self, memory_mb: int = DEFAULT_CLIENT_MEMORY_MB) -> None:
        self.memory = Shares(
            memory_mb * _MB, "buffers for clients", "[daemon] max_client_memory_mb", show=megabytes
        )
        self.lane = Lane()
        self.unfinished_ns = UNFINISHED_NS

    def limit(self, memory_mb: int) -> None:
        """Set the total anew; what is held stays."""
        self.memory.total = memory_mb * _MB
