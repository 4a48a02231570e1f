# cython: boundscheck=False, wraparound=False
"""The daemon's knowledge of a command that it sends: the table's row, for compiled code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cython

from glidecache_shared.command_table import is_plain, row_of

if TYPE_CHECKING:
    from glidecache_shared.command_table import Row
    from glidecached.client_session import ClientSession
    from glidecached.pools.entries import PoolEntries


class CommandFacts:
    """The facts of a row, in C."""

    refusal: str | None
    """The reason why the command cannot run on the daemon's connections."""
    lane: int
    blocks: bool
    """True if the server may keep the reply back."""
    reads: bool
    """True if it certainly changes nothing."""

    def __init__(self, name: bytes, row: Row) -> None:
        self.name = name
        self.refusal = row.refusal
        self.lane = row.lane
        self.blocks = row.blocks
        self.reads = row.reads
        self.changes_values = not (row.reads or row.keeps_values)
        self.row = row
        self.looks_for_keys = row.finder is not None
        self.first = 0 if self.looks_for_keys else row.first
        self.last = row.last
        self.step = row.step

    def note_written(
        self, arguments: list[Any], entries: PoolEntries, most: cython.Py_ssize_t
    ) -> cython.Py_ssize_t:
        """Note in the pool the keys whose values a command may change, at most so many. Return their number."""
        count: cython.Py_ssize_t = 0
        last: cython.Py_ssize_t
        place: cython.Py_ssize_t
        if not self.changes_values:
            return 0
        if self.looks_for_keys:
            for key in self.row.find_keys(arguments)[:most]:
                entries.written(key)
                count += 1
            return count
        place = self.first
        if place == 0:
            return 0
        last = len(arguments) + self.last if self.last < 0 else min(self.last, len(arguments) - 1)
        while place <= last and count < most:
            entries.written(arguments[place])
            place += self.step
            count += 1
        return count


# The keys of one request that are looked up in the pool before they are written: a fraction of a millisecond.
MOST_WRITTEN_KEYS = cython.declare(cython.Py_ssize_t, 2_000)

# Facts of commands that need no look at arguments, by the name as it was called; a later one takes the place.
PLACES = cython.declare(cython.Py_ssize_t, 256)
_recent = cython.declare(list, [None] * PLACES)


def facts_of(arguments: list[Any]) -> CommandFacts:
    """Return the facts of a command, its name first."""
    name: bytes = arguments[0]
    size: cython.Py_ssize_t = len(name)
    place: cython.Py_ssize_t = 0
    if size:
        place = (size + 31 * name[0] + 7 * name[size - 1] + 3 * name[size // 2]) & (PLACES - 1)
    facts: CommandFacts | None = _recent[place]
    if facts is None or facts.name != name:
        facts = CommandFacts(name, row_of(arguments))
        if is_plain(name):
            _recent[place] = facts
    return facts


def note_write(session: ClientSession, command: list[Any]) -> None:
    """Note that a command may write: of its keys, those that are cached in the session's pool; at most 2,000."""
    entries: PoolEntries | None = session.entries
    if entries is not None and entries.takes_writes():
        facts: CommandFacts = facts_of(command)
        facts.note_written(command, entries, MOST_WRITTEN_KEYS)


def note_writes(session: ClientSession, commands: list[Any]) -> None:
    """Look the keys of commands that may write up in the session's pool: those that are cached there are noted.

    At most 2,000 keys together.
    """
    entries: PoolEntries | None = session.entries
    most: cython.Py_ssize_t = MOST_WRITTEN_KEYS
    if entries is None or not entries.takes_writes():
        return
    for command in commands:
        facts: CommandFacts = facts_of(command)
        if not facts.reads:
            most -= facts.note_written(command, entries, most)
