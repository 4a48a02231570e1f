"""Sessions: bound to a user, forgotten when unused, and outdated when their pool is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from glidecached.client_session import Sessions
from glidecached.pools.metadata import PoolKey, PoolSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecached.pools.manager import PoolManager

OWN_UID = 1000


@pytest.fixture
def sessions(loop: Any) -> Sessions:
    return Sessions(loop, max_sessions=5, idle_seconds=60)  # of which a process alone has 3


def find(sessions: Sessions, session_id: int, uid: int = OWN_UID) -> Any:
    return sessions.find(session_id, uid, time.monotonic_ns())


def test_a_session_is_one_users(sessions: Sessions, upstream: Any) -> None:
    session = sessions.open(OWN_UID, upstream, None, awaits_proof=False)
    assert find(sessions, session.session_id) is session
    assert find(sessions, session.session_id, uid=0) is None
    sessions.close(session.session_id, 1)
    assert find(sessions, session.session_id) is session
    sessions.close(session.session_id, OWN_UID)
    sessions.close(session.session_id, OWN_UID)
    assert find(sessions, session.session_id) is None


def test_an_upstream_knows_how_many_sessions_use_it(sessions: Sessions, upstream: Any) -> None:
    opened = [sessions.open(OWN_UID, upstream, None, awaits_proof=False) for _ in range(2)]
    assert upstream.sessions == 2
    for session in opened:
        sessions.close(session.session_id, OWN_UID)
    assert upstream.sessions == 0


def test_beyond_the_bound_the_longest_unused_is_forgotten(sessions: Sessions, upstream: Any) -> None:
    first, second, third = (sessions.open(OWN_UID, upstream, None, awaits_proof=False) for _ in range(3))
    find(sessions, first.session_id)
    fourth = sessions.open(OWN_UID, upstream, None, awaits_proof=False)
    found = [find(sessions, each.session_id) is not None for each in (first, second, third, fourth)]
    assert found == [True, False, True, True]
    assert upstream.sessions == len(sessions) == 3


def test_unused_sessions_are_forgotten(sessions: Sessions, upstream: Any, loop: Any) -> None:
    idle, used = (sessions.open(OWN_UID, upstream, None, awaits_proof=False) for _ in range(2))
    idle.used_ns -= 120 * 10**9
    loop.pass_time(60_000)
    assert find(sessions, idle.session_id) is None
    assert find(sessions, used.session_id) is used


def test_c20_a_session_whose_pool_ended_has_to_attach_again(
    sessions: Sessions, upstream: Any, make_registry: Callable[..., PoolManager]
) -> None:
    settings = PoolSettings(max_cache_kb=64, entry_ttl_ms=0)
    pool = make_registry().join(PoolKey("n", None), upstream.target.identity, settings)
    session = sessions.open(OWN_UID, upstream, pool, awaits_proof=False)
    assert find(sessions, session.session_id) is session
    pool.end()
    assert find(sessions, session.session_id) is None
    assert upstream.sessions == 0


def test_c18_a_lazy_client_attaches_again_once_its_credentials_are_proved(
    sessions: Sessions, make_upstream: Callable[..., Any]
) -> None:
    upstream = make_upstream(proved=False)
    session = sessions.open(OWN_UID, upstream, None, awaits_proof=True)
    assert find(sessions, session.session_id) is session
    upstream.proved = True
    assert find(sessions, session.session_id) is None
