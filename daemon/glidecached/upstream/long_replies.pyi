"""Keys to which a server gave a long reply lately: what asks for them again travels apart from short calls.

The length of a reply is known only when it arrives, and then those behind it wait already. So the first one causes a
detour (see `detours`), and the later ones are kept apart. A key that is listed by mistake costs nothing but that.
"""

from collections.abc import Sequence

class LongReplies:
    """Up to 1,024 first arguments of commands, of all upstreams; the one longest unused leaves first."""

    @property
    def count(self) -> int:
        """How many there are."""

    def has_arguments(self, arguments: Sequence[bytes]) -> bool:
        """Return whether the command's key is among them."""

    def add(self, arguments: Sequence[bytes]) -> None:
        """Remember a command whose reply was long."""

LONG_REPLIES: LongReplies
"""The daemon's one list: compiled code on both sides of the upstream uses it."""
