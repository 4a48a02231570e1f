"""GLIDE's response policies: each makes one reply out of the replies of several nodes.

The table of commands names the policy of each command. A policy takes the addresses that were asked and their replies,
in the same order. An error among them is the answer, unless the policy says otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glidecache_shared.protocol import ReplyError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from glidecached.upstream.target import Address

    ResponsePolicy = Callable[[Sequence[Address | None], Sequence[Any]], Any]


def by_node(addresses: Sequence[Address | None], replies: Sequence[Any]) -> Any:
    """Return every node's own reply: a map by `host:port`."""
    return first_error(replies) or {
        str(address).encode(): reply for address, reply in zip(addresses, replies, strict=True)
    }


def all_succeeded(_addresses: Sequence[Address | None], replies: Sequence[Any]) -> Any:
    """Return one of the replies, if none is an error."""
    return first_error(replies) or replies[0]


def total(_addresses: Sequence[Address | None], replies: Sequence[Any]) -> Any:
    """Return the sum of numbers."""
    return first_error(replies) or _as_numbers(replies, sum)


def least(_addresses: Sequence[Address | None], replies: Sequence[Any]) -> Any:
    """Return the smallest of numbers."""
    return first_error(replies) or _as_numbers(replies, min)


def least_of_each(_addresses: Sequence[Address | None], replies: Sequence[Any]) -> Any:
    """Return the smallest of numbers, place by place."""
    return first_error(replies) or [_as_numbers(numbers, min) for numbers in zip(*replies, strict=True)]


def everywhere(_addresses: Sequence[Address | None], replies: Sequence[Any]) -> Any:
    """Return a list of zeros and ones: in each place 1 if all lists have it."""
    error = first_error(replies)
    if error is not None:
        return error
    return [int(all(places)) for places in zip(*replies, strict=True)]


def joined(_addresses: Sequence[Address | None], replies: Sequence[Any]) -> Any:
    """Return all lists, one behind the other."""
    return first_error(replies) or [each for reply in replies for each in reply]


def summed_map(_addresses: Sequence[Address | None], replies: Sequence[Any]) -> Any:
    """Return one map of flat lists of names and numbers: the sum for each name."""
    error = first_error(replies)
    if error is not None:
        return error
    sums: dict[bytes, int] = {}
    for reply in replies:
        pairs = reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2], strict=True)
        for name, number in pairs:
            sums[name] = sums.get(name, 0) + number
    return sums


def one_succeeded(_addresses: Sequence[Address | None], replies: Sequence[Any]) -> Any:
    """Return the first reply that is no error, or else the first error."""
    return next((reply for reply in replies if not isinstance(reply, ReplyError)), replies[0])


def first_found(_addresses: Sequence[Address | None], replies: Sequence[Any]) -> Any:
    """Return the first reply that is neither nil nor an error; nil if all are nil, else the first error."""
    found = (reply for reply in replies if reply is not None and not isinstance(reply, ReplyError))
    return next(found, first_error(replies))


def first_error(replies: Sequence[Any]) -> ReplyError | None:
    """Return the first error among replies."""
    return next((reply for reply in replies if isinstance(reply, ReplyError)), None)


TOLERANT = (one_succeeded, first_found)
"""The policies that answer even if some nodes cannot be reached."""

POLICIES: dict[str, ResponsePolicy] = {
    function.__name__: function
    for function in (
        all_succeeded,
        by_node,
        everywhere,
        first_found,
        joined,
        least,
        least_of_each,
        one_succeeded,
        summed_map,
        total,
    )
}
"""The policies, by the names that the table of commands gives them."""


def _as_numbers(replies: Sequence[Any], function: Callable[[Sequence[int]], int]) -> Any:
    if all(type(reply) is int for reply in replies):
        return function(replies)
    return ReplyError(f"ERR a node's reply is no number: {replies!r:.200}")
