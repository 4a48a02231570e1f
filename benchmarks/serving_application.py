"""The application that `make bench-fronts` serves with uvicorn: ten look-ups a request, by the client that is named.

`BENCH_CLIENT`: the client. `BENCH_PORT`: the server's port. `BENCH_KEYS`: how many keys there are. The daemon is found
by the environment, as always.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Receive = Callable[[], Awaitable[dict[str, Any]]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]
    Get = Callable[[str], Awaitable[bytes | None]]

LOOKUPS = 10
BODY_BYTES = 16
HOST = "127.0.0.1"
PORT = int(os.environ.get("BENCH_PORT", "0"))
KEYS = [f"product:{number}" for number in range(int(os.environ.get("BENCH_KEYS", "0")))]
MAX_CACHE_KB, TTL_MS = 65_536, 600_000


async def _valkey() -> Get:
    from valkey.asyncio import Valkey

    return Valkey(host=HOST, port=PORT).get  # type: ignore[no-any-return]


async def _front() -> Get:
    from glidecache.valkey.asyncio import Valkey

    return Valkey(host=HOST, port=PORT, shared_cache="serving").get  # type: ignore[no-any-return]


async def _glidecached() -> Get:
    import glidecache

    return await _of_glides_kind(glidecache, name="serving-glide")


async def _glide() -> Get:
    import glide

    return await _of_glides_kind(glide)


async def _of_glides_kind(module: Any, **own: Any) -> Get:
    cache = module.ClientSideCache.create(MAX_CACHE_KB, TTL_MS, enable_metrics=True, **own)
    address = module.NodeAddress(HOST, PORT)
    configuration = module.GlideClientConfiguration(
        [address], client_side_cache=cache, request_timeout=20_000
    )
    client = await module.GlideClient.create(configuration)
    return client.get  # type: ignore[no-any-return]


async def _nothing() -> Get:
    async def get(_: str) -> bytes | None:
        return b"x" * 100

    return get


CLIENTS = {
    "no client": _nothing,
    "valkey.asyncio": _valkey,
    "its front": _front,
    "glidecached": _glidecached,
    "valkey-glide, its cache": _glide,
}

_turn = 0
_get: Get | None = None


async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Answer every request with the bytes that ten look-ups found."""
    global _get, _turn  # noqa: PLW0603 - a worker's own
    if scope["type"] == "lifespan":
        while (await receive())["type"] == "lifespan.startup":
            _get = await CLIENTS[os.environ["BENCH_CLIENT"]]()
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    assert _get is not None
    found = 0
    first = _turn
    _turn = (_turn + LOOKUPS) % len(KEYS)
    for number in range(first, first + LOOKUPS):
        found += len(await _get(KEYS[number]) or b"")
    body = b"%*d" % (BODY_BYTES, found)
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % BODY_BYTES)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
