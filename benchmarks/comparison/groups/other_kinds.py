"""Hashes, sets, and a large string: where decoding and copying are what a hit costs."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import msgpack

from comparison import data
from comparison.peers import client_caches, own
from comparison.rows import OWN, Group, Target, beside_own, reason
from comparison.timing import interleave

if TYPE_CHECKING:
    from collections.abc import Callable

    from comparison.scale import Scale
    from comparison.stand import Stand

RATIO = "their time / ours"
UNPACKB = "msgpack.unpackb of the same data"
UNPACKB_SET = "set(msgpack.unpackb) of the same data"
UNPACKB_LIST = "msgpack.unpackb, a list of the members"
MEMCPY = "bytes(memoryview) of the same size"

COLLECTION_TARGETS = {
    client_caches.GLIDE_SYNC: Target(text="≥ 15", at_least=15),
    UNPACKB: Target(text="> 1", at_least=1),
    UNPACKB_SET: Target(text="> 1", at_least=1),
}
LARGE_TARGETS = {MEMCPY: Target(text="≥ 0.5", at_least=0.5)}


def measure_hash(stand: Stand, scale: Scale) -> Group:
    """Measure `HGETALL` of 20 fields."""
    packed = msgpack.packb(data.HASH)
    return beside_glide(
        stand,
        scale,
        title=f"HGETALL hit, {data.MEMBERS} fields",
        expected=data.HASH,
        targets=COLLECTION_TARGETS,
        read_of=lambda client: lambda: client.hgetall(data.HASH_KEY),
        others={UNPACKB: lambda: msgpack.unpackb(packed, raw=False, strict_map_key=False)},
    )


def measure_set(stand: Stand, scale: Scale) -> Group:
    """Measure `SMEMBERS` of 20 members.

    msgpack has no sets: the list that it returns has none of its members hashed.
    """
    packed = msgpack.packb(list(data.SET))
    return beside_glide(
        stand,
        scale,
        title=f"SMEMBERS hit, {data.MEMBERS} members",
        expected=data.SET,
        targets=COLLECTION_TARGETS,
        read_of=lambda client: lambda: client.smembers(data.SET_KEY),
        others={
            UNPACKB_SET: lambda: set(msgpack.unpackb(packed)),
            UNPACKB_LIST: lambda: msgpack.unpackb(packed),
        },
    )


def measure_large(stand: Stand, scale: Scale) -> Group:
    """Measure `GET` of 1 MB, beside a plain copy of as many bytes into a new object."""
    view = memoryview(bytearray(data.LARGE))
    return beside_glide(
        stand,
        scale,
        title="GET hit, 1 MB",
        expected=data.LARGE,
        targets=LARGE_TARGETS,
        read_of=lambda client: lambda: client.get(data.LARGE_KEY),
        others={MEMCPY: lambda: bytes(view)},
    )


def beside_glide(
    stand: Stand,
    scale: Scale,
    *,
    title: str,
    expected: object,
    targets: dict[str, Target],
    read_of: Callable[[Any], Callable[[], object]],
    others: dict[str, Callable[[], object]],
) -> Group:
    """Measure one read of both blocking clients, and of the other candidates."""
    left_out = {}
    with ExitStack() as stack:
        reads = {OWN: read_of(own.open_client(stand, stack))} | others
        assert reads[OWN]() == reads[OWN]() == expected
        try:
            reads[client_caches.GLIDE_SYNC] = read_of(client_caches.open_glide_client(stand, stack))
            assert reads[client_caches.GLIDE_SYNC]() == expected
        except Exception as error:  # noqa: BLE001 - whatever keeps a peer from running is its reason
            left_out[client_caches.GLIDE_SYNC] = reason(error)
            reads.pop(client_caches.GLIDE_SYNC, None)
        samples = interleave(reads, scale)
    return Group(title=title, ratio_is=RATIO, rows=beside_own(samples, targets), left_out=left_out)
