"""The entries' checksum: what it is, written once more in Python, and which damage changes it."""

from __future__ import annotations

import random
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from glidecache_shared.protocol import HASH, STRING

if TYPE_CHECKING:
    from collections.abc import Callable

    from unit.pool.conftest import MakeStore

MB = 1 << 20
MASK = (1 << 64) - 1
PI = int(
    "243F6A8885A308D3 13198A2E03707344 A4093822299F31D0 082EFA98EC4E6C89"
    "452821E638D01377 BE5466CF34E90C6C C0AC29B7C97C50DD 3F84D5B5B5470917".replace(" ", ""),
    16,
)
"""The first 512 bits of pi behind the point."""
KEYS = [PI >> shift & MASK | 1 for shift in range(448, -1, -64)]
LANES = 4


def fold(left: int, right: int) -> int:
    product = left * right
    return product & MASK ^ product >> 64


def step(chain: int, data: bytes, key: int) -> int:
    first, second = int.from_bytes(data[:8], "little"), int.from_bytes(data[8:16], "little")
    return fold(first ^ chain, second ^ key)


def checksum(data: bytes, seed: int) -> int:
    total = seed ^ fold(len(data) ^ KEYS[0], KEYS[1])
    whole = len(data) // 64 * 64
    if whole:
        chains = [total ^ KEYS[lane] for lane in range(LANES)]
        for at in range(0, whole, 64):
            for lane in range(LANES):
                part = data[at + 16 * lane : at + 16 * lane + 16]
                chains[lane] = step(chains[lane], part, KEYS[LANES + lane])
        for lane in range(LANES):
            total = fold(total ^ chains[lane], KEYS[lane])
    for at in range(whole, len(data), 16):
        part = data[at : at + 16]
        total = step(total, part.ljust(16, b"\0"), KEYS[2] if len(part) == 16 else KEYS[3])
    return fold(total ^ KEYS[4], KEYS[5])


def entry_checksum(kind: int, key: bytes, payload: bytes) -> int:
    total = checksum(payload, checksum(key, kind))
    return (total ^ total >> 32) & 0xFFFFFFFF


def stored_checksum(make_store: MakeStore, key: bytes, value: bytes) -> int:
    """The word before the key in the file of a pool that has this entry alone."""
    store = make_store(max_cache_kb=2048 + 2 * len(value) // 1024)
    assert store.insert(key, STRING, value)
    found = Path(store.pool_path).read_bytes()
    at = found.index(key + value[:32])
    assert found.count(key + value[:32]) == 1
    store.unlink()
    store.close()
    return int.from_bytes(found[at - 4 : at], "little")


@pytest.mark.parametrize(
    "length", [*range(20), 31, 32, 33, 47, 48, 63, 64, 65, 79, 80, 127, 128, 129, 255, 256, 1_000, MB + 7]
)
def test_it_is_what_is_written_here(make_store: MakeStore, length: int) -> None:
    chance = random.Random(length)
    for key_bytes in (9, 16, 70, 71):
        key, value = chance.randbytes(key_bytes), chance.randbytes(length)
        assert stored_checksum(make_store, key, value) == entry_checksum(STRING, key, value)


def test_the_kind_and_the_border_between_key_and_payload_count() -> None:
    sums = {
        entry_checksum(kind, text[:border], text[border:])
        for kind in (STRING, HASH)
        for text in (bytes(80), b"a" * 80)
        for border in range(81)
    }
    assert len(sums) == 2 * 2 * 81


@pytest.mark.parametrize("length", [1, 8, 16, 17, 64, 100, 200])
def test_every_changed_bit_and_every_two_change_it(length: int) -> None:
    data = random.Random(length).randbytes(length)
    number = int.from_bytes(data, "big")
    bits = random.Random(1).sample(range(8 * length), min(8 * length, 64))
    flips = [(bit,) for bit in range(8 * length)] + list(combinations(bits, 2))
    sums = set()
    for flip in flips:
        changed = number
        for bit in flip:
            changed ^= 1 << bit
        sums.add(checksum(changed.to_bytes(length, "big"), 0))
    assert checksum(data, 0) not in sums
    assert len(sums) == len(flips)


def swap(first: int, second: int, size: int) -> Callable[[bytes], bytes]:
    def swapped(data: bytes) -> bytes:
        parts = bytearray(data)
        parts[first : first + size], parts[second : second + size] = (
            data[second : second + size],
            data[first : first + size],
        )
        return bytes(parts)

    return swapped


@pytest.mark.parametrize(
    "damage",
    [
        swap(0, 8, 8),
        swap(0, 16, 16),
        swap(0, 64, 64),
        swap(64, 4096, 64),
        swap(0, 4096, 4096),
        swap(16, 32, 8),
        lambda data: bytes(4096) + data[4096:],
        lambda data: data[:-4096] + bytes(4096),
        lambda data: data[:64] + bytes(64) + data[128:],
        lambda data: data[1:] + data[:1],
        lambda data: data[64:] + data[:64],
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: data[:5000] + data[4999:5001] + data[5002:],
        lambda data: data[:8192] + data[:8192],
    ],
)
def test_what_a_torn_value_looks_like_changes_it(damage: Callable[[bytes], bytes]) -> None:
    data = random.Random(3).randbytes(16_384)
    damaged = damage(data)
    assert damaged != data
    assert entry_checksum(STRING, b"k", damaged) != entry_checksum(STRING, b"k", data)


def test_how_long_a_value_of_zeros_is_counts() -> None:
    sums = {entry_checksum(STRING, b"k", bytes(length)) for length in range(600)}
    assert len(sums) == 600
