"""The keys of a `get_many`: looked up in the pool together, the rest of them to be asked for (contract C17)."""

from collections.abc import Iterable

from glidecache.commands.encoding import Argument
from glidecache_shared.pool.reader import PoolReader

class ManyKeys:
    """Keys, with the strings that the pool has for them."""

    missing: list[bytes]
    """The keys that the pool has no string for, encoded, in their order."""

    def __init__(self, reader: PoolReader | None, keys: Iterable[Argument]) -> None:
        """Look all keys up. Raises `TypeError` for what is no list and no key, before any is looked up.

        The clock is read once. The lookups count as made at that time and each one nanosecond after the other, so all
        of them lie within the call, and have its keys' order (contract C11).
        """

    def filled(self, replies: list[bytes | None]) -> list[bytes | None]:
        """Return the values of all keys, given those of the missing ones."""
