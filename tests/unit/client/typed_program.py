"""A program with GLIDE's types, for type checkers alone: callers' own types are accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from glidecache import Batch, ClusterBatch, GlideClient, GlideClusterClient
    from glidecache.sync import GlideClient as BlockingClient


async def pass_texts(client: GlideClient | GlideClusterClient, keys: list[str]) -> list[bytes | None]:
    """Pass `list[str]`, which is no `list[str | bytes]`."""
    await client.delete(keys)
    await client.custom_command(keys)
    await client.watch(keys)
    await client.sadd("key", keys)
    await client.zunion(keys)
    await client.blpop(keys, 1)
    await client.xack("key", "group", keys)
    await client.fcall("function", keys, keys)
    return await client.get_many(keys) or await client.mget(keys)


def pass_collections(
    client: BlockingClient,
    texts: tuple[str, ...],
    mixed: Sequence[str | bytes],
    numbers: set[int],
    produced: Iterable[bytes],
    text_pairs: dict[str, str],
    byte_pairs: Mapping[bytes, bytes],
    scores: dict[str, float],
) -> bytes | None:
    """Pass tuples, sets, generators, and mappings of text, of bytes, and of numbers."""
    client.exists(texts)
    client.exists(mixed)
    client.rpush("list", numbers)
    client.unlink(produced)
    client.touch(key.upper() for key in texts)
    client.mset(text_pairs)
    client.mset(byte_pairs)
    client.hset("hash", text_pairs)
    client.zadd("sorted", scores)
    client.zinter_withscores([("a", 1.5), ("b", 2.0)])
    client.xread(text_pairs)
    client.xadd("stream", [("field", "value")])
    client.config_set(text_pairs)
    return client.get("key")


def pass_to_batches(
    batch: Batch, cluster_batch: ClusterBatch, keys: list[str], pairs: dict[str, str]
) -> None:
    """Do the same in batches."""
    batch.delete(keys).mset(pairs).custom_command(keys)
    cluster_batch.exists(keys).hset("hash", pairs)
