"""Try an installed wheel, in its interpreter: a miss and a hit by both clients, and all modules imported.

    python trial.py RUNTIME_DIR

It imports nothing but what was installed.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import pkgutil
import sys
from pathlib import Path

import glidecache
from glidecache import ClientSideCache, GlideClient, GlideClientConfiguration
from glidecache import sync as blocking

NOT_INSTALLED = {"django", "opentelemetry", "redis"}
"""Packages of extras that are not tried: modules that need one cannot be imported."""


def import_all() -> int:
    """Import every module of the three packages, and return how many are compiled."""
    compiled = 0
    for package in ("glidecache", "glidecache_shared", "glidecached"):
        folder = Path(importlib.import_module(package).__path__[0])
        for module in pkgutil.walk_packages([str(folder)], f"{package}."):
            if not module.name.endswith("__main__"):
                compiled += is_compiled(module.name)
    return compiled


def is_compiled(name: str) -> bool:
    """Import a module, and return whether it is compiled."""
    try:
        return str(importlib.import_module(name).__file__).endswith(".so")
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] in NOT_INSTALLED:
            return False
        raise


def configuration(runtime_dir: str, name: str) -> GlideClientConfiguration:
    """Return the configuration of a client with a cache of that name."""
    cache = ClientSideCache.create(1024, 60_000, enable_metrics=True, name=name)
    return GlideClientConfiguration(client_side_cache=cache, runtime_dir=runtime_dir, request_timeout=20_000)


def use_blocking(runtime_dir: str) -> None:
    """Miss once, and hit once."""
    client = blocking.GlideClient.create(configuration(runtime_dir, "blocking"))
    client.set("k", "v")
    client.hset("h", {"f": "1"})
    expect(
        [client.get("k"), client.get("k"), client.hgetall("h"), client.hgetall("h")],
        [b"v", b"v"] + [{b"f": b"1"}] * 2,
    )
    expect(client.get_cache_hit_rate(), 0.5)
    client.close()


async def use_asyncio(runtime_dir: str) -> None:
    """Do the same in an event loop."""
    client = await GlideClient.create(configuration(runtime_dir, "asyncio"))
    await client.set("k2", "v2")
    expect([await client.get("k2"), await client.get("k2")], [b"v2", b"v2"])
    expect(await client.get_cache_hit_rate(), 0.5)
    await client.close()


def expect(found: object, wanted: object) -> None:
    """Exit with both, where they differ."""
    if found != wanted:
        sys.exit(f"got {found!r} instead of {wanted!r}")


if __name__ == "__main__":
    use_blocking(sys.argv[1])
    asyncio.run(use_asyncio(sys.argv[1]))
    expect("glidecached" in str(Path(glidecache.__file__).parts), False)
    print(import_all())
