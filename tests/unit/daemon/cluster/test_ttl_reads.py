"""A read and the lives of its keys, in a cluster: one request, whatever either of them is answered (contract C29)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from glidecache_shared.protocol import ERROR_CONNECTION, ReplyError
from glidecached.upstream.lane import BULK
from support.fake_cluster import AT_A, AT_B
from support.upstream_calls import NONE_YET, Recorded

if TYPE_CHECKING:
    from support.fake_cluster import FakeUpstream, Play


def submit(play: Play, *arguments: bytes, lane: int = 0) -> Recorded:
    call = Recorded(*arguments, repeatable=True)
    call.asks_ttl = True
    call.lane = lane
    play.upstream.submit(call)
    return call


def take(node: FakeUpstream, *replies: Any, pieces: bool = False) -> list[bytes]:
    """Answer the oldest call, each reply at its time; the words that were written."""
    call = node.calls.pop(0)
    written = b"".join(call.pack_pieces()) if pieces else call.pack()
    for place, reply in enumerate(replies, 1):
        assert call.replies_left() == len(replies) - place + 1
        assert call.receive(reply) is (place == len(replies))
    return [word for word in written.split(b"\r\n") if word and word[0] not in b"*$"]


def open_counts(play: Play) -> list[int]:
    return [play.upstream._dispatcher.open, *(node.open for node in play.upstream._nodes)]


@pytest.mark.parametrize("lane", [0, BULK])
def test_c29_a_node_gets_both_and_the_call_gets_a_list(started: Play, lane: int) -> None:
    call = submit(started, b"GET", AT_A, lane=lane)
    started.turn()
    assert take(started.a, b"v", 5, pieces=lane == BULK) == [b"GET", AT_A, b"PTTL", AT_A]
    assert call.outcome == [b"v", 5]
    assert open_counts(started) == [0, 0, 0]


@pytest.mark.parametrize(
    "replies",
    [
        (b"old", ReplyError("MOVED 5061 10.0.0.1:2")),
        (ReplyError("MOVED 5061 10.0.0.1:2"), ReplyError("MOVED 5061 10.0.0.1:2")),
        (ReplyError("MOVED 5061 10.0.0.1:2"), -2),
    ],
)
def test_c29_a_slot_that_moves_between_the_two_moves_both(started: Play, replies: tuple[Any, ...]) -> None:
    call = submit(started, b"GET", AT_A)
    take(started.a, *replies)
    assert call.outcome == NONE_YET
    assert take(started.b, b"new", 7) == [b"GET", AT_A, b"PTTL", AT_A]
    assert call.outcome == [b"new", 7]
    assert open_counts(started) == [0, 0, 0]


@pytest.mark.parametrize("pieces", [False, True])
@pytest.mark.parametrize(
    "replies",
    [
        (b"old", ReplyError("ASK 5061 10.0.0.1:2")),
        (ReplyError("ASK 5061 10.0.0.1:2"), ReplyError("ASK 5061 10.0.0.1:2")),
    ],
)
def test_c29_asking_stands_before_each(started: Play, replies: tuple[Any, ...], *, pieces: bool) -> None:
    call = submit(started, b"GET", AT_A)
    take(started.a, *replies)
    words = take(started.b, "OK", b"new", "OK", 7, pieces=pieces)
    assert words == [b"ASKING", b"GET", AT_A, b"ASKING", b"PTTL", AT_A]
    assert call.outcome == [b"new", 7]
    assert open_counts(started) == [0, 0, 0]


@pytest.mark.parametrize("word", ["TRYAGAIN", "CLUSTERDOWN"])
def test_c29_what_has_to_wait_waits_as_one(started: Play, word: str) -> None:
    call = submit(started, b"GET", AT_A)
    take(started.a, b"old", ReplyError(f"{word} later"))
    assert call.outcome == NONE_YET
    assert not started.a.calls
    started.turn(200)
    take(started.a, b"new", -1)
    assert call.outcome == [b"new", -1]


def test_c29_a_lost_node_is_asked_for_both_again(started: Play) -> None:
    call = submit(started, b"GET", AT_A)
    lost = started.a.calls.pop(0)
    lost.pack()
    assert lost.receive(b"old") is False
    lost.fail(ERROR_CONNECTION, "lost")
    started.turn(200)
    take(started.a, b"new", 3)
    assert call.outcome == [b"new", 3]
    assert open_counts(started) == [0, 0, 0]


def test_c29_a_refused_pttl_is_the_calls_affair(started: Play) -> None:
    call = submit(started, b"GET", AT_A)
    take(started.a, b"v", ReplyError("NOPERM no"))
    assert call.outcome[0] == b"v"
    assert str(call.outcome[1]) == "NOPERM no"


def test_c29_many_keys_over_nodes_come_back_in_order(started: Play) -> None:
    call = submit(started, b"MGET", AT_A, AT_B, b"{bar}2")
    assert take(started.b, [b"b"], 2) == [b"MGET", AT_B, b"PTTL", AT_B]
    words = take(started.a, [b"a", b"c"], 1, 3)
    assert words == [b"MGET", AT_A, b"{bar}2", b"PTTL", AT_A, b"PTTL", b"{bar}2"]
    assert call.outcome == [[b"a", b"b", b"c"], 1, 2, 3]


def test_c29_many_keys_of_one_node(started: Play) -> None:
    call = submit(started, b"MGET", AT_A, b"{bar}2")
    take(started.a, [b"a", None], 1, -2)
    assert call.outcome == [[b"a", None], 1, -2]


def test_c29_an_error_of_one_node_is_that_of_all(started: Play) -> None:
    call = submit(started, b"MGET", AT_A, AT_B)
    take(started.a, ReplyError("ERR no"), ReplyError("NOPERM no"))
    take(started.b, [b"b"], ReplyError("NOPERM no"))
    assert isinstance(call.outcome[0], ReplyError)
    assert len(call.outcome) == 3


def test_c29_a_detour_divides_a_pair_into_pairs(started: Play) -> None:
    """The part that is sent again asks both, too."""

    class Divisible(Recorded):
        def divide(self, pinned: Any) -> Any:
            other = Recorded(*self.arguments, repeatable=True)
            other.asks_ttl = True
            pinned.append(other)
            return other

    call = Divisible(b"GET", AT_A, repeatable=True)
    call.asks_ttl = True
    started.upstream.submit(call)
    parts: list[Recorded] = []
    request = started.a.calls[0]
    request.pack()
    divided = request.divide(parts)
    assert divided is not None
    started.a.calls.append(divided)
    take(started.a, b"1", 1)
    take(started.a, b"2", 2)
    assert (call.outcome, parts[0].outcome) == ([b"1", 1], [b"2", 2])
    assert open_counts(started) == [0, 0, 0]
