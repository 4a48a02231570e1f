"""A program with children of its own: `python -m workers.crew METHOD`, a start method of `multiprocessing`.

The client is made before the children. It prints one JSON object.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.pool import Pool
from typing import TYPE_CHECKING, Any

from glidecache.sync import GlideClient
from workers.application import configuration
from workers.holding import Footprint

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext
    from multiprocessing.synchronize import Barrier

    from glidecache import ClientSideCache

CHILDREN = 4
READS = 50

_inherited: GlideClient | None = None
_of_child: GlideClient | None = None
_together: Barrier | None = None


def begin(cache: ClientSideCache, together: Barrier) -> None:
    """What a child of a pool does first: it has a client from the fork, or makes one with the cache it was sent."""
    global _of_child, _together  # noqa: PLW0603 - an initialiser has nowhere else to leave something
    _together = together
    _of_child = _inherited or GlideClient.create(configuration(cache))


def read(_number: int) -> dict[str, Any]:
    """Hits, and what they cost; no task is done before every child has one."""
    assert _of_child is not None
    assert _together is not None
    _together.wait(30)
    before = Footprint.of(os.getpid())
    values = {_of_child.get("k") for _ in range(READS)}
    after = Footprint.of(os.getpid())
    return {"values": [str(value) for value in values], "grown": before != after, "threads": after.threads}


def in_pool(context: BaseContext, cache: ClientSideCache) -> list[dict[str, Any]]:
    """`multiprocessing.Pool`."""
    with Pool(CHILDREN, begin, (cache, context.Barrier(CHILDREN)), context=context) as pool:
        found = pool.map(read, range(CHILDREN), chunksize=1)
        pool.close()
        pool.join()
    return found


def in_executor(context: BaseContext, cache: ClientSideCache) -> list[dict[str, Any]]:
    """`ProcessPoolExecutor`."""
    together = context.Barrier(CHILDREN)
    with ProcessPoolExecutor(CHILDREN, context, initializer=begin, initargs=(cache, together)) as executor:
        return list(executor.map(read, range(CHILDREN)))


def main(method: str) -> None:
    global _inherited  # noqa: PLW0603 - what a fork takes along
    from glidecache import ClientSideCache

    cache = ClientSideCache.create(1024, 0, enable_metrics=True)
    client = GlideClient.create(configuration(cache))
    client.get("k")
    context = multiprocessing.get_context(method)
    if method == "fork":
        _inherited = client
    found = {"pool": in_pool(context, cache), "executor": in_executor(context, cache)}
    print(json.dumps({**found, "lookups": client.get_cache_total_lookups()}))  # noqa: T201 - the answer to the test


if __name__ == "__main__":
    main(sys.argv[1])
