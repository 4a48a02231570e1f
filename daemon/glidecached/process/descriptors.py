"""The number of descriptors of the process, and their uses: admission must never use up the last one (I9)."""

from __future__ import annotations

import logging
import resource
from dataclasses import dataclass

logger = logging.getLogger(__name__)

_OWN = 48
"""For the daemon itself: files of the interpreter, the loop, the log, name resolution, a reload."""

_MOST_BELIEVED = 1_048_576
_PER_POOL = 3
"""For one pool: its file, its access board, its lease. Twice as many while its generation is replaced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DescriptorPlan:
    """The division of the limit: half for clients' connections, a quarter each for pools and for upstreams."""

    limit: int
    connections: int
    pools: int
    upstream_connections: int


def raise_limit() -> int:
    """Raise the process's soft limit on descriptors to the hard one. Return the limit that then applies."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (ValueError, OSError) as error:
            logger.debug("descriptor limit not raised", extra={"limit": soft, "reason": error})
        else:
            soft = hard
    return _MOST_BELIEVED if soft == resource.RLIM_INFINITY else min(soft, _MOST_BELIEVED)


def plan_descriptors(limit: int | None = None) -> DescriptorPlan:
    """Divide the process's descriptors among their uses. `limit` defaults to the current soft limit."""
    if limit is None:
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        limit = _MOST_BELIEVED if soft == resource.RLIM_INFINITY else min(soft, _MOST_BELIEVED)
    left = max(limit - _OWN, 16)
    return DescriptorPlan(
        limit=limit,
        connections=max(4, left // 2),
        pools=max(2, left // 4 // _PER_POOL),
        upstream_connections=max(4, left // 4),
    )
