"""The form of a cluster's reply, one value or one per node: by the command and its route, as in GLIDE.

The daemon gives a map from address to reply if several nodes were asked and their replies do not become one.
Some commands reply with a map themselves, so this is known from the command and never guessed from the reply.
"""

from __future__ import annotations

from glidecache_shared.command_table import ALL_NODES, ALL_PRIMARIES, BY_NODE, row_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from glidecache.routes import Route

_SEVERAL = (ALL_NODES, ALL_PRIMARIES)


def is_by_node(args: Sequence[bytes], route: Route | None) -> bool:
    """Return whether the reply to this command is a map from address to reply."""
    if route is not None and route.is_single_node:
        return False
    row = row_of(args)
    if row.policy != BY_NODE:
        return False
    return route is not None or row.spread in _SEVERAL


def decode_each(decode: Callable[[Any], Any], reply: Any) -> Any:
    """Return every node's decoded reply, by address. The reply of a cluster's only node is decoded as it is."""
    if not isinstance(reply, dict):
        return decode(reply)
    return {address: decode(each) for address, each in reply.items()}
