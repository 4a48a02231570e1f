"""Shares of a bounded resource: by process, by user, in total; holders of nothing leave nothing behind."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glidecached.access import Peer
from glidecached.shares import Shares, megabytes

EXEMPT = frozenset((0,))
TOTAL = 64
MOMENT_NS = 5_000_000_000


@dataclass
class Clock:
    """A clock that the test turns."""

    now_ns: int = 1_000_000_000_000

    def __call__(self) -> int:
        return self.now_ns


def peer(pid: int, uid: int = 0) -> Peer:
    return Peer(uid, uid, pid)


def shares(total: int = TOTAL, clock: Clock | None = None) -> Shares:
    return Shares(total, "connections", "max_connections", exempt_uids=EXEMPT, clock=clock or Clock())


def fill(pot: Shares, holder: Peer) -> int:
    """Return the number of units that the holder gets, one after another."""
    count = 0
    while pot.enter(holder) is None:
        count += 1
    return count


def test_i8_a_process_alone_leaves_a_quarter_to_the_next() -> None:
    pot = shares()
    assert fill(pot, peer(1)) == TOTAL * 3 // 4
    assert pot.enter(peer(2)) is None


def test_i9_a_process_alone_leaves_a_quarter_of_its_users_part_to_the_users_next() -> None:
    pot = shares()
    assert fill(pot, peer(1, 1000)) == TOTAL * 9 // 16
    assert pot.enter(peer(2, 1000)) is None


@pytest.mark.parametrize("what", ["alone", "one other user", "many other users"])
@pytest.mark.parametrize("uid", [0, 1000])
@pytest.mark.parametrize("total", [3, 4, 7, 16, 64, 176, 4_096])
def test_i9_one_process_leaves_something_for_others_of_its_user_and_for_other_users(
    total: int, uid: int, what: str
) -> None:
    """The process takes all it can before the others come, or beside them."""
    others = [peer(50 + n, 2000 + n) for n in range({"alone": 0, "one other user": 1}.get(what, 6))]
    for takes_first in (True, False):
        pot = shares(total)
        for each in [] if takes_first else others[: total // 4]:
            assert pot.enter(each) is None
        assert fill(pot, peer(1, uid)) > 0
        assert pot.enter(peer(2, uid)) is None, takes_first
        if total >= 16:
            assert pot.enter(peer(3, 3000)) is None, takes_first
        for each in others if takes_first and total >= 64 else []:
            assert pot.enter(each) is None
        if total >= 64:
            assert pot.enter(peer(4, uid)) is None, takes_first


def test_i9_many_processes_of_a_user_that_hold_little_leave_the_rest_to_other_users() -> None:
    for others in (0, 1, 5):
        pot = shares(1_024)
        for uid in range(2000, 2000 + others):
            assert pot.enter(peer(uid, uid)) is None
        fill(pot, peer(1, 1000))
        for pid in range(2, 1_500):
            pot.enter(peer(pid, 1000))
        assert sum(pot.held_by(peer(pid, 1000)) for pid in range(1, 1_500)) <= 768
        assert not any(pot.enter(peer(uid, uid)) for uid in range(2000, 2006))


def test_i8_a_process_holds_a_quarter_while_others_hold_some() -> None:
    pot = shares()
    assert pot.enter(peer(2)) is None
    assert fill(pot, peer(1)) == TOTAL // 4
    pot.leave(peer(2))
    assert pot.enter(peer(1)) is None


def test_i8_a_refusal_counts_as_waiting_for_a_moment() -> None:
    clock = Clock()
    pot = shares(clock=clock)
    fill(pot, peer(1))
    assert pot.enter(peer(2), TOTAL) is not None
    pot.leave(peer(1), TOTAL // 2)
    assert pot.enter(peer(1)) is not None
    clock.now_ns += MOMENT_NS
    assert pot.enter(peer(1)) is None


@pytest.mark.parametrize("hogs", [1, 2, 3])
def test_i9_a_newcomer_gets_in_however_many_processes_are_greedy(hogs: int) -> None:
    pot = shares()
    for pid in range(1, hogs + 1):
        fill(pot, peer(pid))
    assert pot.enter(peer(99)) is None


@pytest.mark.parametrize("uid", [1000, 0])
def test_i9_a_user_alone_leaves_a_quarter_to_the_others_unless_exempt(uid: int) -> None:
    pot = shares()
    held = sum(fill(pot, peer(pid, uid)) for pid in range(1, 9))
    assert (held > TOTAL * 3 // 4) == (uid == 0)
    assert uid == 0 or pot.enter(peer(50, 1001)) is None


def test_i9_users_beside_each_other_get_equal_parts() -> None:
    pot = shares()
    assert pot.enter(peer(1, 1001)) is None
    assert sum(fill(pot, peer(pid, 1000)) for pid in range(2, 9)) == TOTAL // 2


@pytest.mark.parametrize("uid", [0, 1000])
def test_i8_the_total_holds_for_all(uid: int) -> None:
    pot = shares()
    for pid in range(1, 200):
        fill(pot, peer(pid, uid))
        fill(pot, peer(pid, uid + 7))
    assert pot.held <= TOTAL
    assert pot.enter(peer(5, uid), TOTAL + 1) is not None


@pytest.mark.parametrize("total", range(1, 9))
def test_i9_small_totals_can_be_used(total: int) -> None:
    pot = shares(total)
    assert pot.enter(peer(1, 1000)) is None
    if total > 1:
        assert pot.enter(peer(2, 1001)) is None


def test_i9_the_text_names_what_is_full_and_for_whom() -> None:
    pot = shares()
    fill(pot, peer(7, 1000))
    text = pot.enter(peer(7, 1000))
    assert text is not None
    assert text.startswith("connections are full for process 7 of uid 1000: 36 in use")
    assert text.endswith("(max_connections)")
    many = shares()
    for pid in range(1, 9):
        fill(many, peer(pid, 1000))
    assert "connections are full for uid 1000: 48 in use" in (many.enter(peer(77, 1000)) or "")


def test_i9_processes_in_other_namespaces_count_as_one() -> None:
    pot = shares()
    pot.enter(peer(5))
    assert fill(pot, peer(0, 1000)) == TOTAL // 4
    assert "the processes of uid 1000 in other namespaces" in (pot.enter(peer(0, 1000)) or "")


def test_i9_a_total_that_was_lowered_takes_nothing_back() -> None:
    pot = shares()
    fill(pot, peer(1))
    pot.total = 8
    assert pot.enter(peer(1)) is not None
    assert pot.held == TOTAL * 3 // 4
    pot.leave(peer(1), pot.held)
    assert fill(pot, peer(1)) == 6


def test_megabytes_are_whole_from_one_on() -> None:
    assert [megabytes(size) for size in (500, 1_048_576, 3_200_000)] == ["500 bytes", "1 MB", "3 MB"]


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(1, 6), st.sampled_from((0, 1000, 1001)), st.integers(1, 20)),
        max_size=80,
    )
)
def test_i8_no_history_breaks_the_rules_or_leaves_anything_behind(
    steps: list[tuple[bool, int, int, int]],
) -> None:
    pot = shares()
    held: dict[Peer, int] = {}
    for enters, pid, uid, units in steps:
        holder = peer(pid, uid)
        if enters and pot.enter(holder, units) is None:
            held[holder] = held.get(holder, 0) + units
            assert held[holder] <= TOTAL * 3 // 4
            assert sum(count for each, count in held.items() if each.uid == uid) <= TOTAL * 3 // 4 or uid == 0
        elif not enters and holder in held:
            given_back = min(units, held[holder])
            pot.leave(holder, given_back)
            held[holder] -= given_back
        assert pot.held == sum(held.values()) <= TOTAL
        assert all(pot.held_by(each) == count for each, count in held.items())
    for holder, count in held.items():
        pot.leave(holder, count)
    assert (pot.held, pot.holders) == (0, 0)
