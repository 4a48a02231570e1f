"""Work that is planned for the end of a turn is done once, in the order of planning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glidecached.process.loop import Loop
from glidecached.process.turn_end import Deferred

if TYPE_CHECKING:
    import pytest


class Task(Deferred):
    """A task that notes its name, and plans others."""

    def __init__(self, loop: Loop, done: list[str], name: str, *others: Task) -> None:
        self._loop = loop
        self._done = done
        self._name = name
        self._others = others

    def end_turn(self) -> None:
        self._done.append(self._name)
        for other in self._others:
            self._loop.turn_end.add(other)


def test_a_task_is_done_once_a_turn_however_often_it_is_planned() -> None:
    loop, done = Loop(), list[str]()
    first, second = Task(loop, done, "first"), Task(loop, done, "second")
    for task in (first, second, first, second):
        loop.turn_end.add(task)
    loop._turn()
    assert done == ["first", "second"]
    assert not loop.turn_end
    loop.turn_end.add(first)
    loop._turn()
    loop.close()
    assert done == ["first", "second", "first"]


def test_what_a_task_plans_is_done_in_the_next_turn() -> None:
    loop, done = Loop(), list[str]()
    later = Task(loop, done, "later")
    again = Task(loop, done, "again", later)
    again._others = (again, later)
    loop.turn_end.add(again)
    loop._turn()
    assert done == ["again"]
    loop._turn()
    loop.close()
    assert done == ["again", "again", "later"]


def test_a_task_that_fails_does_not_keep_the_others(caplog: pytest.LogCaptureFixture) -> None:
    loop, done = Loop(), list[str]()
    loop.defer(lambda: 1 // 0)
    loop.turn_end.add(Task(loop, done, "next"))
    loop._turn()
    loop.close()
    assert done == ["next"]
    assert "ZeroDivisionError" in caplog.text
