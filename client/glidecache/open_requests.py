"""How many requests of one client may be open at once (`inflight_requests_limit`), and what one more is told."""

from __future__ import annotations

from glidecache.errors import RequestError


def too_many(limit: int) -> RequestError:
    """Return the error for one request more than a client may have open."""
    return RequestError(f"Reached maximum inflight requests: inflight_requests_limit is {limit}")
