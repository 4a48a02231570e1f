"""What every server of these tests serves: reads through a named and an unnamed cache, and what they cost.

The clients are made when this module is imported: before the fork where the server loads the application first, else
in each worker. `UNNAMED_CACHE` is an object of its own in every process that imports the module.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from glidecache import ClientSideCache, GlideClientConfiguration

if TYPE_CHECKING:
    from urllib.parse import SplitResult

NAMED_CACHE = ClientSideCache.create(1024, 0, enable_metrics=True, name="catalog")
UNNAMED_CACHE = ClientSideCache.create(1024, 0, enable_metrics=True)

REQUEST_TIMEOUT_MS = 10_000


def configuration(cache: ClientSideCache) -> GlideClientConfiguration:
    """The daemon is found by the environment, the upstream by the daemon's configuration."""
    return GlideClientConfiguration(client_side_cache=cache, request_timeout=REQUEST_TIMEOUT_MS)


def asked(url: SplitResult) -> tuple[str, str]:
    """Which cache and which key a request is about: `/unnamed/the-key`."""
    _, cache, key = url.path.split("/")
    return cache, key


def answer(value: bytes | None, lookups: int) -> dict[str, Any]:
    """What a read returned, who read it, and how many lookups its pool has seen."""
    return {"pid": os.getpid(), "value": None if value is None else value.decode(), "lookups": lookups}
