"""Architecture decision 10: keys that were picked to collide cost no more than any others.

Measured by the shape of the index, not by time: how many buckets there are, and how many of them finding every entry
once has to look at.
"""

from __future__ import annotations

import random
import zlib
from typing import TYPE_CHECKING

import pytest

from glidecache_shared.protocol import STRING
from support.core_headers import CoreHeaders

if TYPE_CHECKING:
    from collections.abc import Sequence

    from glidecache_shared.pool.store import PoolStore
    from stress.conftest import MakeStore

KEYS = 100_000
ROOM_KB = 32 * 1024
KNOWN_SECRET = bytes(16)
COLLIDING_BITS = 8
"""What attackers' hashes agree in: enough for a fully grown index to put all of them into a 256th of its buckets."""

TOLERANCE = 1.05
"""How far two random shapes of this size may be apart; they are some thousandths apart."""


@pytest.fixture(scope="module")
def core_headers(tmp_path_factory: pytest.TempPathFactory) -> CoreHeaders:
    return CoreHeaders(tmp_path_factory.mktemp("core-headers"))


def random_keys(count: int) -> list[bytes]:
    chance = random.Random(3)
    return [chance.randbytes(8) for _ in range(count)]


def keys_of_one_crc(count: int) -> list[bytes]:
    """Keys whose CRC-32 is the same in all its bits: the last four bytes cancel what the first brought about."""
    keys = []
    for number in range(count):
        prefix = b"%06x" % number
        keys.append(prefix + (zlib.crc32(prefix) ^ 0x12345678).to_bytes(4, "little"))
    return keys


def keys_of_one_low_byte_sum(count: int) -> list[bytes]:
    """Keys of one length and one sum of bytes, the sort of pattern that a weak mixing would show."""
    return [b"%05d" % number + b"%05d" % (99_999 - number) for number in range(count)]


def fill(store: PoolStore, keys: Sequence[bytes]) -> None:
    for flight, key in enumerate(keys, 1):
        assert store.insert(key, STRING, b"v", flight)


def test_the_keys_do_collide_under_the_hashes_that_they_were_picked_against() -> None:
    keys = keys_of_one_crc(1_000)
    assert len(set(keys)) == 1_000
    assert len({zlib.crc32(key) for key in keys}) == 1
    assert len({sum(key) for key in keys_of_one_low_byte_sum(1_000)}) == 1


def test_keys_picked_against_a_known_secret_would_pile_up(
    make_store: MakeStore, core_headers: CoreHeaders
) -> None:
    """What the secret is for, and that this measure sees it where it is missing."""
    keys = core_headers.colliding_keys(KNOWN_SECRET, 1_200, COLLIDING_BITS)
    store = make_store(max_cache_kb=ROOM_KB, secret=KNOWN_SECRET)
    fill(store, keys)
    usual = make_store(max_cache_kb=ROOM_KB)
    fill(usual, keys)
    piled_up, spread = core_headers.chains(store), core_headers.chains(usual)
    assert piled_up.looks > 20 * spread.looks
    assert piled_up.longest > 20 * spread.longest
    assert store.lookup(keys[0], STRING) == b"v"


@pytest.mark.parametrize("picked_against", ["SipHash under a known key", "CRC-32", "a sum of bytes"])
def test_100_000_colliding_keys_shape_the_index_like_random_ones(
    make_store: MakeStore, core_headers: CoreHeaders, picked_against: str
) -> None:
    keys = {
        "SipHash under a known key": lambda: core_headers.colliding_keys(KNOWN_SECRET, KEYS, COLLIDING_BITS),
        "CRC-32": lambda: keys_of_one_crc(KEYS),
        "a sum of bytes": lambda: keys_of_one_low_byte_sum(KEYS),
    }[picked_against]()
    assert len(set(keys)) == KEYS
    reference = make_store(max_cache_kb=ROOM_KB)
    fill(reference, random_keys(KEYS))
    usual = core_headers.chains(reference)
    for _ in range(2):  # two pools, two secrets
        store = make_store(max_cache_kb=ROOM_KB)
        fill(store, keys)
        shape = core_headers.chains(store)
        assert shape.buckets < TOLERANCE * usual.buckets
        assert shape.looks < TOLERANCE * usual.looks
        assert shape.longest <= usual.longest + 2
        assert store.metrics().entry_count == KEYS
