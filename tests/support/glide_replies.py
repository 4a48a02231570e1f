"""What the installed GLIDE returns for the calls of `command_samples`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from support.command_samples import GROUPS, as_text
from support.valkey_server import HOST

if TYPE_CHECKING:
    from support.valkey_server import ValkeyServer

REQUEST_TIMEOUT_MS = 5_000


def glide_replies(server: ValkeyServer, protocol: str) -> dict[str, list[list[str]]]:
    """Of each group the calls' methods and results, as text. protocol: `"RESP2"` or `"RESP3"`."""
    return asyncio.run(_replies(server, protocol))


async def _replies(server: ValkeyServer, protocol: str) -> dict[str, list[list[str]]]:
    import glide

    configuration = glide.GlideClientConfiguration(
        [glide.NodeAddress(HOST, server.port)],
        request_timeout=REQUEST_TIMEOUT_MS,
        protocol=getattr(glide.ProtocolVersion, protocol),
    )
    client: Any = await glide.GlideClient.create(configuration)
    replies = {}
    for name, group in GROUPS.items():
        server.reset()
        rows = []
        for call in group(glide):
            try:
                result = await getattr(client, call.method)(*call.arguments)
            except glide.GlideError as error:
                result = error
            rows.append([call.method, as_text(result, loosely=call.loosely)])
        replies[name] = rows
    await client.close()
    return replies
