"""The application for ASGI servers, with the asyncio client, made when a worker's loop starts."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from glidecache import GlideClient
from workers.application import NAMED_CACHE, UNNAMED_CACHE, answer, asked, configuration

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Receive = Callable[[], Awaitable[dict[str, Any]]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]

CLIENTS: dict[str, GlideClient] = {}


async def respond(path: str) -> dict[str, Any]:
    if path == "/ping":
        return {"pid": os.getpid()}
    name, key = asked(urlsplit(path))
    client = CLIENTS[name]
    return answer(await client.get(key), client.get_cache_total_lookups())


async def lifespan(receive: Receive, send: Send) -> None:
    while True:
        event = (await receive())["type"]
        if event == "lifespan.startup":
            CLIENTS["named"] = await GlideClient.create(configuration(NAMED_CACHE))
            CLIENTS["unnamed"] = await GlideClient.create(configuration(UNNAMED_CACHE))
        else:
            for client in CLIENTS.values():
                await client.close()
        await send({"type": f"{event}.complete"})
        if event == "lifespan.shutdown":
            return


async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    body = json.dumps(await respond(scope["path"])).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
