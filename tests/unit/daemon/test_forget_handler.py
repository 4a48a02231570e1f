"""FORGET in the daemon: its arguments, its permissions, and its place in a client's order (C25, C23, C22)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from glidecache_shared.pool.generation import PoolDamagedError
from glidecache_shared.protocol import (
    ERROR_CONFIGURATION,
    ERROR_CONNECTION,
    ERROR_FORBIDDEN,
    ERROR_REQUEST,
    ERROR_UNKNOWN_SESSION,
    STRING,
    ReplyError,
)
from glidecached.frontend.dispatcher import MalformedError
from glidecached.handlers.admin import AdminHandlers
from glidecached.handlers.commands import CommandHandlers
from glidecached.handlers.forget import ForgetHandler
from glidecached.pools.metadata import PoolKey, PoolSettings
from glidecached.pools.pool_stats import pool_stats
from glidecached.sequence import Sequence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from glidecached.client_session import ClientSession, Sessions
    from glidecached.pools.manager import PoolManager
    from glidecached.pools.pool import Pool

UID = 1000
SETTINGS = PoolSettings(max_cache_kb=1024, entry_ttl_ms=0, eviction_policy="LRU", enable_metrics=True)


@pytest.fixture
def numbers() -> Sequence:
    return Sequence(100)


@pytest.fixture
def registry(make_registry: Callable[..., PoolManager]) -> PoolManager:
    return make_registry()


@pytest.fixture
def pool(registry: PoolManager, upstream: Any) -> Pool:
    return registry.join(PoolKey("catalog", None), upstream.target.identity, SETTINGS)


@pytest.fixture
def session(sessions: Sessions, upstream: Any, pool: Pool) -> ClientSession:
    return sessions.open(UID, upstream, pool, awaits_proof=False)


@pytest.fixture
def commands(sessions: Sessions, numbers: Sequence) -> CommandHandlers:
    return CommandHandlers(sessions, numbers)


@pytest.fixture
def handler(sessions: Sessions, numbers: Sequence, registry: PoolManager) -> ForgetHandler:
    admin = AdminHandlers({}, dict, registry, frozenset())
    return ForgetHandler(sessions, numbers, admin.pool_of)


def finish(steps: Iterator[float | None] | None) -> None:
    for _ in steps or ():
        pass


def fill(pool: Pool, *keys: bytes) -> None:
    for key in keys:
        pool.entries.insert(key, STRING, b"v", 1)


def test_c25_live_entries_are_counted_each_once(
    handler: ForgetHandler, session: ClientSession, pool: Pool, requests: Any
) -> None:
    fill(pool, b"a", b"b", b"c")
    request = requests()
    finish(handler.forget(request, [session.session_id, [b"a", b"b", b"a", b"none"]]))
    assert requests.value(request) == 2
    assert {key for key, _ in pool.entries.store.entries()} == {b"c"}
    assert pool_stats(pool)["metrics"]["forgotten"] == 2


@pytest.mark.parametrize("count", [0, 500, 501, 1_700])
def test_c25_any_number_of_keys(
    handler: ForgetHandler, session: ClientSession, pool: Pool, requests: Any, count: int
) -> None:
    keys = [b"%d" % number for number in range(count)]
    fill(pool, *keys[:200])
    request = requests()
    finish(handler.forget(request, [session.session_id, keys]))
    assert requests.value(request) == min(count, 200)
    assert not session.order.open


def test_c25_a_prefix_is_forgotten_in_slices(
    handler: ForgetHandler, session: ClientSession, pool: Pool, requests: Any
) -> None:
    fill(
        pool, *(b"p:%d" % number for number in range(300)), *(b"q:%d" % number for number in range(300)), b"p"
    )
    request = requests()
    steps = handler.forget(request, [session.session_id, b"p:"])
    assert steps is not None
    assert sum(1 for _ in steps) > 1
    assert requests.value(request) == 300
    assert {key[:1] for key, _ in pool.entries.store.entries()} == {b"p", b"q"}
    assert pool_stats(pool)["metrics"]["forgotten"] == 300


def test_c25_a_prefix_is_forgotten_in_the_generation_that_came_meanwhile_too(
    handler: ForgetHandler, session: ClientSession, pool: Pool, requests: Any
) -> None:
    fill(pool, *(b"p:%d" % number for number in range(600)))
    request = requests()
    steps = handler.forget(request, [session.session_id, b"p:"])
    assert steps is not None
    next(steps)
    pool.resize(
        PoolSettings(max_cache_kb=512, entry_ttl_ms=0, eviction_policy="LFU", enable_metrics=True), 99
    )
    assert pool.continue_resize(None)
    finish(steps)
    assert pool.entries.store.entries() == []
    assert requests.value(request) > 0


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ([], "the body has 0 fields"),
        ([1], "the body has 1 fields"),
        ([1, [b"k"], 1], "the body has 3 fields"),
        ([1, "k"], "the second field is str"),
        ([1, None], "the second field is NoneType"),
        ([1, [b"k", "l"]], "key is str"),
        ([1, b""], "the prefix is empty"),
        ([None, [b"k"]], "session_id is NoneType"),
        ([True, [b"k"]], "session_id is bool"),
    ],
)
def test_a_wrong_body_is_named(handler: ForgetHandler, requests: Any, body: list[Any], fault: str) -> None:
    with pytest.raises(MalformedError, match=fault):
        finish(handler.forget(requests(), body))


def test_an_unknown_session_attaches_again(handler: ForgetHandler, requests: Any) -> None:
    request = requests()
    finish(handler.forget(request, [12345, [b"k"]]))
    assert requests.error(request)[0] == ERROR_UNKNOWN_SESSION


@pytest.mark.parametrize("what", [[b"k"], b"k"])
def test_c25_operators_name_the_cache_and_others_may_not(
    handler: ForgetHandler, pool: Pool, requests: Any, what: Any
) -> None:
    fill(pool, b"k")
    refused, unknown, allowed = requests(uid=4321), requests(uid=0), requests(uid=os.geteuid())
    finish(handler.forget(refused, ["catalog", what]))
    assert requests.error(refused)[0] == ERROR_FORBIDDEN
    finish(handler.forget(unknown, ["unknown", what]))
    assert requests.error(unknown)[0] == ERROR_CONFIGURATION
    assert pool.entries.store.entries() == [(b"k", STRING)]
    finish(handler.forget(allowed, ["catalog", what]))
    assert requests.value(allowed) == 1


def test_c25_a_session_without_a_cache_is_refused(
    handler: ForgetHandler, bare: ClientSession, requests: Any
) -> None:
    request = requests()
    finish(handler.forget(request, [bare.session_id, [b"k"]]))
    assert requests.error(request) == (ERROR_REQUEST, "Client-side caching is not enabled")


def test_c25_a_session_proves_its_credentials_first(
    handler: ForgetHandler, sessions: Sessions, make_upstream: Callable[..., Any], requests: Any
) -> None:
    """Users of the cache may forget, and no others (C18)."""
    upstream = make_upstream(proved=False)
    session = sessions.open(UID, upstream, None, awaits_proof=True)
    refused, lost, proved = requests(), requests(), requests()
    finish(handler.forget(refused, [session.session_id, [b"k"]]))
    upstream.calls[-1].succeed(ReplyError("NOAUTH"))
    assert requests.error(refused)[0] == ERROR_CONNECTION
    assert "NOAUTH" in requests.error(refused)[1]
    finish(handler.forget(lost, [session.session_id, [b"k"]]))
    upstream.calls[-1].fail(ERROR_CONNECTION, "not reachable")
    assert requests.error(lost) == (ERROR_CONNECTION, "not reachable")
    finish(handler.forget(proved, [session.session_id, [b"k"]]))
    upstream.proved = True
    upstream.calls[-1].succeed("PONG")
    assert requests.error(proved)[0] == ERROR_UNKNOWN_SESSION


@pytest.mark.parametrize("write", [[b"SET", b"k", b"v"], [b"EVAL", b"x", b"0"], [b"SAVE"]])
@pytest.mark.parametrize("many", [False, True], ids=["few", "many"])
def test_c23_a_forget_waits_for_what_its_client_has_written_on_any_lane(
    handler: ForgetHandler,
    commands: CommandHandlers,
    session: ClientSession,
    upstream: Any,
    pool: Pool,
    requests: Any,
    loop: Any,
    write: list[bytes],
    *,
    many: bool,
) -> None:
    """Until the write is answered, a flight on another connection may still read what was there before it."""
    fill(pool, b"k")
    commands.command(requests(), [session.session_id, write])
    request = requests()
    steps = handler.forget(request, [session.session_id, [b"k"] * (501 if many else 1)])
    if steps is not None:
        next(steps)
    loop.run_deferred()
    assert requests.open(request)
    assert pool.entries.store.entries() == [(b"k", STRING)]
    [*upstream.calls, *upstream.blocking][0].succeed("OK")
    loop.run_deferred()
    finish(steps)
    assert requests.value(request) == 1


def test_c23_what_its_client_sends_later_waits_for_a_forget(
    handler: ForgetHandler,
    commands: CommandHandlers,
    session: ClientSession,
    upstream: Any,
    pool: Pool,
    requests: Any,
    loop: Any,
) -> None:
    fill(pool, b"k")
    commands.command(requests(), [session.session_id, [b"SET", b"k", b"w"]])
    forgotten, read = requests(), requests()
    handler.forget(forgotten, [session.session_id, [b"k"]])
    commands.read(read, [session.session_id, STRING, b"k"])
    assert len(upstream.calls) == 1
    upstream.calls[0].succeed("OK")
    loop.run_deferred()
    assert requests.value(forgotten) == 1
    assert upstream.sent[1:] == [(b"GET", b"k")]


def test_c25_reads_hold_no_forget_up(
    handler: ForgetHandler,
    commands: CommandHandlers,
    session: ClientSession,
    upstream: Any,
    pool: Pool,
    requests: Any,
) -> None:
    fill(pool, b"k")
    commands.read(requests(), [session.session_id, STRING, b"other"])
    commands.command(requests(), [session.session_id, [b"STRLEN", b"k"]])
    request = requests()
    handler.forget(request, [session.session_id, [b"k"]])
    assert requests.value(request) == 1
    assert len(upstream.calls) == 2


def test_c22_a_forget_counts_as_the_clients_own_write(
    handler: ForgetHandler, commands: CommandHandlers, session: ClientSession, upstream: Any, requests: Any
) -> None:
    """No flight that was sent before answers this client any more, whatever its key."""
    commands.read(requests(), [session.session_id, STRING, b"other"])
    handler.forget(requests(), [session.session_id, [b"k"]])
    commands.read(requests(), [session.session_id, STRING, b"other"])
    assert upstream.sent == [(b"GET", b"other")] * 2


@pytest.mark.parametrize("what", [[b"k"], [b"k"] * 501, b"k"])
def test_c25_a_damaged_file_that_cannot_be_replaced_is_no_success(
    handler: ForgetHandler,
    session: ClientSession,
    pool: Pool,
    requests: Any,
    monkeypatch: pytest.MonkeyPatch,
    what: Any,
) -> None:
    """Readers go on in it: an entry may still be hit."""
    damage(pool)
    monkeypatch.setattr(pool, "_start_fresh", no_room)
    request = requests()
    finish(handler.forget(request, [session.session_id, what]))
    code, message = requests.error(request)
    assert code == ERROR_REQUEST
    assert "damaged" in message


@pytest.mark.parametrize("what", [[b"k"], b"k"])
def test_c25_a_damaged_file_that_is_replaced_has_no_entry_left(
    handler: ForgetHandler, session: ClientSession, pool: Pool, requests: Any, what: Any
) -> None:
    before = pool.generation
    damage(pool)
    request = requests()
    finish(handler.forget(request, [session.session_id, what]))
    assert requests.value(request) == 0
    assert pool.generation > before


def damage(pool: Pool) -> None:
    """Have the header contradict the daemon's record, as another process's write would."""
    fill(pool, b"k")
    with open(pool.entries.store.pool_path, "r+b") as file:  # noqa: PTH123 - a few bytes in place
        file.seek(256)  # gpool_header.entry_count
        file.write((77).to_bytes(8, "little"))
    with pytest.raises(PoolDamagedError):
        pool.entries.store.lookup(b"k", STRING)


def no_room() -> None:
    raise OSError(28, "No space left on device")
