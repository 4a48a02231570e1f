"""The account of writes: what became of each, as its caller saw it, against what the server has in the end."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

UNKNOWN = 1
"""Handed over, and no answer came, or the caller was killed: it may have run, once."""
DONE = 2
"""The server has acknowledged it."""
NOT_RUN = 3
"""It was refused, or never handed over."""


class Journal:
    """One byte for each write of one lane, in order. It outlives a process that is killed while it writes."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._length = 0

    def begin(self) -> int:
        """The number of a write that is about to be handed over."""
        number = self._length
        self._length += 1
        os.pwrite(self._file, bytes([UNKNOWN]), number)
        return number

    def end(self, number: int, outcome: int) -> None:
        """What became of it; what nobody says is unknown."""
        os.pwrite(self._file, bytes([outcome]), number)


@dataclass(slots=True)
class Account:
    """The sum of one or several journals."""

    done: int = 0
    unknown: int = 0
    not_run: int = 0

    def add(self, outcomes: bytes) -> None:
        self.done += outcomes.count(DONE)
        self.unknown += outcomes.count(UNKNOWN)
        self.not_run += outcomes.count(NOT_RUN)


def outcomes_of(path: Path) -> bytes:
    """All outcomes of a journal; none if its lane had not come to its first write."""
    return path.read_bytes() if path.exists() else b""


def audit_counter(name: str, outcomes: bytes, value: int) -> list[str]:
    """What is wrong with a counter that was incremented once by each write."""
    account = Account()
    account.add(outcomes)
    if account.done <= value <= account.done + account.unknown:
        return []
    return [f"{name} is {value}: {account.done} were acknowledged, {account.unknown} unknown"]


def audit_list(name: str, outcomes: bytes, numbers: Sequence[int]) -> list[str]:
    """What is wrong with a list to which each write appended its own number."""
    wrong = []
    there = set(numbers)
    if len(there) < len(numbers):
        twice = sorted(number for number in there if numbers.count(number) > 1)
        wrong.append(f"{name}: writes {twice} were run twice")
    done = {number for number, outcome in enumerate(outcomes) if outcome == DONE}
    if done - there:
        wrong.append(f"{name}: writes {sorted(done - there)} were acknowledged and are lost")
    not_run = {number for number, outcome in enumerate(outcomes) if outcome == NOT_RUN}
    if not_run & there:
        wrong.append(f"{name}: writes {sorted(not_run & there)} were run, and their callers told otherwise")
    if max(there, default=-1) >= len(outcomes):
        wrong.append(f"{name}: {max(there)} was never written")
    acknowledged = [number for number in numbers if number in done]
    if acknowledged != sorted(acknowledged):
        wrong.append(f"{name}: acknowledged writes are not in the order in which they were awaited")
    return wrong
