"""A pool's sample ring, as any process has it that may write the access board: to read samples, and to forge them."""

from __future__ import annotations

import mmap
import struct
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_RECORDS_AT, STATE_AT = 112, 192
THRESHOLD_AT, UNTIL_AT, END_AT, BELOW_AT, SURVEY_AT = 224, 232, 240, 248, 320
ALL_KEYS = 1 << 32
HIT, WRITE = 1, 4
SAMPLE_BYTES, HEAD_BYTES, SHARDS_BYTES = 24, 4096, 4096

_WORD = struct.Struct("=Q")
_SAMPLE = struct.Struct("=QQQ")


class Published(NamedTuple):
    """The header's words on the sample."""

    threshold: int
    until: int
    end: int
    below: int
    survey_until: int


class RingFile:
    """The files of a pool, mapped: the header to read, the ring to read and write."""

    def __init__(self, pool: mmap.mmap, board: mmap.mmap) -> None:
        self._pool, self._board = pool, board
        (records,) = _WORD.unpack_from(pool, MAX_RECORDS_AT)
        self.at = SHARDS_BYTES + (records + 255) // 256 * 4096
        self.capacity = (len(board) - self.at - HEAD_BYTES) // SAMPLE_BYTES

    @classmethod
    @contextmanager
    def open(cls, pool_path: str, board_path: str) -> Iterator[Self]:
        with Path(pool_path).open("rb") as pool, Path(board_path).open("r+b") as board:
            header = mmap.mmap(pool.fileno(), 4096, prot=mmap.PROT_READ)
            ring = mmap.mmap(board.fileno(), 0)
        try:
            yield cls(header, ring)
        finally:
            ring.close()
            header.close()

    @property
    def published(self) -> Published:
        return Published(
            *(
                int(_WORD.unpack_from(self._pool, at)[0])
                for at in (THRESHOLD_AT, UNTIL_AT, END_AT, BELOW_AT, SURVEY_AT)
            )
        )

    @property
    def next(self) -> int:
        """The position of the next sample."""
        return int(_WORD.unpack_from(self._board, self.at)[0])

    @next.setter
    def next(self, position: int) -> None:
        _WORD.pack_into(self._board, self.at, position % (1 << 64))

    def put(self, position: int, key_hash: int, event: int) -> None:
        """Write a sample at a position, as a worker would that has taken it."""
        place = self.at + HEAD_BYTES + position % self.capacity * SAMPLE_BYTES
        _SAMPLE.pack_into(self._board, place, *(word % (1 << 64) for word in (position + 1, key_hash, event)))

    def leave(self, key_hash: int, time_ns: int, what: int = HIT) -> None:
        """Take the next position and write a sample there."""
        position = self.next
        self.next = position + 1
        self.put(position, key_hash, time_ns << 4 | what)

    def sample(self, position: int) -> tuple[int, int, int]:
        """Return the position, the hash and the event at the place of a position."""
        place = self.at + HEAD_BYTES + position % self.capacity * SAMPLE_BYTES
        written, key_hash, event = _SAMPLE.unpack_from(self._board, place)
        return written, key_hash, event
