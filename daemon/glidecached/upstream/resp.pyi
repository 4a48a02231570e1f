"""The servers' protocol, RESP2 and RESP3, read as it comes: bytes in any pieces, whole replies out, in order.

| sent | read as |
|---|---|
| `+` status | `str` |
| `$` string, `=` verbatim string, `(` big number | `bytes`, without the verbatim string's format |
| `-`, `!` error | `ReplyError` |
| `:` integer | `int` |
| `,` double, `#` boolean, `_` null | `float`, `bool`, `None` |
| `*` array | `list` |
| `~` set | `set`; `list` where a member cannot be in a set |
| `%` map | `dict`; a list of `[key, value]` where a key cannot be in a dict |
| `|` attribute, `>` push | nothing: they are no replies |

What cannot be in a set, or be a key of a dict, is a container. Nesting costs no stack. A reply that is too large or too
deep costs its own caller the answer, and no other caller: it is read to its end without being kept, and a `ReplyError`
takes its place.
"""

from typing import Any, Final

INCOMPLETE: Final[object]
"""What `Reader.gets` returns until there is a whole reply."""

MOST_NESTED: Final[int]
"""How many containers may be in one another: what packs replies for clients stops at 511."""

MOST_BULK_BYTES: Final[int]
"""The longest string that is kept: the server's own limit."""

MOST_REPLY_BYTES: Final[int]
"""What the objects of one reply may take in memory, where nothing else is said."""

class UnreadableError(Exception):
    """What came is not RESP: nothing behind it can be read either. `args[0]` says what it was."""

class Reader:
    """Reads one stream. What it keeps between calls is the part of a reply that has come, and no more.

    Lengths and counts that are announced are believed as they come true. Belongs to one thread. `most_bytes`: what the
    objects of one reply may take in memory.
    """

    def __init__(self, most_bytes: int = MOST_REPLY_BYTES) -> None: ...
    def feed(self, data: bytes) -> None:
        """Append what has come."""

    def gets(self) -> Any:
        """Return the next whole reply, or `INCOMPLETE`. Raises `UnreadableError`, from then on always."""

    @property
    def unread_bytes(self) -> int:
        """How much has come behind the last whole reply."""

    @property
    def last_weight_bytes(self) -> int:
        """What the objects of the last whole reply take in memory, about."""

    @property
    def pushes(self) -> int:
        """How many pushes came."""
