"""Timing calls that take turns, so that a slow moment of the machine meets all of them."""

from __future__ import annotations

import gc
import statistics
import time
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from comparison.scale import Scale


Candidate = TypeVar("Candidate")

P10, P50, P90 = 0.1, 0.5, 0.9


@dataclass(frozen=True, slots=True)
class Sample:
    """One candidate's microseconds per call, a figure per round."""

    rounds_us: tuple[float, ...]

    @property
    def median_us(self) -> float:
        """Return the median, which the report shows."""
        return statistics.median(self.rounds_us)

    @property
    def quartiles_us(self) -> tuple[float, float]:
        """Return the spread of the rounds: the middle half of them lies between these."""
        first, _, third = statistics.quantiles(self.rounds_us, n=4, method="inclusive")
        return first, third


@dataclass(frozen=True, slots=True)
class Singles:
    """One candidate's calls, each timed by itself, in nanoseconds."""

    times_ns: Sequence[int]

    def quantile_us(self, share: float) -> float:
        """Return the time that this share of the calls kept, in microseconds.

        The tenth (`P10`) is what a call costs where nothing disturbs it; the median has the machine's mood in it.
        """
        ordered = sorted(self.times_ns)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)] / 1000


def rotated(candidates: Sequence[Candidate], by: int) -> list[Candidate]:
    """Return the candidates from another one on: over the rounds each has each place in the order."""
    by %= len(candidates)
    return [*candidates[by:], *candidates[:by]]


@contextmanager
def undisturbed() -> Iterator[None]:
    """Run the block without cyclic garbage collection, as `timeit` does."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def interleave(calls: Mapping[str, Callable[[], object]], scale: Scale) -> dict[str, Sample]:
    """Time each call in turns of `scale.round_ms`, `scale.rounds` times."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    with undisturbed():
        numbers = {name: calls_per_round(call, scale.round_ms) for name, call in calls.items()}
        for round_number in range(scale.rounds):
            for name in rotated(list(calls), round_number):
                times[name].append(per_call_us(calls[name], numbers[name]))
    return {name: Sample(tuple(values)) for name, values in times.items()}


async def interleave_awaited(
    calls: Mapping[str, Callable[[], Awaitable[object]]], scale: Scale
) -> dict[str, Sample]:
    """Time each call that is awaited in the same way, on the running event loop."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    with undisturbed():
        numbers = {}
        for name, call in calls.items():
            await per_await_us(call, 3)
            numbers[name] = calls_in(scale.round_ms, await per_await_us(call, 20))
        for round_number in range(scale.rounds):
            for name in rotated(list(calls), round_number):
                times[name].append(await per_await_us(calls[name], numbers[name]))
    return {name: Sample(tuple(values)) for name, values in times.items()}


def one_by_one(calls: Mapping[str, Callable[[], object]], number: int, rounds: int) -> dict[str, Singles]:
    """Time `number` single calls of each candidate in a round; the candidates take turns."""
    times: dict[str, list[int]] = {name: [] for name in calls}
    clock = time.perf_counter_ns
    with undisturbed():
        for round_number in range(rounds):
            for name in rotated(list(calls), round_number):
                call = calls[name]
                for _ in repeat(None, number):
                    start_ns = clock()
                    call()
                    times[name].append(clock() - start_ns)
    return {name: Singles(values) for name, values in times.items()}


def per_call_us(call: Callable[[], object], number: int) -> float:
    """Return the microseconds per call, over `number` calls."""
    start = time.perf_counter_ns()
    for _ in repeat(None, number):
        call()
    return (time.perf_counter_ns() - start) / number / 1000


async def per_await_us(call: Callable[[], Awaitable[object]], number: int) -> float:
    """Return the microseconds per awaited call, over `number` calls."""
    start = time.perf_counter_ns()
    for _ in repeat(None, number):
        await call()
    return (time.perf_counter_ns() - start) / number / 1000


def calls_per_round(call: Callable[[], object], round_ms: float) -> int:
    """Return how many calls take about `round_ms`, by a short trial that warms the call up too."""
    per_call_us(call, 3)
    return calls_in(round_ms, per_call_us(call, 20))


def calls_in(round_ms: float, call_us: float) -> int:
    """Return how many calls of `call_us` fill a round; at least one."""
    return max(1, round(round_ms * 1000 / call_us))
