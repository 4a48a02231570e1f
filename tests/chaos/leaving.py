"""A process that uses a client in every way and ends without closing it: `python -m chaos.leaving RUNTIME_DIR PORT`.

It says `ready`, and ends as soon as its standard input does.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from pathlib import Path

import glidecache.sync
from glidecache import ClientSideCache, GlideClient, GlideClientConfiguration, NodeAddress, RequestError

THREADS = 4


def main(runtime_dir: Path, port: int) -> None:
    """Threads, the main thread and an event loop use clients; threads and tasks are in calls when it ends."""
    config = GlideClientConfiguration(
        [NodeAddress("127.0.0.1", port)],
        client_side_cache=ClientSideCache.create(64, 0, enable_metrics=True),
        request_timeout=60_000,
        runtime_dir=str(runtime_dir),
    )
    client = glidecache.sync.GlideClient.create(config)
    client.set("k", "v")
    assert client.get("k") == client.get("k") == b"v"

    def wait_for_ever() -> None:
        assert client.get("k") == b"v"
        waiting.wait()
        client.custom_command(["BLPOP", "nothing", "0"])

    async def use() -> None:
        other = await GlideClient.create(config)
        assert await other.get("k") == b"v"
        tasks.add(asyncio.ensure_future(other.custom_command(["BLPOP", "nothing", "0"])))
        await asyncio.sleep(0)

    waiting = threading.Barrier(THREADS + 1)
    tasks: set[asyncio.Future[object]] = set()
    for _ in range(THREADS):
        threading.Thread(target=wait_for_ever, daemon=True).start()
    waiting.wait()
    try:
        asyncio.run(use())
    except RequestError as error:
        print(error)  # noqa: T201 - the test wants to see it
    print("ready", flush=True)  # noqa: T201 - the answer to the test
    sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
