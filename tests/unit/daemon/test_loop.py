"""The loop and its deadlines."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from glidecached.process.deadlines import Deadlines, Expiring
from glidecached.process.loop import READABLE, Intake, Loop

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def real_loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


def test_timers_run_in_order_and_not_when_cancelled(real_loop: Loop) -> None:
    ran: list[str] = []
    real_loop.call_later(20, real_loop.stop)
    real_loop.call_later(10, ran.append, "second")
    real_loop.call_later(1, ran.append, "first")
    real_loop.call_later(5, ran.append, "cancelled").cancel()
    real_loop.run()
    assert ran == ["first", "second"]


def test_other_threads_wake_it(real_loop: Loop) -> None:
    thread = threading.Thread(target=real_loop.call_from_thread, args=(real_loop.stop,))
    real_loop.call_later(0, thread.start)
    real_loop.run()
    thread.join()


def test_signals_become_callbacks_and_their_handlers_come_back(real_loop: Loop) -> None:
    got: list[int] = []

    def stop(number: int) -> None:
        got.append(number)
        real_loop.stop()

    before = signal.getsignal(signal.SIGUSR1)
    with real_loop.signals((signal.SIGUSR1,), stop):
        real_loop.call_later(0, os.kill, os.getpid(), signal.SIGUSR1)
        real_loop.run()
    assert got == [signal.SIGUSR1]
    assert signal.getsignal(signal.SIGUSR1) is before


def test_a_callback_that_fails_is_logged_and_the_loop_goes_on(
    real_loop: Loop, caplog: pytest.LogCaptureFixture
) -> None:
    real_loop.call_later(0, lambda: 1 // 0)
    real_loop.call_later(5, real_loop.stop)
    real_loop.run()
    assert "ZeroDivisionError" in caplog.text


def test_requests_are_taken_before_what_they_submit_is_written(real_loop: Loop) -> None:
    steps: list[str] = []

    class Requests(Intake):
        def has_pending(self) -> bool:
            return True

        def receive(self) -> None:
            steps.append("receive")
            real_loop.defer(lambda: steps.append("write"))
            real_loop.stop()

    reader, writer = os.pipe()
    real_loop.set_intake(reader, Requests())
    real_loop.run()
    real_loop.remove_intake(reader)
    os.close(reader)
    os.close(writer)
    assert steps == ["receive", "write"]


def test_a_descriptor_that_an_earlier_handler_closed_is_not_handled(real_loop: Loop) -> None:
    pairs = [os.pipe() for _ in range(2)]
    handled: list[int] = []

    def handler(mine: int) -> Any:
        def handle(_events: int) -> None:
            handled.append(mine)
            for reader, _ in pairs:
                real_loop.forget(reader)
            real_loop.stop()

        return handle

    for reader, writer in pairs:
        os.write(writer, b"x")
        real_loop.watch(reader, READABLE, handler(reader))
    real_loop.run()
    assert len(handled) == 1
    for pair in pairs:
        for descriptor in pair:
            os.close(descriptor)


class Waiting(Expiring):
    """Something with a deadline."""

    def __init__(self, deadline_ns: int) -> None:
        self.deadline_ns = deadline_ns
        self.expired_ns = 0
        self.loop: Any = None

    def expire(self) -> None:
        self.expired_ns = self.loop.now_ns


@pytest.mark.parametrize(
    ("timeout_ms", "late_ms"), [(1, 5), (250, 5), (9_999, 5), (60_000, 100), (3_600_000, 10_000)]
)
def test_deadlines_are_kept_never_early_and_hardly_late(loop: Any, timeout_ms: int, late_ms: int) -> None:
    deadlines = Deadlines(loop)
    waiting = Waiting(loop.now_ns + timeout_ms * 1_000_000)
    waiting.loop = loop
    deadlines.add(waiting, loop.now_ns)
    loop.pass_time(timeout_ms + late_ms)
    assert waiting.deadline_ns <= waiting.expired_ns <= waiting.deadline_ns + late_ms * 1_000_000


def test_what_was_answered_does_not_expire(loop: Any) -> None:
    deadlines = Deadlines(loop)
    waiting = Waiting(loop.now_ns + 1_000_000)
    deadlines.add(waiting, loop.now_ns).discard(waiting)
    loop.pass_time(100)
    assert waiting.expired_ns == 0


def test_invented_deadlines_cost_a_bounded_number_of_slots(loop: Any) -> None:
    deadlines = Deadlines(loop)
    for number in range(50_000):
        waiting = Waiting(loop.now_ns + number * 7_919_000_000 + 2**40)
        deadlines.add(waiting, loop.now_ns).discard(waiting)
    assert len(deadlines) < 20_000


def test_a_deadline_beyond_the_horizon_ends_there(loop: Any) -> None:
    deadlines = Deadlines(loop)
    waiting = Waiting(2**63 - 1)
    waiting.loop = loop
    deadlines.add(waiting, loop.now_ns)
    loop.pass_time(86_400_000 + 20_000)
    assert waiting.expired_ns


def test_time_passes_for_real_too(real_loop: Loop) -> None:
    waiting = Waiting(time.monotonic_ns() + 10_000_000)
    waiting.expire = real_loop.stop  # type: ignore[method-assign]
    Deadlines(real_loop).add(waiting, time.monotonic_ns())
    real_loop.run()
    assert time.monotonic_ns() >= waiting.deadline_ns


def test_i10_work_for_idle_turns_waits_while_something_happens_but_not_for_ever(real_loop: Loop) -> None:
    reader, writer = os.pipe2(os.O_NONBLOCK)
    done: list[str] = []

    def happen(_events: int) -> None:
        os.read(reader, 1)
        done.append("event")
        if len(done) < 400:
            os.write(writer, b"x")

    def work() -> None:
        done.append("work")
        if done.count("work") < 3:
            real_loop.when_idle(work)

    try:
        real_loop.watch(reader, READABLE, happen)
        os.write(writer, b"x")
        real_loop.when_idle(work)
        limit = time.monotonic() + 10
        while done.count("work") < 3 or done.count("event") < 300:
            assert time.monotonic() < limit
            real_loop._turn()
        first = done.index("work")
        # The work had waited for long when the loop began; then events go first, for at most 5 ms.
        again = done.index("work", first + 1)
        assert again - first > 3
    finally:
        real_loop.forget(reader)
        os.close(reader)
        os.close(writer)
