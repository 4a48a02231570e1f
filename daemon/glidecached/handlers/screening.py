"""Checking the commands of a batch: in one go while they are few, in slices when they are many (I10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glidecache_shared.command_table import any_blocks, most_demanding, survey
from glidecached.handlers.arguments import need_command

if TYPE_CHECKING:
    from collections.abc import Iterator

_AT_ONCE = 200
"""Commands in one slice: a fraction of a millisecond."""


class Screening:
    """The facts about a batch, once `steps` is exhausted. `steps` raises `MalformedError` for an invalid command."""

    def __init__(self, commands: list[list[bytes]], *, atomic: bool) -> None:
        self._commands = commands
        self._atomic = atomic
        self._lanes: set[int] = set()
        self.refusal: str | None = None
        self.reads = True
        self.blocks = False
        """True if the server may keep a reply back. In a transaction nothing blocks."""

    @property
    def lane(self) -> int:
        """Return the lane of the most demanding member: a batch goes whole (isolation I3)."""
        return most_demanding(self._lanes)

    @property
    def fits_at_once(self) -> bool:
        """Return whether one slice is enough."""
        return len(self._commands) <= _AT_ONCE

    def steps(self) -> Iterator[None]:
        """Check all commands, up to the first one that is refused."""
        commands = self._commands
        for begin in range(0, len(commands), _AT_ONCE):
            if begin:
                yield None
            self._look(commands[begin : begin + _AT_ONCE])

    def _look(self, commands: list[list[bytes]]) -> None:
        # All elements must be commands: that error comes before the refusal of any one of them.
        for command in commands:
            need_command(command)
        if self.refusal is not None:
            return
        lane, reads, self.refusal = survey(commands, atomic=self._atomic)
        self._lanes.add(lane)
        self.reads = self.reads and reads
        self.blocks = self.blocks or (not self._atomic and any_blocks(commands))
