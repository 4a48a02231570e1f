"""Several client processes that do the same thing at the same time, each on a connection of its own."""

from __future__ import annotations

import itertools
import multiprocessing
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.connection import Connection

    Opener = Callable[..., Callable[[int], object]]

LEAD_NS = 30_000_000
"""The time from the command to the start, in which every process begins to wait for it."""
CHUNK = 16
"""The number of calls between two readings of the clock."""
START_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class Crew:
    """The processes that wait for orders; valid inside `crew()`."""

    pipes: Sequence[Connection]

    def calls_per_second(self, milliseconds: float) -> float:
        """Return how many calls per second all of them finish, each calling one after another for this long."""
        start_ns = time.monotonic_ns() + LEAD_NS
        end_ns = start_ns + round(milliseconds * 1e6)
        return float(sum(self._order(("for", start_ns, end_ns))))

    def last_us(self) -> float:
        """Let each make one call, all at once. Return the microseconds until the last has its answer."""
        start_ns = time.monotonic_ns() + LEAD_NS
        return float(max(self._order(("once", start_ns, 0))) - start_ns) / 1000

    @contextmanager
    def at_work(self, milliseconds: float) -> Iterator[None]:
        """Run the block while all of them call one after another; at the end, wait until they are done."""
        start_ns = time.monotonic_ns() + LEAD_NS
        for pipe in self.pipes:
            pipe.send(("for", start_ns, start_ns + round(milliseconds * 1e6)))
        time.sleep(2 * LEAD_NS / 1e9)
        yield
        for pipe in self.pipes:
            pipe.recv()

    def _order(self, order: tuple[str, int, int]) -> list[Any]:
        for pipe in self.pipes:
            pipe.send(order)
        return [pipe.recv() for pipe in self.pipes]


@contextmanager
def crew(size: int, opener: Opener, *arguments: Any) -> Iterator[Crew]:
    """Yield `size` fresh interpreters; in each, `opener(number, *arguments)` gives the call that is timed.

    The call gets a number that counts up in that process. Raises `RuntimeError` when a process does not get so far.
    """
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    try:
        for number in range(size):
            here, there = context.Pipe()
            process = context.Process(target=_work, args=(there, opener, number, *arguments), daemon=True)
            process.start()
            there.close()
            pipes.append(here)
            processes.append(process)
        for pipe in pipes:
            try:
                started = pipe.poll(START_TIMEOUT_S) and pipe.recv()
            except EOFError:
                started = False
            if not started:
                message = "a process did not start: its own error stands above"
                raise RuntimeError(message)
        yield Crew(pipes)
    finally:
        for pipe in pipes:
            pipe.close()
        for process in processes:
            process.join(START_TIMEOUT_S)
            if process.is_alive():
                process.kill()


def _work(pipe: Connection, opener: Opener, number: int, *arguments: Any) -> None:
    call = opener(number, *arguments)
    numbers = itertools.count()
    pipe.send(True)
    while True:
        try:
            what, start_ns, end_ns = pipe.recv()
        except EOFError:
            return
        # Asleep, not spinning: there are more processes than processors.
        time.sleep(max(0, start_ns - time.monotonic_ns()) / 1e9)
        if what == "once":
            call(next(numbers))
            pipe.send(time.monotonic_ns())
            continue
        calls = 0
        began_ns = now_ns = time.monotonic_ns()
        while now_ns < end_ns:
            for call_number in itertools.islice(numbers, CHUNK):
                call(call_number)
            calls += CHUNK
            now_ns = time.monotonic_ns()
        pipe.send(calls * 1e9 / max(now_ns - began_ns, 1))
