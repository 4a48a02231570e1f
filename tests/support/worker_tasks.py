"""What worker processes can be told to do, and the loop in which they do it."""

from __future__ import annotations

import os
import pickle
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

from support.clients import AnyClient, Call, Metrics, open_client

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(slots=True)
class State:
    """What a worker keeps between two tasks."""

    client: AnyClient | None = None
    kept: list[int] = field(default_factory=list)
    """Descriptors."""

    @property
    def connected(self) -> AnyClient:
        assert self.client is not None, "the worker has no client"
        return self.client


def connect(state: State, kind: str, configuration: dict[str, Any]) -> None:
    """Create the worker's client."""
    state.client = open_client(kind, **configuration)


def call(state: State, method: str, arguments: Sequence[object]) -> Any:
    """Call a method of the client."""
    return state.connected.call(method, *arguments)


def metrics(state: State) -> Metrics:
    """All six metrics."""
    return state.connected.metrics()


def read_repeatedly(state: State, key: str, times: int) -> int:
    """Read one key so many times; how often the value was there."""
    return sum(state.connected.get(key) is not None for _ in range(times))


def stamped(key: str, version: int) -> str:
    """A value that tells its key, and in each of its parts its version: a torn one shows."""
    return f"{key}:" + f"{version:06d}" * (version % 40 + 1)


def is_genuine(key: str, value: bytes) -> bool:
    """Whether `value` is a whole `stamped` value of this very key."""
    own, _, parts = value.decode().partition(":")
    return own == key and parts == parts[:6] * (int(parts[:6]) % 40 + 1)


def read_until(state: State, keys: Sequence[str], end_ns: int) -> tuple[int, list[tuple[str, bytes]]]:
    """Read keys that have `stamped` values, round and round, until the monotonic clock shows `end_ns`.

    How many reads there were, and the values that were not genuine.
    """
    client = state.connected
    reads = 0
    lies = []
    while time.monotonic_ns() < end_ns:
        for key in keys:
            value = client.get(key)
            reads += 1
            if value is not None and not is_genuine(key, value):
                lies.append((key, value))
    return reads, lies


def call_together(state: State, calls: Sequence[Call]) -> list[Any]:
    """Issue all calls at once; results and exceptions in the order given."""
    return state.connected.call_together(calls)


def call_in_fork(state: State, method: str, arguments: Sequence[object]) -> Any:
    """Fork, call the inherited client's method in the child, and return what the child got."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(read_end)
            state.connected.renew_after_fork()
            with os.fdopen(write_end, "wb") as pipe:
                _answer(pipe, lambda: state.connected.call(method, *arguments))
            status = 0
        finally:
            os._exit(status)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        succeeded, outcome = pickle.load(pipe)
    os.waitpid(child, 0)
    if not succeeded:
        raise outcome
    return outcome


def fork_and_stay(state: State) -> int:
    """Fork a child that holds what it inherited and sleeps until it is killed; its process id."""
    del state
    child = os.fork()
    if child == 0:
        while True:
            time.sleep(60)
    return child


def loaded_modules(state: State) -> list[str]:
    """Names of all modules that the worker has imported."""
    del state
    return sorted(sys.modules)


def _answer(pipe: BinaryIO, function: Callable[[], Any]) -> None:
    try:
        outcome = (True, function())
    except BaseException as error:  # noqa: BLE001 - whatever it was, the test wants to see it
        outcome = (False, error)
    pickle.dump(outcome, pipe)
    pipe.flush()


def serve() -> None:
    """Do what comes in on standard input, until it ends: a worker's main function."""
    requests = os.fdopen(os.dup(0), "rb")
    responses = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints goes to the log, not between the answers
    state = State()
    while True:
        try:
            function, arguments = pickle.load(requests)
        except EOFError:
            return
        _answer(responses, lambda: function(state, *arguments))  # noqa: B023 - called before the next round
