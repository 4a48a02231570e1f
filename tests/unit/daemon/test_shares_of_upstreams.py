"""Upstreams that clients bring have shares by process and by user; those of the configuration have none (I9)."""

from __future__ import annotations

from typing import Any

import pytest

from glidecached.access import Peer
from glidecached.upstream import registry
from glidecached.upstream.registry import TooManyUpstreamsError, Upstreams
from glidecached.upstream.target import Address, Target, UpstreamOptions

MOST = 16
OPTIONS = UpstreamOptions()
USER = 70_001


class Used:
    """An upstream that a session uses until the test says otherwise."""

    def __init__(self, _loop: Any, target: Target, _options: UpstreamOptions) -> None:
        self.target = target
        self.sessions = 1
        self.busy = self.closed = False

    def close(self, _reason: str) -> None:
        self.closed = True


def peer(pid: int, uid: int = USER) -> Peer:
    return Peer(uid, uid, pid)


def target(port: int) -> Target:
    return Target(mode="standalone", addresses=(Address("h", port),))


@pytest.fixture
def upstreams(loop: Any, monkeypatch: pytest.MonkeyPatch) -> Upstreams:
    """Return the registry with ten upstreams of the configuration, which take no client's room."""
    monkeypatch.setattr(registry, "StandaloneUpstream", Used)
    made = Upstreams(loop, MOST)
    for number in range(10):
        made.configure(f"c{number}", target(60_000 + number), OPTIONS)
    return made


def take_all(upstreams: Upstreams, who: Peer, first: int) -> tuple[list[Any], str]:
    made: list[Any] = []
    while True:
        try:
            made.append(upstreams.get(target(first + len(made)), OPTIONS, who))
        except TooManyUpstreamsError as full:
            return made, str(full)


def test_i9_one_process_leaves_upstreams_to_others_of_its_user_and_to_other_users(
    upstreams: Upstreams,
) -> None:
    made, full = take_all(upstreams, peer(1), 1_000)
    assert len(made) == MOST * 9 // 16
    assert full.startswith(f"upstreams that clients bring are full for process 1 of uid {USER}: 9 in use")
    assert "max_upstreams" in full
    assert upstreams.get(target(1), OPTIONS, peer(2))
    assert upstreams.get(target(2), OPTIONS, peer(3, USER + 1))


def test_i9_an_upstream_that_is_there_already_costs_its_users_nothing(upstreams: Upstreams) -> None:
    take_all(upstreams, peer(1), 1_000)
    for number in range(10):
        assert upstreams.get(target(60_000 + number), OPTIONS, peer(1))
    assert upstreams.get(target(1_000), OPTIONS, peer(1))


def test_i9_upstreams_that_end_make_room_and_leave_nothing_behind(upstreams: Upstreams) -> None:
    made, _ = take_all(upstreams, peer(1), 1_000)
    for each in made:
        each.sessions = 0
    again, _ = take_all(upstreams, peer(1), 2_000)
    assert len(again) == len(made)
    assert all(each.closed for each in made)
    for each in again:
        each.sessions = 0
    upstreams._sweep()
    assert upstreams._shares.held == 0
    assert not upstreams._makers


def test_i9_what_the_operator_configures_counts_for_no_client_any_more(upstreams: Upstreams) -> None:
    upstreams.get(target(1_000), OPTIONS, peer(1))
    upstreams.configure("late", target(1_000), OPTIONS)
    assert upstreams._shares.held == 0
