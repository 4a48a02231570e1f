"""The order of one client's commands across connections: kept by waiting, and only where it must be (contract C23)."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from glidecached.upstream.lane import BULK

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecached.client_session import ClientSession
    from glidecached.handlers.commands import CommandHandlers

EVAL = [b"EVAL", b"return 1", b"0"]
GET = [b"GET", b"k"]
SET = [b"SET", b"k", b"v"]
KILL = [b"SCRIPT", b"KILL"]
UNKNOWN = [b"NOSUCH", b"k"]
POP = [b"BLPOP", b"q", b"0"]


@pytest.fixture
def send(operations: CommandHandlers, bare: ClientSession, requests: Any) -> Callable[..., Any]:
    """Send a command of the one client; return its request."""

    def send(arguments: list[bytes]) -> Any:
        request = requests()
        operations.command(request, [bare.session_id, arguments])
        return request

    return send


def names(calls: list[Any]) -> list[bytes]:
    return [call.arguments[0] for call in calls]


def test_c23_a_script_waits_for_what_was_sent_before_it_and_holds_what_comes_after(
    send: Callable[..., Any], upstream: Any, loop: Any
) -> None:
    for arguments in (SET, EVAL, GET):
        send(arguments)
    assert names(upstream.calls) == [b"SET"]
    upstream.calls[0].succeed("OK")
    loop.run_deferred()
    assert names(upstream.calls) == [b"SET", b"EVAL"]
    upstream.calls[1].succeed(1)
    loop.run_deferred()
    assert names(upstream.calls) == [b"SET", b"EVAL", b"GET"]


def test_c23_commands_of_one_lane_do_not_wait(send: Callable[..., Any], upstream: Any) -> None:
    for arguments in (EVAL, EVAL, EVAL):
        send(arguments)
    assert len(upstream.calls) == 3


def test_c23_commands_with_a_connection_each_wait_for_each_other(
    send: Callable[..., Any], upstream: Any, loop: Any
) -> None:
    for arguments in (UNKNOWN, UNKNOWN):
        send(arguments)
    assert len(upstream.blocking) == 1
    upstream.blocking[0].succeed("OK")
    loop.run_deferred()
    assert len(upstream.blocking) == 2


def test_i5_out_of_band_commands_and_blocking_ones_never_wait(
    send: Callable[..., Any], upstream: Any
) -> None:
    for arguments in (SET, EVAL, KILL, POP):
        send(arguments)
    assert names(upstream.calls) == [b"SET", b"SCRIPT"]
    assert names(upstream.blocking) == [b"BLPOP"]


def test_a_request_that_ended_while_it_waited_is_not_sent(
    send: Callable[..., Any], upstream: Any, loop: Any
) -> None:
    send(SET)
    expired, cancelled, last = send(EVAL), send(EVAL), send(GET)
    expired.expire()
    cancelled.cancel()
    upstream.calls[0].succeed("OK")
    loop.run_deferred()
    assert names(upstream.calls) == [b"SET", b"GET"]
    assert not last.finished


def test_a_request_that_ends_early_leaves_the_order(
    send: Callable[..., Any], upstream: Any, loop: Any
) -> None:
    send(SET).expire()
    loop.run_deferred()
    send(EVAL)
    assert names(upstream.calls) == [b"SET", b"EVAL"]


@pytest.mark.parametrize("seed", range(20))
def test_c23_whatever_is_sent_takes_effect_in_order(
    send: Callable[..., Any], upstream: Any, loop: Any, seed: int
) -> None:
    """Generated commands use all lanes; the server answers each connection in order, and connections in any order."""
    chance = random.Random(seed)
    lane_of = {b"SET": "shared", b"GET": "shared", b"EVAL": "scripts", b"NOSUCH": "own"}
    sent, done, answered = [], [], set()

    def open_calls() -> list[Any]:
        return [call for call in [*upstream.calls, *upstream.blocking] if id(call) not in answered]

    for number in range(80):
        name, *rest = chance.choice((SET, GET, EVAL, UNKNOWN))
        sent.append(number)
        send([name, *rest, b"%d" % number])
        while open_calls() and chance.random() < 0.5:
            answer_one(chance, open_calls(), lane_of, answered, done)
            loop.run_deferred()
    while open_calls():
        answer_one(chance, open_calls(), lane_of, answered, done)
        loop.run_deferred()
    assert done == sent


def answer_one(
    chance: random.Random,
    open_calls: list[Any],
    lane_of: dict[bytes, str],
    answered: set[int],
    done: list[int],
) -> None:
    """Answer the oldest call of any connection."""
    lanes = {lane_of[call.arguments[0]] for call in open_calls}
    lane = chance.choice(sorted(lanes))
    call = next(call for call in open_calls if lane_of[call.arguments[0]] == lane)
    answered.add(id(call))
    done.append(int(call.arguments[-1]))
    call.succeed("OK")


def test_i6_a_long_request_travels_apart_from_short_ones(
    operations: CommandHandlers, bare: ClientSession, requests: Any, upstream: Any
) -> None:
    request = requests()
    request.frame_bytes = 20_000_000
    operations.command(request, [bare.session_id, SET])
    for _slice in operations.batch(requests(), [bare.session_id, False, [GET] * 2_000]):
        pass
    assert [call.lane for call in upstream.calls] == [BULK, BULK]
