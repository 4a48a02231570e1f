"""Draw docs/images/top.svg: the screen of `glidecache top` over a real daemon, half a minute into a read load.

Needs the extra `embedded`. Starts a daemon with an embedded Valkey in a private directory; nothing is left behind.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import random
import re
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from demo import daemon

from glidecache import ClientSideCache, EvictionPolicy, GlideClientConfiguration
from glidecache.sync import GlideClient
from glidecached.cli.top.app import Top

if TYPE_CHECKING:
    from multiprocessing.synchronize import Event

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "top.svg"
COLUMNS, ROWS = 126, 34
INTERVAL_S = 0.25
KEYS = 4_000
CACHES = {
    "catalog": (1024, 60_000, EvictionPolicy.LFU, 200),
    "prices": (512, 1_500, EvictionPolicy.LRU, 60),
    "sessions": (256, 60_000, EvictionPolicy.LRU, 300),
}
"""Name: bound in KB, time to live in ms, policy, bytes of a value."""


def main() -> None:
    """Draw the picture."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=30.0, help="how long the load has run (30)")
    seconds = options.parse_args().seconds
    spawn = multiprocessing.get_context("spawn")
    over = spawn.Event()
    with (
        tempfile.TemporaryDirectory(prefix="glidecached-top-") as directory,
        daemon(Path(directory)) as found,
    ):
        workers = [spawn.Process(target=read, args=(found, over, seed)) for seed in range(2)]
        for worker in workers:
            worker.start()
        try:
            asyncio.run(draw(found, seconds))
        finally:
            over.set()
            for worker in workers:
                worker.join()
    print(f"{PICTURE} drawn")


async def draw(runtime_dir: str, seconds: float) -> None:
    """Watch for a while, then keep what is seen."""
    top = Top(runtime_dir, INTERVAL_S)
    async with top.run_test(size=(COLUMNS, ROWS)) as pilot:
        await asyncio.sleep(seconds)
        await pilot.pause()
        picture = top.export_screenshot(title="glidecache top", simplify=True)
    # The picture needs nothing from elsewhere: its viewer has a font of equal widths.
    picture = re.sub(r"@font-face \{.*?\}", "", picture, flags=re.DOTALL)
    PICTURE.write_text(picture.replace("Fira Code", "DejaVu Sans Mono"))


def read(runtime_dir: str, over: Event, seed: int) -> None:
    """Run one worker: read keys of three caches, the first most often, at a pace that leaves the screen its time."""
    chance = random.Random(seed)
    clients = {
        name: GlideClient.create(
            GlideClientConfiguration(
                runtime_dir=runtime_dir,
                request_timeout=10_000,  # the first writes are large
                client_side_cache=ClientSideCache.create(kb, ttl_ms, policy, enable_metrics=True, name=name),
            )
        )
        for name, (kb, ttl_ms, policy, _) in CACHES.items()
    }
    for name, client in clients.items():
        size = CACHES[name][3]
        client.mset({f"{name}:{number}": "v" * size for number in range(KEYS)})
    while not over.is_set():
        for name, client in clients.items():
            for _ in range(chance.randrange(10, 40)):
                client.get(f"{name}:{int(chance.paretovariate(0.6)) % KEYS}")
        time.sleep(0.01)
    for client in clients.values():
        client.close()


if __name__ == "__main__":
    main()
