"""What looks for faults finds them: the judges of values, ages and writes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from chaos.hostile import Jobs
from chaos.journal import DONE, NOT_RUN, UNKNOWN, audit_counter, audit_list
from chaos.stage import Pauses
from chaos.values import LieError, make_keys, make_value, version_of
from chaos.versions import HISTORY, Floors, Versions

if TYPE_CHECKING:
    from pathlib import Path

    from support.valkey_server import ValkeyServer

KEYS = make_keys(6)
OUTCOMES = bytes([DONE, UNKNOWN, NOT_RUN, DONE])


@pytest.mark.parametrize("key", KEYS[:3], ids=lambda key: key.kind)
def test_a_value_proves_itself_and_nothing_else_does(key: Any) -> None:
    value: Any = make_value(key, 7)
    assert version_of(key, value) == 7
    torn: Any
    if key.kind == "string":
        torn = value[:-1] + b"!"
    elif key.kind == "hash":
        torn = {**value, next(iter(value)): b"!"}
    else:
        torn = set(list(value)[1:])
    foreign = make_value(KEYS[key.number + 3], 7)
    for lie in (torn, foreign, None, type(value)()):
        with pytest.raises(LieError):
            version_of(key, lie)


def test_versions_tell_when_a_value_was_replaced(tmp_path: Path) -> None:
    written = Versions(tmp_path / "versions", 2)
    read = Versions(tmp_path / "versions", 2)
    for version in range(1, HISTORY + 3):
        written.begin(1, version)
        assert read.newest(1) == version
        assert read.replaced_ns(1, version) == 0, "it is the newest"
        before_ns = time.monotonic_ns()
        assert read.replaced_ns(1, version - 1) < before_ns, "not acknowledged yet"
        written.finish(1, version)
        assert read.replaced_ns(1, version - 1) >= before_ns
    assert 0 < read.replaced_ns(1, 1) < before_ns, "so long ago that nobody knows when"
    assert read.newest(0) == 0


def test_c25_what_may_be_read_after_a_forget_is_what_the_server_had_when_it_was_asked_for(
    tmp_path: Path,
) -> None:
    versions = Versions(tmp_path / "versions", 2)
    floors, others = Floors(tmp_path / "floors", 2), Floors(tmp_path / "floors", 2)
    for version in range(1, HISTORY + 3):
        versions.begin(1, version)
        assert versions.oldest(1) == version - 1, "the server may not have the newest yet"
        versions.finish(1, version)
        assert versions.oldest(1) == version
    floors.raise_to(1, 5)
    others.raise_to(1, 4)
    assert (floors.of(0), floors.of(1)) == (0, 5)


@pytest.mark.parametrize(("value", "right"), [(1, False), (2, True), (3, True), (4, False)])
def test_a_counter_lies_between_the_acknowledged_and_the_possible(value: int, *, right: bool) -> None:
    assert (audit_counter("n", OUTCOMES, value) == []) is right


@pytest.mark.parametrize(
    ("numbers", "problem"),
    [
        ([0, 3], ""),
        ([0, 1, 3], ""),
        ([1, 0, 3], ""),
        ([0, 0, 3], "twice"),
        ([0, 1, 1, 3], "twice"),
        ([0, 1], "lost"),
        ([0, 2, 3], "told otherwise"),
        ([0, 3, 4], "never written"),
        ([3, 0], "order"),
    ],
)
def test_a_list_has_each_write_once_and_in_order(numbers: list[int], problem: str) -> None:
    wrong = audit_list("l", OUTCOMES, numbers)
    assert len(wrong) == bool(problem)
    assert all(problem in each for each in wrong)


def test_jobs_that_were_popped_for_nobody_are_found(valkey: ValkeyServer, tmp_path: Path) -> None:
    jobs = Jobs(tmp_path, valkey.port)
    jobs.wait(2)
    assert jobs.callers == 0, "there is no daemon"
    jobs.push(3)
    assert jobs.wrong() == []
    (key,) = valkey.admin.keys("*")
    job = valkey.admin.lpop(key)
    assert len(jobs.wrong()) == 1
    valkey.admin.lpush(key, job)
    assert jobs.wrong() == []
    valkey.admin.rpush(key, job)
    assert len(jobs.wrong()) == 1


def test_pauses_count_as_far_as_they_fall_into_a_span() -> None:
    pauses = Pauses()
    began_ns = time.monotonic_ns()
    pauses.begin()
    pauses.end()
    ended_ns = time.monotonic_ns()
    assert 0 < pauses.within_ns(began_ns, ended_ns) <= ended_ns - began_ns
    assert pauses.within_ns(ended_ns, ended_ns + 1_000) == 0
