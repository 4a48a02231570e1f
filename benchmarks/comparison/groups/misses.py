"""One client whose reads are not in the cache: what the way through the daemon adds to asking the server."""

from __future__ import annotations

import itertools
import statistics
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import valkey

from comparison import data
from comparison.peers import own
from comparison.plain_relay import PlainClient, plain_relay
from comparison.relay import RelayClient, relay
from comparison.rows import OWN, Group, Target, row
from comparison.stand import put_many
from comparison.timing import rotated, undisturbed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from comparison.rows import Row
    from comparison.scale import Scale
    from comparison.stand import Stand

DIRECT = "valkey-py, direct"
RELAY = "a bare ZeroMQ relay"
PLAIN_RELAY = "a bare relay on plain sockets"
MANY = 100
NEVER_KB = 1
"""A cache in which nothing that is read here fits: each read is a miss, and stores nothing."""


def measure(stand: Stand, scale: Scale) -> Group:
    """Measure GET, a hundred GETs at once, and a large value: ours, direct, and through the bare relay."""
    keys = scale.misses * scale.process_rounds
    put_many(stand.server, keys)
    with ExitStack() as stack:
        client = own.open_client(stand, stack, own.new_cache(max_cache_kb=keys))
        passing = own.open_client(stand, stack, own.new_cache(max_cache_kb=NEVER_KB))
        direct = valkey.Valkey(*stand.address)
        stack.callback(direct.close)
        bare = RelayClient(stack.enter_context(relay(stand.memory_directory, stand.address)))
        stack.callback(bare.close)
        plain = PlainClient(stack.enter_context(plain_relay(stand.memory_directory, stand.address)))
        stack.callback(plain.close)
        new, same = counted_keys(), counted_keys()
        singles = {
            OWN: lambda: client.get(next(new)),
            DIRECT: lambda: direct.get(next(same)),
            RELAY: lambda: bare.ask((b"GET", data.many_key(1))),
            PLAIN_RELAY: lambda: plain.ask((b"GET", data.many_key(1))),
        }
        fresh = counted_keys(b"many:")
        many = {
            OWN: lambda: client.get_many(list(itertools.islice(fresh, MANY))),
            DIRECT: lambda: direct.mget(list(itertools.islice(fresh, MANY))),
        }
        large = {
            OWN: lambda: passing.get(data.LARGE_KEY),
            DIRECT: lambda: direct.get(data.LARGE_KEY),
        }
        single_us = medians_us(singles, scale.misses, scale)
        assert client.get_cache_hit_rate() == 0
        many_us = medians_us(many, max(scale.misses // 20, 5), scale)
        large_us = medians_us(large, max(scale.misses // 20, 5), scale)
    return Group(
        title="GET miss, 100 bytes, one blocking client",
        ratio_is="ours / theirs",
        rows=[
            *against_own(
                single_us,
                {DIRECT: Target(text="≤ 1.8", at_most=1.8), RELAY: Target(text="≤ 1.3", at_most=1.3)},
            ),
            *against_own(
                many_us, {DIRECT: Target(text="≤ 1.5", at_most=1.5)}, f"get_many of {MANY} misses: "
            ),
            *against_own(large_us, {DIRECT: Target(text="≤ 2.5", at_most=2.5)}, "a miss of 1 MB: "),
        ],
    )


def counted_keys(prefix: bytes = b"") -> Iterator[bytes]:
    """Yield keys that no client has read yet; without a prefix they exist upstream."""
    return (prefix + data.many_key(number) for number in itertools.count())


def medians_us(calls: dict[str, Callable[[], object]], number: int, scale: Scale) -> dict[str, float]:
    """Return the median time of single calls that take turns in rounds.

    One slow call among many does not count.
    """
    times: dict[str, list[int]] = {name: [] for name in calls}
    clock = time.perf_counter_ns
    with undisturbed():
        for round_number in range(scale.process_rounds):
            for name in rotated(list(calls), round_number):
                call = calls[name]
                for _ in range(number):
                    start_ns = clock()
                    call()
                    times[name].append(clock() - start_ns)
    return {name: statistics.median(values) / 1000 for name, values in times.items()}


def against_own(times_us: dict[str, float], targets: dict[str, Target], prefix: str = "") -> list[Row]:
    """Return a row per candidate, ours first; each ratio is ours to theirs."""
    own_us = times_us[OWN]
    rows = [row(prefix + OWN, own_us, "µs")]
    for name, time_us in times_us.items():
        if name != OWN:
            rows.append(row(prefix + name, time_us, "µs", ratio=own_us / time_us, target=targets.get(name)))
    return rows
