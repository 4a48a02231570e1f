"""Keys for which a server recently sent a long reply: later requests for them are sent apart from short calls.

The length of a reply is known only when it arrives; by then, other replies already wait behind it. So the first one
causes a detour (see `detours`), and later ones are kept apart. A key that is listed by mistake costs no more than that.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import cython

if TYPE_CHECKING:
    from collections.abc import Sequence

    from glidecached.upstream.call import Call

_MOST_KEYS = 1_024
_LONGEST_KEY = 65_536


class LongReplies:
    """The first arguments of commands with long replies: up to 1,024, of all upstreams.

    The least recently used one leaves first.
    """

    def __init__(self) -> None:
        self._keys: OrderedDict[bytes, None] = OrderedDict()
        self.count: cython.Py_ssize_t = 0
        """The number of arguments listed."""

    def has(self, arguments: Sequence[bytes]) -> cython.bint:
        """Return whether the key of a command is listed."""
        return self.count > 0 and len(arguments) > 1 and arguments[1] in self._keys

    def has_call(self, call: Call) -> cython.bint:
        """Return whether the key of the call's command is listed."""
        return self.has(getattr(call, "arguments", ()))

    def add(self, arguments: Sequence[bytes]) -> None:
        """Remember a command whose reply was long."""
        if len(arguments) < 2 or len(arguments[1]) > _LONGEST_KEY:  # noqa: PLR2004 - a name and a key
            return
        self._keys[arguments[1]] = None
        self._keys.move_to_end(arguments[1])
        if len(self._keys) > _MOST_KEYS:
            self._keys.popitem(last=False)
        self.count = len(self._keys)


LONG_REPLIES = LongReplies()
"""The daemon's one list: compiled code on both sides of the upstream uses it."""
