"""A queue of calls does what a deque does."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glidecached.upstream.call_queue import CallQueue
from support.upstream_calls import Recorded

CALLS = [Recorded(b"%d" % number) for number in range(40)]
OPERATIONS = ("append", "append", "appendleft", "popleft", "extend", "extendleft", "remove", "clear")


def apply(queue: Any, name: str, number: int) -> None:
    """Do one thing to a queue or a deque."""
    if name in ("append", "appendleft"):
        getattr(queue, name)(CALLS[number])
    elif name in ("extend", "extendleft"):
        getattr(queue, name)(CALLS[:number])
    elif name == "clear":
        queue.clear()
    elif queue and name == "remove":
        queue.remove(queue[number % len(queue)])
    elif queue:
        queue.popleft()


@given(st.lists(st.tuples(st.sampled_from(OPERATIONS), st.integers(0, len(CALLS) - 1)), max_size=80))
def test_it_does_what_a_deque_does(operations: list[tuple[str, int]]) -> None:
    queue, model = CallQueue(), deque[Any]()
    for name, number in operations:
        apply(queue, name, number)
        apply(model, name, number)
        assert list(queue) == list(model)
        assert (len(queue), bool(queue), queue.count) == (len(model), bool(model), len(model))
        assert [queue[place] for place in range(-len(model), len(model))] == [*model, *model]


def test_an_empty_one_gives_nothing() -> None:
    queue = CallQueue()
    with pytest.raises(IndexError):
        queue.popleft()
    with pytest.raises(IndexError):
        queue[0]
    with pytest.raises(ValueError, match="not in list"):
        queue.remove(CALLS[0])
