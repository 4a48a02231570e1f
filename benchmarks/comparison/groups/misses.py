"""One client whose reads are not in the cache: what the way through the daemon adds to asking the server."""

from __future__ import annotations

import itertools
from contextlib import ExitStack
from typing import TYPE_CHECKING

import valkey

from comparison import data
from comparison.peers import own
from comparison.plain_relay import PlainClient, plain_relay
from comparison.relay import RelayClient, relay
from comparison.rows import OWN, Group, Target, against_own
from comparison.stand import put_large, put_many
from comparison.timing import one_by_one

if TYPE_CHECKING:
    from collections.abc import Iterator

    from comparison.rows import Row
    from comparison.scale import Scale
    from comparison.stand import Stand

DIRECT = "valkey-py, direct"
RELAY = "a bare ZeroMQ relay"
PLAIN_RELAY = "a bare relay on plain sockets"
MANY = 100
EVICTING_KB = 16_384
"""A pool with room for fifteen large values: each one more evicts one."""
PART = 4
"""Turns of large values are this many times as many, and as much shorter."""


def measure(stand: Stand, scale: Scale) -> Group:
    """Measure GET, and a hundred existing keys at once: ours, direct, and through the bare relays."""
    keys = scale.misses * scale.process_rounds
    many_turns = max(scale.misses // 20, 5)
    put_many(stand.server, keys + MANY * many_turns * scale.process_rounds)
    with ExitStack() as stack:
        client = own.open_client(stand, stack, own.new_cache(max_cache_kb=keys))
        direct = valkey.Valkey(*stand.address)
        stack.callback(direct.close)
        bare = RelayClient(stack.enter_context(relay(stand.memory_directory, stand.address)))
        stack.callback(bare.close)
        plain = PlainClient(stack.enter_context(plain_relay(stand.memory_directory, stand.address)))
        stack.callback(plain.close)
        new, same = counted_keys(), counted_keys()
        singles = one_by_one(
            {
                OWN: lambda: client.get(next(new)),
                DIRECT: lambda: direct.get(next(same)),
                RELAY: lambda: bare.ask((b"GET", data.many_key(1))),
                PLAIN_RELAY: lambda: plain.ask((b"GET", data.many_key(1))),
            },
            scale.misses,
            scale.process_rounds,
        )
        asker = own.open_client(stand, stack, own.new_cache(max_cache_kb=MANY * keys))
        ours, theirs = counted_keys(keys), counted_keys(keys)
        many = one_by_one(
            {
                OWN: lambda: asker.get_many(list(itertools.islice(ours, MANY))),
                DIRECT: lambda: direct.mget(list(itertools.islice(theirs, MANY))),
            },
            many_turns,
            scale.process_rounds,
        )
        for reader, count in ((client, keys), (asker, MANY * many_turns * scale.process_rounds)):
            assert reader.get_cache_hit_rate() == 0
            assert reader.get_cache_entry_count() == count, "a miss was not stored, or a key did not exist"
    return Group(
        title="GET miss, 100 bytes, one blocking client",
        ratio_is="ours / theirs",
        rows=[
            *against_own(
                singles,
                {DIRECT: Target(text="≤ 1.2", at_most=1.2), RELAY: Target(text="≤ 1.3", at_most=1.3)},
            ),
            *against_own(
                many,
                {DIRECT: Target(text="≤ 1.2", at_most=1.2)},
                f"get_many, {MANY} existing keys: ",
            ),
        ],
    )


def measure_large(stand: Stand, scale: Scale) -> Group:
    """Measure a miss of 1 MB that is stored: in a pool that grows for it, and in one that evicts for it."""
    put_large(stand.server, scale.large_values)
    return Group(
        title="GET miss, 1 MB, stored, one blocking client",
        ratio_is="ours / theirs",
        rows=[
            *large_rows(
                stand, scale, "growing: ", 2 * scale.large_values * 1024, Target(text="≤ 2", at_most=2)
            ),
            *large_rows(stand, scale, "evicting: ", EVICTING_KB, Target(text="≤ 1.6", at_most=1.6)),
        ],
    )


def large_rows(stand: Stand, scale: Scale, prefix: str, max_cache_kb: int, target: Target) -> list[Row]:
    """Return the rows of a pool of this size; each value is read once."""
    with ExitStack() as stack:
        client = own.open_client(stand, stack, own.new_cache(max_cache_kb=max_cache_kb))
        direct = valkey.Valkey(*stand.address)
        stack.callback(direct.close)
        ours, theirs = itertools.count(), itertools.count()
        samples = one_by_one(
            {
                OWN: lambda: client.get(data.large_key(next(ours))),
                DIRECT: lambda: direct.get(data.large_key(next(theirs))),
            },
            scale.large_values // (PART * scale.process_rounds),
            PART * scale.process_rounds,
        )
        read = next(ours)
        fits = max_cache_kb >= scale.large_values * 1024
        assert client.get_cache_hit_rate() == 0
        assert (client.get_cache_entry_count() == read) == fits, f"not {prefix}"
        assert (client.get_cache_evictions() == 0) == fits, f"not {prefix}"
    return against_own(samples, {DIRECT: target}, prefix)


def counted_keys(first: int = 0) -> Iterator[bytes]:
    """Yield keys that exist upstream, and that no client has read yet."""
    return map(data.many_key, itertools.count(first))
