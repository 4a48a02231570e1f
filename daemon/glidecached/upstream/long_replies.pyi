"""Keys for which a server recently sent a long reply: later requests for them are sent apart from short calls.

The length of a reply is known only when it arrives; by then, other replies already wait behind it. So the first one
causes a detour (see `detours`), and later ones are kept apart. A key that is listed by mistake costs no more than that.
"""

from collections.abc import Sequence

from glidecached.upstream.call import Call

class LongReplies:
    """The first arguments of commands with long replies: up to 1,024, of all upstreams.

    The least recently used one leaves first.
    """

    @property
    def count(self) -> int:
        """Return the number of arguments listed."""

    def has_call(self, call: Call) -> bool:
        """Return whether the key of the call's command is listed."""

    def add(self, arguments: Sequence[bytes]) -> None:
        """Remember a command whose reply was long."""

LONG_REPLIES: LongReplies
"""The daemon's one list: compiled code on both sides of the upstream uses it."""
