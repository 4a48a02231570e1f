"""Long work in slices, and containers freed in slices."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from glidecached.process.sliced_work import SlicedWork

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest


def run_turns(loop: Any, count: int = 1) -> None:
    """Run what the loop runs at the end of each turn."""
    for _ in range(count):
        deferred, loop.deferred = loop.deferred, []
        for callback in deferred:
            callback()


def test_i10_all_work_goes_on_in_turns(loop: Any) -> None:
    turns = SlicedWork(loop)
    order: list[str] = []

    def work(name: str) -> Iterator[None]:
        for _ in range(3):
            order.append(name)
            yield None

    turns.start(work("a"))
    turns.start(work("b"))
    run_turns(loop, 10)
    assert order == ["a", "b", "a", "b", "a", "b"]
    assert not loop.deferred


def test_i10_a_turn_ends_in_time(loop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now_ns = 0

    def clock() -> int:
        nonlocal now_ns
        now_ns += 120_000
        return now_ns

    monkeypatch.setattr("glidecached.process.sliced_work.time.monotonic_ns", clock)
    turns = SlicedWork(loop)
    steps = 0

    def work() -> Iterator[None]:
        nonlocal steps
        while True:
            steps += 1
            yield None

    turns.start(work())
    run_turns(loop)
    assert steps == 3


def test_work_that_sleeps_goes_on_later(loop: Any) -> None:
    turns = SlicedWork(loop)
    done: list[int] = []

    def work() -> Iterator[float | None]:
        yield 20.0
        done.append(1)

    turns.start(work())
    run_turns(loop, 5)
    assert done == []
    loop.pass_time(20)
    run_turns(loop)
    assert done == [1]


def test_work_that_fails_is_logged_and_the_rest_goes_on(loop: Any, caplog: pytest.LogCaptureFixture) -> None:
    turns = SlicedWork(loop)
    done: list[int] = []

    def broken() -> Iterator[None]:
        yield None
        raise RuntimeError

    def work() -> Iterator[None]:
        yield None
        yield None
        done.append(1)

    turns.start(broken())
    turns.start(work())
    run_turns(loop, 5)
    assert done == [1]
    assert "failed" in caplog.text


class Counted:
    """An object that shows a test when it is freed."""


def test_i10_what_is_released_is_freed_once_nothing_else_refers_to_it(loop: Any) -> None:
    turns = SlicedWork(loop)
    counted = Counted()
    freed: list[int] = []
    weakref.finalize(counted, freed.append, 1)
    values: list[Any] = [[counted], [[b"x"] * 50_000] * 3, *range(50_000)]
    del counted
    turns.release(values)
    run_turns(loop, 3)
    assert len(values) == 50_002
    assert freed == []
    del values
    loop.pass_time(20)
    run_turns(loop, 100)
    assert freed == [1]
    assert not loop.deferred
