"""ATTACH: who gets a session, who joins a pool, and what the others are told (contract C18)."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from glidecache_shared.protocol import (
    ERROR_BUSY,
    ERROR_CLOSING,
    ERROR_CONFIGURATION,
    ERROR_CONNECTION,
    ERROR_FORBIDDEN,
    ReplyError,
)
from glidecached.access import Access, Peer
from glidecached.client_session import Sessions
from glidecached.config.model import Config, NamedUpstream
from glidecached.config.schema import DaemonSettings
from glidecached.handlers.attach import AttachHandlers
from glidecached.upstream.registry import TooManyUpstreamsError
from glidecached.upstream.target import Address, Target

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecached.client_session import ClientSession
    from glidecached.pools.manager import PoolManager
    from glidecached.upstream.target import UpstreamOptions

UID = 1000
CACHE = {"id": "u", "settings": {"max_cache_kb": 64, "entry_ttl_ms": 0, "enable_metrics": True}}
OWN = {"addresses": [["elsewhere", 1]]}


class Directory:
    """Upstreams that are all the same one, which has whatever target was asked for last."""

    def __init__(self, upstream: Any) -> None:
        self.upstream = upstream
        self.full = False

    def get(self, target: Target, _options: UpstreamOptions, _peer: Any = None) -> Any:
        if self.full:
            message = "64 upstreams are in use already"
            raise TooManyUpstreamsError(message)
        self.upstream.target = target
        return self.upstream


class Reception:
    """The operations, and a client that asks for sessions."""

    def __init__(self, loop: Any, registry: PoolManager, upstream: Any, requests: Any, **daemon: Any) -> None:
        self.directory = Directory(upstream)
        self.upstream = upstream
        self.requests = requests
        self.sessions = Sessions(loop, max_sessions=10, idle_seconds=60)
        named = {
            name: NamedUpstream(
                name=name,
                target=Target(mode="standalone", addresses=(Address(name, 1),)),
                request_timeout_ms=700,
                access=Access(uids=frozenset(uids)),
            )
            for name, uids in (("default", ()), ("private", (4_242,)))
        }
        config = Config(daemon=DaemonSettings(**daemon), upstreams=named)
        directory: Any = self.directory
        self.registry = registry
        self.numbers = itertools.count(100)
        self.operations = AttachHandlers(
            loop, config, directory, registry, self.sessions, self.numbers.__next__
        )

    def ask(self, *, uid: int = UID, pid: int = 1, **spec: Any) -> Any:
        """ATTACH; the open request."""
        request = self.requests(uid=uid, pid=pid)
        self.operations.attach(request, [{"mode": "standalone", **spec}])
        return request

    def joined(self, request: Any) -> bool:
        """Whether the session that the client got has a pool."""
        return self.requests.value(request)["pool"] is not None


@pytest.fixture
def make_reception(
    loop: Any, make_registry: Callable[..., PoolManager], upstream: Any, requests: Any
) -> Callable[..., Reception]:
    return lambda **daemon: Reception(loop, make_registry(), upstream, requests, **daemon)


@pytest.fixture
def reception(make_reception: Callable[..., Reception]) -> Reception:
    return make_reception()


def test_the_upstream_is_checked_once(reception: Reception, requests: Any) -> None:
    request = reception.ask(cache=CACHE)
    assert requests.open(request)
    assert reception.upstream.sent == [(b"PING",)]
    reception.upstream.calls[0].succeed("PONG")
    answer = requests.value(request)
    assert (answer["request_timeout_ms"], answer["mode"]) == (700, "standalone")
    assert answer["pool"]["enable_metrics"] is True
    assert reception.sessions.find(answer["session_id"], UID, 0) is not None


def test_the_clients_own_timeout_goes_before_the_upstreams(reception: Reception, requests: Any) -> None:
    request = reception.ask(lazy_connect=True, request_timeout_ms=33)
    assert requests.value(request)["request_timeout_ms"] == 33


@pytest.mark.parametrize("text", ["NOAUTH Authentication required.", "LOADING not yet"])
def test_an_upstream_that_refuses_closes_with_its_own_text(
    reception: Reception, requests: Any, text: str
) -> None:
    request = reception.ask()
    reception.upstream.calls[0].succeed(ReplyError(text))
    assert requests.error(request) == (ERROR_CLOSING, text)
    assert len(reception.sessions) == 0


def test_an_upstream_that_cannot_be_reached_closes_with_the_reason(
    reception: Reception, requests: Any
) -> None:
    request = reception.ask()
    reception.upstream.calls[0].fail(ERROR_CONNECTION, "h:1: refused")
    assert requests.error(request) == (ERROR_CLOSING, "h:1: refused")


def test_an_upstream_that_says_nothing_closes_too(reception: Reception, requests: Any) -> None:
    request = reception.ask()
    request.expire()
    assert requests.error(request) == (
        ERROR_CLOSING,
        "timed out: the upstream default:1 did not answer in time",
    )
    reception.upstream.calls[0].succeed("PONG")
    assert len(reception.sessions) == 0


def test_a_user_who_may_not_ping_has_proved_its_password(reception: Reception) -> None:
    request = reception.ask(cache=CACHE)
    reception.upstream.calls[0].succeed(ReplyError("NOPERM no PING for you"))
    assert reception.joined(request)


def test_c18_a_configured_upstream_needs_no_proof(reception: Reception) -> None:
    reception.upstream.proved = False
    assert reception.joined(reception.ask(lazy_connect=True, cache=CACHE))
    assert reception.upstream.calls == []


def test_c18_a_lazy_client_with_proved_credentials_joins_at_once(reception: Reception) -> None:
    assert reception.joined(reception.ask(lazy_connect=True, cache=CACHE, **OWN))
    assert reception.upstream.calls == []


def test_c18_a_lazy_client_joins_when_its_credentials_prove_valid_now(reception: Reception) -> None:
    reception.upstream.proved = False
    request = reception.ask(lazy_connect=True, cache=CACHE, **OWN)
    reception.upstream.proved = True
    reception.upstream.calls[0].succeed("PONG")
    assert reception.joined(request)


def test_c18_a_lazy_client_whose_credentials_are_not_proved_gets_no_pool(
    reception: Reception, requests: Any
) -> None:
    reception.upstream.proved = False
    request = reception.ask(lazy_connect=True, cache=CACHE, **OWN)
    reception.upstream.calls[0].fail(ERROR_CONNECTION, "down")
    assert not reception.joined(request)
    session_id = requests.value(request)["session_id"]
    assert reception.sessions.find(session_id, UID, 0) is not None
    reception.upstream.proved = True
    assert reception.sessions.find(session_id, UID, 0) is None  # attaching again gives it the pool


def test_a_lazy_client_does_not_wait_for_a_silent_upstream(reception: Reception, loop: Any) -> None:
    reception.upstream.proved = False
    request = reception.ask(lazy_connect=True, cache=CACHE, **OWN)
    loop.pass_time(200)
    assert not reception.joined(request)
    reception.upstream.calls[0].succeed("PONG")


def test_configured_access_is_the_kernels_word(reception: Reception, requests: Any) -> None:
    code, message = requests.error(reception.ask(upstream="private"))
    assert (code, "1000" in message, "private" in message) == (ERROR_FORBIDDEN, True, True)


def test_unknown_upstreams_are_named(reception: Reception, requests: Any) -> None:
    code, message = requests.error(reception.ask(upstream="nowhere"))
    assert code == ERROR_CONFIGURATION
    assert "'nowhere'; it has: default, private" in message


def test_own_addresses_can_be_forbidden(make_reception: Callable[..., Reception], requests: Any) -> None:
    code, message = requests.error(make_reception(allow_adhoc_upstreams=False).ask(**OWN))
    assert code == ERROR_CONFIGURATION
    assert "allow_adhoc_upstreams" in message


def test_too_many_upstreams_are_refused(reception: Reception, requests: Any) -> None:
    reception.directory.full = True
    assert requests.error(reception.ask(**OWN)) == (ERROR_BUSY, "64 upstreams are in use already")


def test_what_the_pools_rules_refuse_is_a_configuration_error(reception: Reception, requests: Any) -> None:
    code, message = requests.error(reception.ask(lazy_connect=True, cache={"name": "nobody's"}))
    assert (code, "nobody's" in message) == (ERROR_CONFIGURATION, True)


def test_detach_forgets_the_session(reception: Reception, requests: Any) -> None:
    session_id = requests.value(reception.ask(lazy_connect=True))["session_id"]
    for _ in range(2):
        request = requests(uid=UID)
        reception.operations.detach(request, [session_id])
        assert requests.value(request) is None
    assert len(reception.sessions) == 0


def test_access_by_group(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    access = Access(gids=frozenset({77}))
    assert access.allows(Peer(0, 0, 1))
    for groups in ((), None):
        assert access.allows(Peer(2**31, 77, 1, groups))
        assert not access.allows(Peer(2**31, 78, 1, groups))  # a uid without an entry has its one group
    assert access.allows(Peer(2**31, 78, 1, groups=(76, 77)))
    # Groups that the process gave up do not count, whatever the database says. It is asked where the kernel is silent.
    monkeypatch.setattr(os, "getgrouplist", lambda _user, gid: [gid, 77])
    uid = os.getuid() or 1
    assert not access.allows(Peer(uid, 1, 1, groups=()))
    assert access.allows(Peer(uid, 1, 1, groups=None))
    assert access.allows_user(uid)
    assert not access.allows_user(2**31)


def session_of(reception: Reception, request: Any) -> ClientSession:
    session = reception.sessions.known(reception.requests.value(request)["session_id"], UID)
    assert session is not None
    return session


def test_c22_who_attaches_again_goes_on_with_his_session(reception: Reception) -> None:
    session = session_of(reception, reception.ask(cache=CACHE, lazy_connect=True))
    session.min_flight = 7
    again = session_of(reception, reception.ask(cache=CACHE, lazy_connect=True, follows=session.session_id))
    assert again is session
    assert len(reception.sessions) == 1


def test_c22_a_new_session_knows_what_the_one_before_has_written(reception: Reception) -> None:
    """Of a pool that has ended, and of one that is read from elsewhere: the one before is not used any more then."""
    before = session_of(reception, reception.ask(cache=CACHE, lazy_connect=True))
    for floor, changed in ((7, {}), (8, {"read_from": "prefer_replica"})):
        before.min_flight = floor
        if not changed:
            reception.registry.drop("u")
        after = session_of(
            reception, reception.ask(cache=CACHE, lazy_connect=True, follows=before.session_id, **changed)
        )
        assert after is not before
        assert after.min_flight == floor
        assert len(reception.sessions) == 1
        before = after


def test_c22_a_fork_gets_a_session_of_its_own_that_knows_what_both_have_written(reception: Reception) -> None:
    parents = session_of(reception, reception.ask(cache=CACHE, lazy_connect=True, pid=1))
    parents.min_flight = 7
    request = reception.ask(cache=CACHE, lazy_connect=True, pid=2, follows=parents.session_id)
    assert session_of(reception, request) is not parents
    assert session_of(reception, request).min_flight == 7
    assert len(reception.sessions) == 2


def test_c7a_a_forgotten_session_is_followed_as_well(reception: Reception) -> None:
    """A reload has those attach again whose rights may be others: what they may be answered by stays the same."""
    session = session_of(reception, reception.ask(cache=CACHE, lazy_connect=True))
    session.min_flight = 7
    assert reception.sessions.end(lambda _session: True) == 1
    again = session_of(reception, reception.ask(cache=CACHE, lazy_connect=True, follows=session.session_id))
    assert again is not session
    assert again.min_flight == 7


def test_c22_after_a_session_that_nobody_remembers_no_flight_of_before_answers(reception: Reception) -> None:
    first = session_of(reception, reception.ask(cache=CACHE, lazy_connect=True))
    for _ in range(2 * reception.sessions.max_sessions):
        reception.ask(lazy_connect=True)
    session = session_of(reception, reception.ask(cache=CACHE, lazy_connect=True, follows=first.session_id))
    assert session.min_flight == 100
    assert session_of(reception, reception.ask(cache=CACHE, lazy_connect=True)).min_flight == 0


def test_another_users_session_cannot_be_followed(reception: Reception) -> None:
    session = session_of(reception, reception.ask(cache=CACHE, lazy_connect=True))
    request = reception.ask(uid=UID + 1, cache=CACHE, lazy_connect=True, follows=session.session_id)
    assert reception.requests.value(request)["session_id"] != session.session_id
    assert session_of(
        reception, reception.ask(cache=CACHE, lazy_connect=True, follows=session.session_id)
    ) is (session)
