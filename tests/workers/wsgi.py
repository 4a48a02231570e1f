"""The application for WSGI servers, with the blocking client."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from glidecache.sync import GlideClient
from workers.application import NAMED_CACHE, UNNAMED_CACHE, answer, asked, configuration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

CLIENTS = {
    "named": GlideClient.create(configuration(NAMED_CACHE)),
    "unnamed": GlideClient.create(configuration(UNNAMED_CACHE)),
}


def respond(path: str) -> dict[str, Any]:
    if path == "/ping":
        return {"pid": os.getpid()}
    name, key = asked(urlsplit(path))
    client = CLIENTS[name]
    return answer(client.get(key), client.get_cache_total_lookups())


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    body = json.dumps(respond(environ["PATH_INFO"])).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
