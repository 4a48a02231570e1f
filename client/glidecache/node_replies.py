"""Whether a cluster's reply is one value, or one per node: by the command and its route, as in GLIDE.

The daemon gives a map from address to reply where several nodes were asked and their replies do not become one.
Some commands reply with a map themselves, so this is known from the command and never guessed from the reply.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from glidecache.routes import Route


def _commands(names: str) -> frozenset[bytes]:
    return frozenset(name.strip().encode() for name in names.replace("\n", ",").split(","))


# Of several nodes' replies: the sum, the least, all of them in one, or any.
_ANSWERED_TOGETHER = _commands(
    """SCRIPT EXISTS, DBSIZE, DEL, EXISTS, SLOWLOG LEN, TOUCH, UNLINK, LATENCY RESET, PUBSUB NUMPAT, WAIT, ACL SETUSER
    ACL DELUSER, ACL SAVE, CLIENT PAUSE, CLIENT SETNAME, CLIENT SETINFO, CLIENT UNPAUSE, CONFIG SET, CONFIG RESETSTAT
    CONFIG REWRITE, FLUSHALL, FLUSHDB, FUNCTION DELETE, FUNCTION FLUSH, FUNCTION LOAD, FUNCTION RESTORE, MEMORY PURGE
    MSET, PING, SAVE, SCRIPT FLUSH, SCRIPT LOAD, SLOWLOG RESET, UNWATCH, WAITAOF, WATCH, KEYS, MGET, SLOWLOG GET
    PUBSUB CHANNELS, PUBSUB SHARDCHANNELS, PUBSUB NUMSUB, PUBSUB SHARDNUMSUB, FUNCTION KILL, SCRIPT KILL, RANDOMKEY"""
)
# What several nodes are asked for when nobody says which.
_ASKED_OF_SEVERAL = _commands(
    """BGREWRITEAOF, BGSAVE, FUNCTION STATS, INFO, LATENCY DOCTOR, LATENCY GRAPH, LATENCY HISTOGRAM, LATENCY HISTORY
    LATENCY LATEST, MEMORY DOCTOR, MEMORY MALLOC-STATS, MEMORY STATS"""
)


def is_by_node(args: Sequence[bytes], route: Route | None) -> bool:
    """Whether the reply to this command is a map from address to reply."""
    if route is not None and route.is_single_node:
        return False
    name = args[0].upper()
    names = (name, name + b" " + args[1].upper()) if len(args) > 1 else (name,)
    if route is None:
        return not _ASKED_OF_SEVERAL.isdisjoint(names)
    return _ANSWERED_TOGETHER.isdisjoint(names)


def decode_each(decode: Callable[[Any], Any], reply: Any) -> Any:
    """Every node's reply decoded, by address. A reply of one node alone, where the cluster has no more, as it is."""
    if not isinstance(reply, dict):
        return decode(reply)
    return {address: decode(each) for address, each in reply.items()}
