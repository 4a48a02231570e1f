"""A watch: it stands as long as it is used, and leaves nothing behind however it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from glidecached import watched_keys as watch_module
from glidecached.client_session import ClientSession
from glidecached.command_order import CommandOrder
from glidecached.watched_keys import Watch

if TYPE_CHECKING:
    from collections.abc import Callable


class Connection:
    """A reserved connection that keeps what it is given."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.last: Any = None
        self.closed = 0

    def submit(self, call: Any, *, last: bool = False) -> None:
        self.calls.append(call)
        self.last = call if last else None

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def connection() -> Connection:
    return Connection()


@pytest.fixture
def session(loop: Any, make_upstream: Callable[..., Any], connection: Connection) -> ClientSession:
    upstream = make_upstream()
    upstream.reserve = lambda _keys, _holder: connection
    return ClientSession(1, 1000, upstream, None, CommandOrder(loop), awaits_proof=False)


def begun(loop: Any, session: ClientSession) -> Watch:
    """A watch that has its connection."""
    watch = Watch(loop, session, 7)
    assert watch.begin([b"k"]) is None
    return watch


def test_it_ends_for_want_of_use(loop: Any, session: ClientSession, connection: Connection) -> None:
    watch = begun(loop, session)
    watch.submit("WATCH k")  # type: ignore[arg-type]
    loop.pass_time(watch_module.IDLE_MS - 1)
    watch.submit("WATCH other")  # type: ignore[arg-type]
    loop.pass_time(watch_module.IDLE_MS - 1)
    assert session.watches == {7: watch}
    loop.pass_time(1)
    assert session.watches == {}
    assert connection.closed == 1


def test_its_last_call_takes_the_connection_with_it(
    loop: Any, session: ClientSession, connection: Connection
) -> None:
    watch = begun(loop, session)
    watch.submit("WATCH k")  # type: ignore[arg-type]
    watch.submit_last("EXEC")  # type: ignore[arg-type]
    assert session.watches == {}
    assert connection.last == "EXEC"
    loop.pass_time(watch_module.IDLE_MS)
    assert connection.closed == 0


def test_a_number_that_is_another_watchs_by_now_is_left_to_it(loop: Any, session: ClientSession) -> None:
    first = begun(loop, session)
    second = begun(loop, session)
    first.end()
    assert session.watches == {7: second}


def test_without_a_connection_there_is_no_watch(loop: Any, session: ClientSession) -> None:
    session.upstream.reserve = lambda _keys, _holder: "all are in use"  # type: ignore[method-assign]
    assert Watch(loop, session, 7).begin([b"k"]) == "all are in use"
    assert session.watches == {}


def test_its_end_is_reported_once(loop: Any, session: ClientSession) -> None:
    ended: list[Watch] = []
    watch = Watch(loop, session, 7, ended.append)
    assert watch.begin([b"k"]) is None
    watch.end()
    watch.connection_ended()
    assert ended == [watch]
