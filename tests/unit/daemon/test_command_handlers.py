"""The data operations: what goes upstream, in which order, and what never does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from glidecache_shared.protocol import ERROR_REQUEST, ERROR_UNKNOWN_SESSION, HASH, STRING, ReplyError
from glidecached.frontend.dispatcher import MalformedError
from glidecached.pools.metadata import PoolKey, PoolSettings
from glidecached.pools.pool_stats import pool_stats

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecached.client_session import ClientSession, Sessions
    from glidecached.handlers.commands import CommandHandlers
    from glidecached.pools.manager import PoolManager

UID = 1000


@pytest.fixture
def pooled(sessions: Sessions, upstream: Any, make_registry: Callable[..., PoolManager]) -> ClientSession:
    """A session with a pool."""
    settings = PoolSettings(max_cache_kb=64, entry_ttl_ms=0, enable_metrics=True)
    pool = make_registry().join(PoolKey("n", None), upstream.target.identity, settings)
    return sessions.open(UID, upstream, pool, awaits_proof=False)


def metrics(session: ClientSession) -> tuple[int, int]:
    assert session.pool is not None
    numbers = pool_stats(session.pool)["metrics"]
    return numbers["hits"], numbers["misses"]


def test_a_command_is_passed_through(
    operations: CommandHandlers, bare: ClientSession, upstream: Any, requests: Any
) -> None:
    request = requests()
    operations.command(request, [bare.session_id, [b"LPOP", b"q"]])
    upstream.calls[0].succeed(b"item")
    assert requests.value(request) == b"item"


def test_the_servers_error_is_the_answer(
    operations: CommandHandlers, bare: ClientSession, upstream: Any, requests: Any
) -> None:
    request = requests()
    operations.command(request, [bare.session_id, [b"INCR"]])
    upstream.calls[0].succeed(ReplyError("ERR wrong number of arguments"))
    assert requests.error(request) == (ERROR_REQUEST, "ERR wrong number of arguments")


@pytest.mark.parametrize("atomic", [True, False])
def test_i3_what_is_not_known_as_safe_gets_a_connection_of_its_own(
    operations: CommandHandlers, bare: ClientSession, upstream: Any, requests: Any, atomic: bool
) -> None:
    for command in ([b"NOSUCH"], [b"DEBUG", b"SLEEP", b"1"], [b"COMMAND", b"DOCS"], [b"blpop", b"q", b"0"]):
        operations.command(requests(), [bare.session_id, command])
        upstream.blocking[-1].succeed("OK")  # Commands of one client wait for each other.
        operations.batch(requests(), [bare.session_id, False, [[b"GET", b"k"], command]])
        upstream.blocking[-1].succeed(["OK"])
    operations.batch(requests(), [bare.session_id, atomic, [[b"GET", b"k"], [b"NOSUCH"]]])
    assert upstream.calls == []
    assert len(upstream.blocking) == 9
    assert upstream.blocking[-1].atomic is atomic
    upstream.blocking[-1].succeed(["OK"])
    # Nothing blocks in a transaction.
    operations.batch(requests(), [bare.session_id, True, [[b"BLPOP", b"q", b"0"]]])
    assert len(upstream.calls) == 1


def test_only_known_reads_may_be_sent_again(
    operations: CommandHandlers, bare: ClientSession, upstream: Any, requests: Any
) -> None:
    for command in ([b"GET", b"k"], [b"INCR", b"k"]):
        operations.command(requests(), [bare.session_id, command])
    assert [call.repeatable for call in upstream.calls] == [True, False]


def test_c22_commands_that_may_write_raise_the_sessions_floor(
    operations: CommandHandlers, bare: ClientSession, requests: Any
) -> None:
    operations.command(requests(), [bare.session_id, [b"GET", b"k"]])
    assert bare.min_flight == 0
    operations.command(requests(), [bare.session_id, [b"SET", b"k", b"v"]])
    assert bare.min_flight == 100


def test_c22_a_blocking_command_raises_the_floor_again_when_it_is_done(
    operations: CommandHandlers, bare: ClientSession, upstream: Any, requests: Any
) -> None:
    request = requests()
    operations.command(request, [bare.session_id, [b"BLPOP", b"q", b"0"]])
    (call,) = upstream.blocking
    assert upstream.calls == []
    min_flight = bare.min_flight
    call.succeed([b"q", b"item"])
    assert bare.min_flight > min_flight
    assert requests.value(request) == [b"q", b"item"]


def test_commands_bound_to_a_connection_are_not_sent(
    operations: CommandHandlers, bare: ClientSession, upstream: Any, requests: Any
) -> None:
    single, batch = requests(), requests()
    operations.command(single, [bare.session_id, [b"SELECT", b"1"]])
    operations.batch(batch, [bare.session_id, True, [[b"SET", b"k", b"v"], [b"watch", b"k"]]])
    assert requests.error(single)[0] == requests.error(batch)[0] == ERROR_REQUEST
    assert "nothing of the batch was run" in requests.error(batch)[1]
    assert upstream.calls == upstream.blocking == []


def test_c7a_a_live_entry_is_answered_from_the_pool_and_counts_as_a_hit(
    operations: CommandHandlers, pooled: ClientSession, upstream: Any, requests: Any
) -> None:
    first, second = requests(), requests()
    operations.read(first, [pooled.session_id, STRING, b"k"])
    upstream.calls[0].succeed(b"v")
    operations.read(second, [pooled.session_id, STRING, b"k"])
    assert [requests.value(first), requests.value(second)] == [b"v", b"v"]
    assert len(upstream.calls) == 1
    assert metrics(pooled) == (1, 1)


def test_c7a_an_entry_older_than_the_clients_last_write_is_a_miss(
    operations: CommandHandlers, pooled: ClientSession, upstream: Any, requests: Any
) -> None:
    operations.read(requests(), [pooled.session_id, STRING, b"k"])
    upstream.calls[0].succeed(b"old")
    operations.command(requests(), [pooled.session_id, [b"SET", b"k", b"new"]])
    again = requests()
    operations.read(again, [pooled.session_id, STRING, b"k"])
    assert upstream.sent[-1] == (b"GET", b"k")
    upstream.calls[-1].succeed(b"new")
    assert requests.value(again) == b"new"
    assert metrics(pooled) == (0, 2)


@pytest.mark.parametrize("own_writes", [False, True])
@pytest.mark.parametrize("operation", ["read", "get_many"])
def test_c22_a_client_that_wrote_past_the_daemon_gets_no_earlier_answer(
    operations: CommandHandlers,
    pooled: ClientSession,
    upstream: Any,
    requests: Any,
    operation: str,
    own_writes: bool,
) -> None:
    """Neither a running flight, nor an entry of an earlier one, answers it."""
    body: list[Any] = [STRING, b"k"] if operation == "read" else [[b"k"]]
    answered = 0
    for _ in range(2):  # the first flight is under way, then landed
        told, running = requests(), requests()
        getattr(operations, operation)(running, [pooled.session_id, *body])
        sent = len(upstream.calls)
        getattr(operations, operation)(told, [pooled.session_id, *body, own_writes])
        assert len(upstream.calls) == sent + own_writes
        for call in upstream.calls[answered:]:
            call.succeed(b"v" if operation == "read" else [b"v"])
        answered = len(upstream.calls)
        assert requests.value(told) == requests.value(running)


def test_c17_each_occurrence_is_a_lookup(
    operations: CommandHandlers, pooled: ClientSession, upstream: Any, requests: Any
) -> None:
    operations.read(requests(), [pooled.session_id, STRING, b"a"])
    upstream.calls[0].succeed(b"1")
    request = requests()
    operations.get_many(request, [pooled.session_id, [b"a", b"b", b"a", b"b"]])
    assert upstream.sent[-1] == (b"MGET", b"b")
    upstream.calls[-1].succeed([b"2"])
    assert requests.value(request) == [b"1", b"2", b"1", b"2"]
    assert metrics(pooled) == (2, 3)


def test_c17_what_is_all_there_needs_no_server(
    operations: CommandHandlers, pooled: ClientSession, upstream: Any, requests: Any
) -> None:
    none, some = requests(), requests()
    operations.get_many(none, [pooled.session_id, []])
    operations.read(requests(), [pooled.session_id, STRING, b"a"])
    upstream.calls[0].succeed(b"1")
    operations.get_many(some, [pooled.session_id, [b"a", b"a"]])
    assert (requests.value(none), requests.value(some)) == ([], [b"1", b"1"])
    assert len(upstream.calls) == 1


def test_c17_batches_pass_the_cache_by(
    operations: CommandHandlers, pooled: ClientSession, upstream: Any, requests: Any
) -> None:
    operations.read(requests(), [pooled.session_id, STRING, b"k"])
    upstream.calls[0].succeed(b"v")
    request = requests()
    operations.batch(request, [pooled.session_id, False, [[b"GET", b"k"]]])
    upstream.calls[1].succeed([b"v"])
    assert requests.value(request) == [b"v"]
    assert metrics(pooled) == (0, 1)


def test_a_batch_counts_as_a_write_unless_it_only_reads(
    operations: CommandHandlers, bare: ClientSession, upstream: Any, requests: Any
) -> None:
    operations.batch(requests(), [bare.session_id, True, [[b"GET", b"k"], [b"TTL", b"k"]]])
    assert bare.min_flight == 0
    operations.batch(requests(), [bare.session_id, True, [[b"GET", b"k"], [b"DEL", b"k"]]])
    assert bare.min_flight == 100
    assert [call.repeatable for call in upstream.calls] == [True, False]


def test_a_pipeline_that_blocks_has_a_connection_of_its_own(
    operations: CommandHandlers, bare: ClientSession, upstream: Any, requests: Any
) -> None:
    commands = [[b"SET", b"k", b"v"], [b"BLPOP", b"q", b"0"]]
    operations.batch(requests(), [bare.session_id, False, commands])
    operations.batch(requests(), [bare.session_id, True, commands])  # in a transaction nothing blocks
    assert len(upstream.blocking) == len(upstream.calls) == 1


def test_a_client_without_a_pool_may_read_too(
    operations: CommandHandlers, bare: ClientSession, upstream: Any, requests: Any
) -> None:
    read, many = requests(), requests()
    operations.read(read, [bare.session_id, HASH, b"h"])
    operations.get_many(many, [bare.session_id, [b"a", b"a"]])
    assert upstream.sent == [(b"HGETALL", b"h"), (b"MGET", b"a", b"a")]
    upstream.calls[0].succeed([b"f", b"v"])
    assert requests.value(read) == {b"f": b"v"}


def test_an_unknown_session_is_not_served(
    operations: CommandHandlers, bare: ClientSession, requests: Any
) -> None:
    foreign = requests(uid=UID + 1)
    operations.command(foreign, [bare.session_id, [b"GET", b"k"]])
    assert requests.error(foreign)[0] == ERROR_UNKNOWN_SESSION


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("command", [1]),
        ("command", [1, []]),
        ("command", [1, [b"GET", "k"]]),
        ("command", ["1", [b"GET"]]),
        ("read", [1, 9, b"k"]),
        ("read", [1, True, b"k"]),
        ("read", [1, STRING, "k"]),
        ("read", [1, STRING, b"k", 1]),
        ("read", [1, STRING, b"k", True, True]),
        ("get_many", [1, [b"k"], None]),
        ("get_many", [1, b"k"]),
        ("get_many", [1, ["k"]]),
        ("batch", [1, 1, []]),
        ("batch", [1, True, [[]]]),
        ("batch", [1, True, [b"GET"]]),
    ],
)
def test_bodies_of_a_wrong_form(
    operations: CommandHandlers, requests: Any, operation: str, body: list[Any]
) -> None:
    with pytest.raises(MalformedError):
        getattr(operations, operation)(requests(), body)
