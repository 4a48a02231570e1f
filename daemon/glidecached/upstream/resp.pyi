"""The servers' protocol, RESP2 and RESP3, read as it arrives: bytes in any pieces in, whole replies out, in order.

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

A container cannot be a member of a set, or a key of a dict. Nesting uses no stack. A reply that is too large or too
deep costs only its own caller the answer: it is read to its end without being kept, and a `ReplyError` takes its
place.
"""

from typing import Any, Final

INCOMPLETE: Final[object]
"""The result of `Reader.gets` until there is a whole reply."""

MOST_NESTED: Final[int]
"""The deepest nesting of containers: the packing of replies for clients stops at 511."""

MOST_BULK_BYTES: Final[int]
"""The longest string that is kept: the server's own limit."""

MOST_REPLY_BYTES: Final[int]
"""The most memory for the objects of one reply, unless another limit is given."""

class UnreadableError(Exception):
    """The received data is not RESP: nothing behind it can be read. `args[0]` describes it."""

class Reader:
    """The reader of one stream. Between calls it keeps only the part of a reply that has arrived.

    Memory is reserved as data arrives, not as lengths and counts announce it. Belongs to one thread. `most_bytes`: the
    most memory for the objects of one reply.
    """

    def __init__(self, most_bytes: int = MOST_REPLY_BYTES) -> None: ...
    def feed(self, data: bytes) -> None:
        """Append received data."""

    def gets(self) -> Any:
        """Return the next whole reply, or `INCOMPLETE`. Raises `UnreadableError`, from then on always."""

    @property
    def unread_bytes(self) -> int:
        """Return the number of bytes received behind the last whole reply."""

    @property
    def last_weight_bytes(self) -> int:
        """Return roughly how much memory the objects of the last whole reply take."""

    @property
    def pushes(self) -> int:
        """Return the number of pushes received."""
