"""Sets that came from a server go with whoever has them: the parser keeps none of their members."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import libvalkey
import pytest

from glidecached.upstream.leaking_sets import AGGREGATES, SETS_LEAK, release

if TYPE_CHECKING:
    from collections.abc import Callable

SET = b"~2\r\n$6\r\nmember\r\n:123456\r\n"


def parsed(data: bytes) -> Any:
    """A reply as a connection hands it on."""
    reader = libvalkey.Reader()
    reader.feed(data)
    reply: Any = reader.gets()
    if SETS_LEAK and type(reply) in AGGREGATES:
        release(reply)
    return reply


def references(members: set[Any]) -> list[int]:
    return sorted(sys.getrefcount(member) for member in members)


@pytest.mark.parametrize(
    ("data", "find"),
    [
        (SET, lambda reply: reply),
        (b"*2\r\n$1\r\nk\r\n" + SET, lambda reply: reply[1]),
        (b"*1\r\n*1\r\n" + SET, lambda reply: reply[0][0]),
        (b"%1\r\n$1\r\nk\r\n" + SET, lambda reply: reply[b"k"]),
    ],
    ids=["alone", "in-array", "deep", "in-map"],
)
def test_nobody_else_holds_the_members_of_a_set(data: bytes, find: Callable[[Any], set[Any]]) -> None:
    found = find(parsed(data))
    assert found == {b"member", 123456}
    assert references(found) == references({bytes(bytearray(6)), int("123457")})


@pytest.mark.parametrize(
    "data", [b"*1\r\n$6\r\nmember\r\n", b"%1\r\n$1\r\nk\r\n$6\r\nmember\r\n"], ids=["array", "map"]
)
def test_what_is_no_set_is_left_alone(data: bytes) -> None:
    reply = parsed(data)
    (member,) = reply.values() if isinstance(reply, dict) else reply
    reply.clear()
    (other,) = [bytes(bytearray(6))]
    assert sys.getrefcount(member) == sys.getrefcount(other)
