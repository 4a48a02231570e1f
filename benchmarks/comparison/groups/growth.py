"""A miss that evicts, through whole clients: how its cost grows with the cache, GLIDE's beside ours."""

from __future__ import annotations

import statistics
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from comparison import data
from comparison.peers import client_caches, own
from comparison.rows import OWN, Group, reason, row
from comparison.stand import BATCH, put_many
from comparison.timing import rotated, undisturbed
from glidecache_shared.pool.store import charge_bytes, payload_bytes
from glidecache_shared.protocol import STRING

if TYPE_CHECKING:
    from comparison.scale import Scale
    from comparison.stand import Stand

POLICY = "LFU"
SMALL_ENTRIES = 1000
MISSES = 30
"""The number of misses of one turn."""
MAX_TURNS = 9
PROBE_KB = 64
"""A cache of GLIDE's that is filled to learn how many entries it counts to a kilobyte."""


class CrowdedClient:
    """A client whose cache is full: each further read of a new key is a miss, and evicts."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.next_number = 0

    def fill(self, entries: int, *, at_once: int) -> None:
        """Read new keys until one had to leave; some `entries` fit."""
        while self.client.get_cache_evictions() == 0:
            assert self.next_number <= 2 * entries, f"room for more than {self.next_number} entries"
            if at_once > 1:
                self.client.get_many([self.new_key() for _ in range(at_once)])
            else:
                self.client.get(self.new_key())

    def miss_us(self) -> float:
        """Return the microseconds per miss that evicts."""
        keys = [self.new_key() for _ in range(MISSES)]
        evictions = self.client.get_cache_evictions()
        get = self.client.get
        start = time.perf_counter_ns()
        for key in keys:
            get(key)
        elapsed_ns = time.perf_counter_ns() - start
        assert self.client.get_cache_evictions() == evictions + MISSES
        return elapsed_ns / MISSES / 1000

    def new_key(self) -> bytes:
        """Return a key that this client has not read yet."""
        self.next_number += 1
        return data.many_key(self.next_number - 1)


def measure(stand: Stand, scale: Scale) -> Group:
    """Measure both clients, with a small cache and a large one, taking turns."""
    sizes = (SMALL_ENTRIES, scale.crowded_entries)
    put_many(stand.server, 2 * scale.crowded_entries + BATCH + MAX_TURNS * MISSES)
    left_out: dict[str, str] = {}
    crowds: dict[tuple[str, int], CrowdedClient] = {}
    with ExitStack() as stack:
        for entries in sizes:
            crowds[OWN, entries] = open_own(stand, stack, entries)
        try:
            for entries in sizes:
                crowds[client_caches.GLIDE_SYNC, entries] = open_glide(stand, stack, entries)
        except Exception as error:  # noqa: BLE001 - whatever keeps a peer from running is its reason
            left_out[client_caches.GLIDE_SYNC] = reason(error)
        misses = take_turns(crowds, min(scale.rounds, MAX_TURNS))
    rows = []
    for name in dict.fromkeys(name for name, _ in crowds if name not in left_out):
        small, large = (statistics.median(misses[name, entries]) for entries in sizes)
        rows += [
            row(f"{name}, at {sizes[0]:,} entries", small, "µs"),
            row(f"{name}, at {sizes[1]:,} entries", large, "µs", ratio=large / small),
        ]
    return Group(
        title=f"GET miss + {POLICY} eviction, through the client and the server",
        ratio_is="large cache / small cache",
        rows=rows,
        left_out=left_out,
    )


def take_turns(
    crowds: dict[tuple[str, int], CrowdedClient], turns: int
) -> dict[tuple[str, int], list[float]]:
    """Return the times of each client's misses."""
    misses: dict[tuple[str, int], list[float]] = {crowd: [] for crowd in crowds}
    with undisturbed():
        for turn in range(turns):
            for crowd in rotated(list(crowds), turn):
                misses[crowd].append(crowds[crowd].miss_us())
    return misses


def open_own(stand: Stand, stack: ExitStack, entries: int) -> CrowdedClient:
    """Open this project's blocking client, filled with as few requests as it can."""
    charge = charge_bytes(data.KEY_BYTES, payload_bytes(STRING, data.many_value(0)))
    client = own.open_client(stand, stack, own.new_cache(charge * entries // 1024, POLICY))
    crowd = CrowdedClient(client)
    crowd.fill(entries, at_once=BATCH)
    return crowd


def open_glide(stand: Stand, stack: ExitStack, entries: int) -> CrowdedClient:
    """Open GLIDE's blocking client, with room for as many entries by its own accounting."""
    with ExitStack() as short:
        probe = CrowdedClient(
            client_caches.open_glide_client(stand, short, max_cache_kb=PROBE_KB, policy=POLICY)
        )
        probe.fill(BATCH, at_once=1)
        per_kb = probe.client.get_cache_entry_count() / PROBE_KB
    max_cache_kb = round(entries / per_kb)
    client = client_caches.open_glide_client(stand, stack, max_cache_kb=max_cache_kb, policy=POLICY)
    crowd = CrowdedClient(client)
    crowd.fill(entries, at_once=1)
    return crowd
