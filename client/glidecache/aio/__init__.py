"""The asyncio clients, mirrored by `glidecache.sync`."""
