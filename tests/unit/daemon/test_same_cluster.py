"""One cluster named by different seeds: which clients may join, and when that is decided (contract C18)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from glidecache_shared.protocol import ERROR_CONNECTION, ReplyError
from glidecached.handlers.same_cluster import SeedsCheck, target_by_pools_seeds
from glidecached.upstream.target import Address, Credentials, Target

POOLS = (Address("b", 2), Address("a", 1))
OWN = Target(mode="cluster", addresses=(Address("c", 3),), credentials=Credentials(password="secret"))
POOL = replace(OWN, addresses=POOLS).identity


class Cluster:
    """An upstream whose nodes become known when a test says so."""

    def __init__(self) -> None:
        self.proved = True
        self.known = False
        self.looks = 0

    def has_nodes(self, seeds: Any) -> bool:
        assert seeds == OWN.addresses
        return self.known

    def request_refresh(self) -> None:
        self.looks += 1


def test_c18_the_pools_seeds_are_asked_with_the_clients_credentials() -> None:
    target = target_by_pools_seeds(OWN, POOL)
    assert target is not None
    assert target == replace(OWN, addresses=tuple(sorted(POOLS)))
    assert target.identity == POOL
    assert target_by_pools_seeds(target, POOL) is None, "there is nothing to find out"


@pytest.mark.parametrize(
    ("target", "pool"),
    [
        (OWN, None),
        (replace(OWN, mode="standalone"), POOL),
        (replace(OWN, database=1), POOL),
        (OWN, replace(POOL, user="other")),
        (OWN, replace(POOL, tls="insecure")),
    ],
)
def test_c18_what_differs_otherwise_is_another_identity(target: Target, pool: Any) -> None:
    assert target_by_pools_seeds(target, pool) is None


def check_of(loop: Any, cluster: Any, request: Any) -> tuple[SeedsCheck, list[bool]]:
    outcomes: list[bool] = []
    return SeedsCheck(loop, cluster, OWN.addresses, request, outcomes.append), outcomes


def test_c18_a_known_node_joins_at_once(loop: Any, requests: Any) -> None:
    cluster = Cluster()
    cluster.known = True
    for reply in (b"PONG", ReplyError("NOPERM no PING for you")):
        check, outcomes = check_of(loop, cluster, requests())
        check.succeed(reply)
        check.give_up()
        assert outcomes == [True]
    assert cluster.looks == 0


def test_c18_a_new_node_is_waited_for(loop: Any, requests: Any) -> None:
    cluster = Cluster()
    check, outcomes = check_of(loop, cluster, requests())
    check.succeed(b"PONG")
    assert cluster.looks == 1
    loop.pass_time(100)
    assert outcomes == []
    cluster.known = True
    loop.pass_time(100)
    assert outcomes == [True]


@pytest.mark.parametrize(
    "end",
    [
        lambda check: check.succeed(ReplyError("WRONGPASS")),
        lambda check: check.fail(ERROR_CONNECTION, "unreachable"),
        lambda check: check.abandon(),
        lambda check: (check.succeed(b"PONG"), check.give_up()),
    ],
)
def test_c18_without_a_proof_it_is_another_cluster(loop: Any, requests: Any, end: Any) -> None:
    check, outcomes = check_of(loop, Cluster(), requests())
    end(check)
    loop.pass_time(1_000)
    check.give_up()
    assert outcomes == [False]
    assert not check.is_wanted(0)


def test_c18_unproved_credentials_join_nothing(loop: Any, requests: Any) -> None:
    cluster = Cluster()
    cluster.known, cluster.proved = True, False
    check, outcomes = check_of(loop, cluster, requests())
    check.succeed(b"PONG")
    check.give_up()
    assert outcomes == [False]


def test_i1_a_client_that_is_gone_is_told_nothing(loop: Any, requests: Any) -> None:
    cluster = Cluster()
    cluster.known = True
    request = requests()
    check, outcomes = check_of(loop, cluster, request)
    request.fail(ERROR_CONNECTION, "gone")
    check.succeed(b"PONG")
    check.give_up()
    assert outcomes == []
