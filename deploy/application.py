"""An application beside the daemon: it reads one key twice, and serves what the cache says about it.

It prints the outcome and the cache's metrics, and then serves them over HTTP, one look more for each request. `--once`
ends it after the first. It needs `pip install glidecached` and nothing else.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from glidecache import ClientSideCache, GlideClientConfiguration, GlideError
from glidecache.sync import GlideClient

PORT = 8000
CACHE = "catalog"
"""A cache of the daemon's configuration."""


def hits(client: GlideClient) -> int:
    """Return the cache's hits so far, over all its workers."""
    return round(client.get_cache_hit_rate() * client.get_cache_total_lookups())


def look(client: GlideClient, key: str) -> dict[str, Any]:
    """Read the key. Return its value, whether the cache had it, and the cache's metrics."""
    before = hits(client)
    value = client.get(key)
    return {
        "key": key,
        "value": None if value is None else value.decode(),
        "outcome": "hit" if hits(client) > before else "miss",
        "lookups": client.get_cache_total_lookups(),
        "hit_rate": round(client.get_cache_hit_rate(), 3),
        "entries": client.get_cache_entry_count(),
    }


def serve(client: GlideClient, key: str) -> None:
    """Answer each request with one more look, until SIGTERM."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                status, answer = 200, look(client, key)
            except GlideError as error:
                status, answer = 503, {"error": str(error)}
            body = json.dumps(answer).encode() + b"\n"
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with ThreadingHTTPServer(("", int(os.environ.get("PORT", PORT))), Handler) as server:
        # As the first process of its container it gets no signal that it does not handle.
        signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
        server.serve_forever()


def main() -> None:
    """Show a miss, then a hit, then serve."""
    key = f"greeting:{uuid.uuid4()}"
    # fallback="error": whether the daemon is reached is what this is to show.
    configuration = GlideClientConfiguration(
        client_side_cache=ClientSideCache.named(CACHE), fallback="error", request_timeout=2_000
    )
    try:
        with GlideClient.create(configuration) as client:
            client.set(key, "hello")
            for _ in range(2):
                print(json.dumps(look(client, key)), flush=True)
            if "--once" not in sys.argv[1:]:
                serve(client, key)
    except GlideError as error:
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
