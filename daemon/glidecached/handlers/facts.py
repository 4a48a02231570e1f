"""What the daemon has to know of a command to send it: the table's row, for compiled code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cython

from glidecache_shared.command_table import is_plain, row_of

if TYPE_CHECKING:
    from glidecache_shared.command_table import Row


class CommandFacts:
    """The facts of a row, in C."""

    refusal: str | None
    """The reason why the command cannot run on the daemon's connections."""
    lane: int
    blocks: bool
    """True if the server may keep the reply back."""
    reads: bool
    """True if it certainly changes nothing."""

    def __init__(self, row: Row) -> None:
        self.refusal = row.refusal
        self.lane = row.lane
        self.blocks = row.blocks
        self.reads = row.reads


# By the name as it was called, for commands that their name alone tells apart: at most twice the table's commands.
_known = cython.declare(dict, {})


def facts_of(arguments: list[Any]) -> CommandFacts:
    """Return the facts of a command, its name first."""
    facts: CommandFacts | None = _known.get(arguments[0])
    if facts is None:
        facts = CommandFacts(row_of(arguments))
        if is_plain(arguments[0]):
            _known[arguments[0]] = facts
    return facts
