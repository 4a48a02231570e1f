"""Reads damaged copies of a pool: `python -m stress.damage TASK JSON-ARGUMENTS`, in a process that may crash.

Each trial copies the files, spoils the copy, opens it (or opens it first: damage under a mapping), and looks up every
key as every kind. The trial's number is on standard error before it starts, so that a crash names its trial.
"""

from __future__ import annotations

import faulthandler
import json
import random
import resource
import struct
import sys
from pathlib import Path
from typing import Any

from glidecache_shared.pool.reader import PoolFormatError, PoolReader
from glidecache_shared.protocol import HASH, SET, STRING
from support.pool_file import (
    ARENA_OFFSET_AT,
    BUCKET_BYTES,
    BUCKET_LINK_AT,
    BUCKETS_AT,
    GRANULE_BYTES,
    GRANULES_AT,
    HEADER_BYTES,
    OVERFLOW_BUCKETS_AT,
    OVERFLOW_OFFSET_AT,
)
from support.pool_model import as_model_value, numbered_value

KINDS = (STRING, HASH, SET)
TYPES = {STRING: bytes, HASH: dict, SET: frozenset}
ENTRIES = 90
SIZES = (0, 1, 30, 43, 44, 45, 250, 1_000, 5_000)
TRIAL_SECONDS = 20
MEMORY_BYTES = 1 << 30

HEADER_USED_BYTES = 384
LAYOUT_VERSION = 4
_WORD = struct.Struct("<I")
_OFFSET = struct.Struct("<Q")
_VERSION_AT = 8

ALTERING = {"arena", "blocks"}
"""Damage that may reach the bytes of a value: no checksum is verified on a hit."""


def entry(number: int) -> tuple[bytes, int, Any]:
    """Key, kind and value of an entry of the pool that is copied."""
    kind = KINDS[number % 3]
    return (
        b"key %d " % number * (1 + number % 4),
        kind,
        numbered_value(kind, number, SIZES[number % len(SIZES)]),
    )


def read_damaged(*, pool_path: str, board_path: str, trials: int, first: int, damage: str) -> dict[str, Any]:
    """So many trials of one sort of damage; returns how the lookups went, and every answer that must not be."""
    _bound_memory()
    pool, board = Path(pool_path).read_bytes(), Path(board_path).read_bytes()
    (version,) = _WORD.unpack_from(pool, _VERSION_AT)
    if version != LAYOUT_VERSION:
        message = f"this module knows layout version {LAYOUT_VERSION}, the pool has {version}"
        raise RuntimeError(message)
    directory = Path(pool_path).parent / "damaged"
    directory.mkdir(exist_ok=True)
    outcome: dict[str, Any] = {"refused": 0, "exact": 0, "missed": 0, "altered": 0, "wrong": []}
    for trial in range(first, first + trials):
        print(f"trial {trial} of {damage}", file=sys.stderr, flush=True)  # noqa: T201  # for whoever finds the crash
        faulthandler.dump_traceback_later(TRIAL_SECONDS, exit=True)
        _try_one(directory, pool, board, trial, damage, outcome)
    faulthandler.cancel_dump_traceback_later()
    return outcome


def _try_one(
    directory: Path, pool: bytes, board: bytes, trial: int, damage: str, outcome: dict[str, Any]
) -> None:
    chance = random.Random(trial)
    pool_copy, board_copy = directory / f"{damage}.pool", directory / f"{damage}.board"
    for copy in (pool_copy, board_copy):
        copy.unlink(missing_ok=True)
    spoilt_pool, spoilt_board = DAMAGES[damage](chance, pool, board)
    under_a_mapping = "truncated" not in damage and chance.random() < 0.5
    pool_copy.write_bytes(pool if under_a_mapping else spoilt_pool)
    board_copy.write_bytes(board if under_a_mapping else spoilt_board)
    try:
        reader = PoolReader(str(pool_copy), str(board_copy))
    except (PoolFormatError, OSError):
        outcome["refused"] += 1
        return
    if under_a_mapping:
        for copy, content in ((pool_copy, spoilt_pool), (board_copy, spoilt_board)):
            with copy.open("r+b") as file:
                file.write(content)
    for number in range(ENTRIES):
        _judge(reader, number, trial, damage, outcome)
    reader.metrics()
    reader.trusted  # noqa: B018  # reading the header is the point


def _judge(reader: PoolReader, number: int, trial: int, damage: str, outcome: dict[str, Any]) -> None:
    key, its_kind, value = entry(number)
    for kind in KINDS:
        try:
            found = as_model_value(reader.lookup(key, kind))
        except Exception as error:  # noqa: BLE001  # a lookup must not raise, whatever it is
            outcome["wrong"].append(f"trial {trial}: {key!r}: {type(error).__name__}: {error}")
            continue
        if found is None:
            outcome["missed"] += kind == its_kind
        elif kind == its_kind and found == value:
            outcome["exact"] += 1
        elif damage in ALTERING and isinstance(found, TYPES[kind]) and not _belongs_to_another(found, number):
            outcome["altered"] += 1
        else:
            outcome["wrong"].append(f"trial {trial}: {key!r} as {kind}: {found!r:.100}")


def _belongs_to_another(found: Any, number: int) -> bool:
    if len(found) < len(b"distinct"):
        return False
    return any(found == entry(other)[2] for other in range(ENTRIES) if other != number)


def _bound_memory() -> None:
    """A length that is believed unchecked then fails to allocate, instead of passing unseen."""
    in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (in_use + MEMORY_BYTES, resource.RLIM_INFINITY))


def _flip_in(chance: random.Random, content: bytes, start: int, end: int) -> bytes:
    """Spoil one to four places that are in use: a bit, a byte, a word of ones, a word of noise."""
    spoilt = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        at = next(filter(content.__getitem__, (chance.randrange(start, end) for _ in range(20))), start)
        how = chance.randrange(4)
        if how == 0:
            spoilt[at] ^= 1 << chance.randrange(8)
        elif how == 1:
            spoilt[at] = chance.randrange(256)
        else:
            at = min(at, end - 8) & ~3
            spoilt[at : at + 4] = b"\xff" * 4 if how == 2 else chance.randbytes(4)
    return bytes(spoilt)


def _flip_header(chance: random.Random, pool: bytes, board: bytes) -> tuple[bytes, bytes]:
    return _flip_in(chance, pool, 0, HEADER_USED_BYTES), board


def _flip_index(chance: random.Random, pool: bytes, board: bytes) -> tuple[bytes, bytes]:
    return _flip_in(chance, pool, HEADER_BYTES, _OFFSET.unpack_from(pool, ARENA_OFFSET_AT)[0]), board


def _flip_arena(chance: random.Random, pool: bytes, board: bytes) -> tuple[bytes, bytes]:
    return _flip_in(chance, pool, _OFFSET.unpack_from(pool, ARENA_OFFSET_AT)[0], len(pool)), board


def _flip_board(chance: random.Random, pool: bytes, board: bytes) -> tuple[bytes, bytes]:
    return pool, _flip_in(chance, board, 0, len(board))


def _overwrite_block(chance: random.Random, pool: bytes, board: bytes) -> tuple[bytes, bytes]:
    """A block anywhere behind the header becomes zeros, ones, or a copy of another block."""
    size = chance.choice([64, 512, 4_096])
    at, source = (chance.randrange(HEADER_BYTES, len(pool) - size) & ~63 for _ in range(2))
    block = chance.choice([bytes(size), b"\xff" * size, pool[source : source + size]])
    arena = _OFFSET.unpack_from(pool, ARENA_OFFSET_AT)[0]
    at = min(at, arena - size) if at < arena else at
    return pool[:at] + block + pool[at + size :], board


def _inflate_lengths(chance: random.Random, pool: bytes, board: bytes) -> tuple[bytes, bytes]:
    """Some entries say that they are longer than they are; of some the extents say that they hold it, too."""
    spoilt = bytearray(pool)
    (arena,) = _OFFSET.unpack_from(pool, ARENA_OFFSET_AT)
    arena_bytes = _WORD.unpack_from(pool, GRANULES_AT)[0] * GRANULE_BYTES
    for granule in chance.sample(_granules_of_entries(pool), 5):
        extent = arena + granule * GRANULE_BYTES
        single = bool(pool[extent + 3] & 0x80)
        header = extent + (4 if single else 8)
        payload = chance.choice([arena_bytes // 2, arena_bytes - 1_000, 0x7FFF_FFFF, 0xFFFF_FFFF])
        if chance.random() < 0.5:
            if single:  # a length takes the place of the entry's first word, and pushes the rest back
                spoilt[extent + 3] &= 0x7F
                (key_bytes,) = _WORD.unpack_from(pool, header)
                spoilt[extent + 8 : extent + 36 + key_bytes] = pool[header : header + 28 + key_bytes]
                header = extent + 8
            granules = chance.choice([arena_bytes // GRANULE_BYTES, 0x7FFF_FFFF, 0xFFFF_FFFF])
            spoilt[extent + 4 : extent + 8] = _WORD.pack(granules)
        spoilt[header + 4 : header + 8] = _WORD.pack(payload)
    return bytes(spoilt), board


def _tie_chains(chance: random.Random, pool: bytes, board: bytes) -> tuple[bytes, bytes]:
    """Chains of buckets that lead back into themselves, or into each other."""
    spoilt = bytearray(pool)
    (overflow,) = _OFFSET.unpack_from(pool, OVERFLOW_OFFSET_AT)
    (buckets,), (overflow_buckets,) = (
        _WORD.unpack_from(pool, at) for at in (BUCKETS_AT, OVERFLOW_BUCKETS_AT)
    )
    if not overflow_buckets:
        message = "the pool has no chains to tie"
        raise RuntimeError(message)
    places = [HEADER_BYTES + number * BUCKET_BYTES for number in range(buckets)]
    places += [overflow + number * BUCKET_BYTES for number in range(overflow_buckets)]
    for place in places:
        if chance.random() < 0.8:
            link = _WORD.pack(1 + chance.randrange(overflow_buckets))
            spoilt[place + BUCKET_LINK_AT : place + BUCKET_LINK_AT + 4] = link
    return bytes(spoilt), board


def _granules_of_entries(pool: bytes) -> list[int]:
    """The first granule of each entry that a primary bucket leads to."""
    (buckets,) = _WORD.unpack_from(pool, BUCKETS_AT)
    slots = [
        _WORD.unpack_from(pool, HEADER_BYTES + bucket * BUCKET_BYTES + 16 + 8 * slot)[0]
        for bucket in range(buckets)
        for slot in range(6)
    ]
    return [granule for granule in slots if granule]


def _truncate_pool(chance: random.Random, pool: bytes, board: bytes) -> tuple[bytes, bytes]:
    return pool[: chance.randrange(len(pool))], board


def _truncate_board(chance: random.Random, pool: bytes, board: bytes) -> tuple[bytes, bytes]:
    return pool, board[: chance.randrange(len(board))]


DAMAGES = {
    "header": _flip_header,
    "index": _flip_index,
    "arena": _flip_arena,
    "board": _flip_board,
    "blocks": _overwrite_block,
    "lengths": _inflate_lengths,
    "chains": _tie_chains,
    "pool truncated": _truncate_pool,
    "board truncated": _truncate_board,
}

if __name__ == "__main__":
    print(json.dumps({"read_damaged": read_damaged}[sys.argv[1]](**json.loads(sys.argv[2]))))  # noqa: T201
