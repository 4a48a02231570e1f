"""Plans of the commands that estimate the number of different elements."""

from __future__ import annotations

from glidecache.commands.command import Plan
from glidecache.commands.decoding import to_bool, to_status
from glidecache.commands.encoding import encode, encode_each

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Literal

    from glidecache.commands.encoding import Argument


def pfadd(key: Argument, elements: Iterable[Argument]) -> Plan[bool]:
    """Count elements (`PFADD`). Return whether the estimate has changed."""
    return Plan([b"PFADD", encode(key, "key"), *encode_each(elements, "elements")], to_bool)


def pfcount(keys: Iterable[Argument]) -> Plan[int]:
    """Estimate the number of different elements that were counted, in all keys together (`PFCOUNT`)."""
    return Plan([b"PFCOUNT", *encode_each(keys, "keys")])


def pfmerge(destination: Argument, source_keys: Iterable[Argument]) -> Plan[Literal["OK"]]:
    """Count in `destination` the elements that were counted in the others (`PFMERGE`)."""
    args = [b"PFMERGE", encode(destination, "destination"), *encode_each(source_keys, "source_keys")]
    return Plan(args, to_status)
