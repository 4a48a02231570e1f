"""Makes the pictures of the status page: a daemon, a Valkey, workers with traffic that comes and goes, and Chromium.

Run it as `make screenshots`. What it shows is what was measured while it ran.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import random
import sys
import tempfile
import time
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from glidecache import ClientSideCache, GlideClientConfiguration
from glidecache.sync import GlideClient
from support.browser import Browser
from support.daemon import Daemon
from support.valkey_server import HOST, ValkeyServer, free_port
from support.waiting import wait_until

if TYPE_CHECKING:
    from multiprocessing.synchronize import Event

IMAGES = Path(__file__).parents[1] / "docs" / "images"
CACHES = {
    "catalog": {"max_cache_kb": 6_144, "entry_ttl_ms": 60_000, "enable_metrics": True},
    "sessions": {"max_cache_kb": 4_096, "entry_ttl_ms": 5_000, "enable_metrics": True},
}
KEYS = {"catalog": 30_000, "sessions": 4_000}
WORKERS = 2
WIDTH = 1200
SCALE = 1.25
READS_PER_S = {"catalog": 3_000, "sessions": 900}
WAVE_S = 45.0
"""The length of one ebb and flow."""


def main() -> int:
    """Make the pictures. Return the exit status."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=175.0, help="how long the traffic lasts (175)")
    options.add_argument("--directory", type=Path, default=IMAGES, help="where the pictures go")
    arguments = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="glidecached-pictures-") as name:
        directory = Path(name)
        server = ValkeyServer(directory / "valkey")
        server.start()
        for prefix, count in KEYS.items():
            server.admin.mset({f"{prefix}:{number}": "x" * (150 + number % 100) for number in range(count)})
        port = free_port()
        daemon = Daemon(
            directory / "daemon",
            {
                "daemon": {"log_level": "warning"},
                "metrics": {"listen": f"{HOST}:{port}"},
                "upstreams": {"default": {"addresses": [f"{HOST}:{server.port}"]}},
                "caches": CACHES,
            },
        )
        try:
            daemon.start()
            with_traffic(daemon, arguments.seconds, directory, f"http://{HOST}:{port}/", arguments.directory)
            daemon.stop()
        finally:
            daemon.discard()
            server.stop()
    return 0


def with_traffic(daemon: Daemon, seconds: float, directory: Path, address: str, images: Path) -> None:
    """Let the workers read for a while, and look."""
    context = multiprocessing.get_context("spawn")
    end = context.Event()
    workers = [
        context.Process(target=read, args=(str(daemon.runtime_dir), cache, number, end))
        for cache in CACHES
        for number in range(WORKERS)
    ]
    for worker in workers:
        worker.start()
    # Open from the beginning: on a small machine its start would be seen in the figures.
    browser = Browser(directory / "profile", width=WIDTH, height=1000, scale=SCALE)
    try:
        browser.driver.get(address)
        time.sleep(seconds)
        take(browser, images)
    finally:
        browser.close()
        end.set()
        for worker in workers:
            worker.join()


def read(runtime_dir: str, cache: str, seed: int, end: Event) -> None:
    """Run a worker: read by a Zipf distribution, more and less in waves."""
    chance = random.Random(seed)
    count = KEYS[cache]
    weights = list(accumulate(1 / number**0.9 for number in range(1, count + 1)))
    configuration = GlideClientConfiguration(
        runtime_dir=runtime_dir,
        upstream="default",
        client_side_cache=ClientSideCache.named(cache),
        request_timeout=10_000,
    )
    with GlideClient.create(configuration) as client:
        while not end.is_set():
            began = time.monotonic()
            wave = 0.6 + 0.4 * math.sin(2 * math.pi * time.time() / WAVE_S)
            for number in chance.choices(
                range(count), cum_weights=weights, k=int(READS_PER_S[cache] * wave / 10)
            ):
                client.get(f"{cache}:{number}")
            time.sleep(max(0.0, began + 0.1 - time.monotonic()))


def take(browser: Browser, images: Path) -> None:
    """Take both pictures, of the same page."""
    images.mkdir(parents=True, exist_ok=True)
    wait_until(lambda: browser.text("#state") == "Live", "the page has figures", 20)
    height = browser.evaluate("return document.documentElement.scrollHeight")
    size = {"width": WIDTH, "height": height, "deviceScaleFactor": SCALE, "mobile": False}
    browser.command("Emulation.setDeviceMetricsOverride", **size)
    for scheme in ("light", "dark"):
        browser.prefer(prefers_color_scheme=scheme)
        browser.driver.save_screenshot(str(images / f"status-{scheme}.png"))


if __name__ == "__main__":
    sys.exit(main())
