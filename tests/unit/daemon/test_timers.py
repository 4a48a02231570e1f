"""Timers run in the order of their times, and those of one time in the order of asking."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from glidecached.process.loop import Loop


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), max_size=60))
def test_they_run_by_time_and_then_in_the_order_of_asking(wanted: list[tuple[int, bool]]) -> None:
    loop = Loop()
    ran: list[tuple[int, int]] = []
    for number, (when_ns, cancelled) in enumerate(wanted):
        timer = loop.call_at(when_ns, ran.append, (when_ns, number))
        if cancelled:
            timer.cancel()
    loop.defer(lambda: None)  # a turn does not wait then
    loop._turn()
    loop.close()
    expected = [(when_ns, number) for number, (when_ns, cancelled) in enumerate(wanted) if not cancelled]
    assert ran == sorted(expected)
