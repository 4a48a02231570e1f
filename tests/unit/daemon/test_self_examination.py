"""The daemon's findings about itself: the worst first, made seldom, and nothing where nothing can be seen."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from glidecached.config.model import Config
from glidecached.doctor import self_examination
from glidecached.doctor.result import Finding, Status, fail, ok, skipped, warn
from glidecached.doctor.self_examination import Diagnosis, SelfExamination, diagnosis_of
from glidecached.doctor.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def pool_dir(tmp_path: Path) -> Path:
    made = tmp_path / "pools"
    made.mkdir(mode=0o710)
    return made


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The present second, to be set."""
    now = [1_000.0]
    monkeypatch.setattr(self_examination.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what depends on the machine."""
    monkeypatch.setattr(self_examination, "OWN_CHECKS", ())
    monkeypatch.setattr(self_examination, "turns_of", lambda _pid: Turns(0, 0, 0))


def upstream(**given: Any) -> dict[str, Any]:
    return {
        "name": "default",
        "identity": "h:1, database 0, user default",
        "addresses": ["h:1"],
        "connected_to": None,
        "last_error": None,
        "processes": 1,
        "asked_by": [],
        **given,
    }


def numbers(pool_dir: Path, *upstreams: dict[str, Any]) -> dict[str, Any]:
    return {"daemon": {"pool_dir": str(pool_dir)}, "caches": [], "upstreams": list(upstreams)}


BAD, WORSE, FINE, UNSEEN = warn("a", "s", "x"), fail("b", "s", "x"), ok("c", "s"), skipped("d", "s")


@pytest.mark.parametrize(
    ("findings", "diagnosis"),
    [
        ([], Diagnosis(None, 0)),
        ([FINE, UNSEEN], Diagnosis(None, 0)),
        ([FINE, BAD], Diagnosis(BAD, 0)),
        ([BAD, WORSE, fail("e", "s", "x"), UNSEEN], Diagnosis(WORSE, 2)),
    ],
)
def test_what_fails_is_worse_than_what_warns(findings: list[Finding], diagnosis: Diagnosis) -> None:
    assert diagnosis_of(iter(findings)) == diagnosis


@pytest.mark.usefixtures("quiet")
def test_upstreams_are_judged_by_what_is_known_of_them(pool_dir: Path, clock: list[float]) -> None:
    """One that was not used yet is not tried, as doctor tries it: that would take seconds."""
    examination = SelfExamination(Config, str(pool_dir))
    assert examination.diagnose(numbers(pool_dir, upstream())) == Diagnosis(None, 0)
    clock[0] += 10
    worst = examination.diagnose(numbers(pool_dir, upstream(), upstream(last_error="refused"))).worst
    assert worst is not None
    assert (worst.check, worst.seen) == (
        "upstream",
        "default: not connected: refused (used by 1 connected process)",
    )
    clock[0] += 10
    replica = upstream(connected_to="h:1", is_replica=True, fills_cache=False)
    worst = examination.diagnose(numbers(pool_dir, replica)).worst
    assert worst is not None
    assert worst.status is Status.WARN


CACHE = {"name": "site", "id": None, "configured": False, "held": True}


@pytest.mark.parametrize(
    ("given", "caches", "status", "users"),
    [
        ({"processes": 0}, [], Status.WARN, "; no cache and no program uses it now"),
        ({"processes": 0, "name": None}, [], None, ""),
        ({"processes": 2, "name": None}, [], Status.FAIL, " (used by 2 connected processes)"),
        ({"asked_by": ["a", "b"]}, [], Status.FAIL, " (used by cache a, cache b, 1 connected process)"),
        ({"processes": 0}, [{**CACHE}], Status.FAIL, " (used by cache site)"),
        ({"processes": 0}, [{**CACHE, "held": False}], Status.WARN, "; no cache and no program uses it now"),
        (
            {"processes": 0},
            [{**CACHE, "held": False, "configured": True}],
            Status.FAIL,
            " (used by cache site)",
        ),
        (
            {"processes": 0},
            [{**CACHE, "identity": "other"}],
            Status.WARN,
            "; no cache and no program uses it now",
        ),
    ],
)
@pytest.mark.usefixtures("quiet", "clock")
def test_a_server_that_nothing_uses_is_no_failure(
    pool_dir: Path, given: dict[str, Any], caches: list[dict[str, Any]], status: Status | None, users: str
) -> None:
    wrong = upstream(last_error="refused", **given)
    found = numbers(pool_dir, wrong)
    found["caches"] = [{"identity": wrong["identity"], **cache} for cache in caches]
    worst = SelfExamination(Config, str(pool_dir)).diagnose(found).worst
    if status is None:
        assert worst is None
        return
    assert worst is not None
    label = wrong["name"] or wrong["identity"]
    assert (worst.status, worst.seen) == (status, f"{label}: not connected: refused{users}")


@pytest.mark.usefixtures("quiet")
def test_many_who_ask_get_one_diagnosis_for_five_seconds(pool_dir: Path, clock: list[float]) -> None:
    examination = SelfExamination(Config, str(pool_dir))
    bad = numbers(pool_dir, upstream(last_error="refused"))
    first = examination.diagnose(bad)
    clock[0] += 4.9
    assert examination.diagnose(numbers(pool_dir)) is first
    clock[0] += 0.2
    assert examination.diagnose(numbers(pool_dir)) == Diagnosis(None, 0)


def test_the_pool_directory_and_its_file_system_are_looked_at(
    pool_dir: Path, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(self_examination, "turns_of", lambda _pid: Turns(0, 0, 0))
    pool_dir.chmod(0o777)
    examination = SelfExamination(Config, str(pool_dir.parent))
    worst = examination.diagnose(numbers(pool_dir)).worst
    assert worst is not None
    assert (worst.check, worst.advice) == ("pool directory", f"chmod 0710 {pool_dir}")
    pool_dir.chmod(0o710)
    clock[0] += 10
    worst = examination.diagnose(numbers(pool_dir)).worst
    assert worst is None or worst.check != "pool directory"


def test_what_cannot_be_seen_is_no_finding(
    pool_dir: Path, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unseen(_: object) -> Iterator[Finding]:
        raise PermissionError
        yield FINE

    def no_turns(_pid: int) -> Turns:
        raise FileNotFoundError

    monkeypatch.setattr(self_examination, "OWN_CHECKS", (unseen, lambda _: iter((BAD,))))
    monkeypatch.setattr(self_examination, "turns_of", no_turns)
    examination = SelfExamination(Config, str(pool_dir))
    assert examination.diagnose(numbers(pool_dir)) == Diagnosis(BAD, 0)
    clock[0] += 10
    assert examination.diagnose(numbers(pool_dir)) == Diagnosis(BAD, 0)


def test_starvation_counts_since_the_last_look_if_that_is_recent(
    pool_dir: Path, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = [Turns(0, 0, 0)]
    monkeypatch.setattr(self_examination, "OWN_CHECKS", ())
    monkeypatch.setattr(self_examination, "turns_of", lambda _pid: turns[0])
    examination = SelfExamination(Config, str(pool_dir))
    starved = Turns(1_000_000, 90_000_000, 30)

    def ask(after_s: float) -> Finding | None:
        clock[0] += after_s
        turns[0] = Turns(*(now + more for now, more in zip(turns[0], starved, strict=True)))
        return examination.diagnose(numbers(pool_dir)).worst

    assert ask(0) is None
    found = ask(10)
    assert found is not None
    assert (found.check, found.status) == ("processor time", Status.WARN)
    assert f"renice -n -10 -p {os.getpid()}" in found.advice
    assert ask(61) is None
