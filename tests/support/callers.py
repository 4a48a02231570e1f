"""Callers of commands that block, and every way in which they end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import valkey

from support.clients import AsyncioClient
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from support.clients import AnyClient
    from support.worker_tasks import State

PATIENCE_MS = 30_000
_POLL_S = 0.02
_END_S = 5.0


class InterruptedCallError(Exception):
    """The exception that a signal handler raises in the middle of a call."""


def configuration(runtime_dir: Path, port: int) -> dict[str, Any]:
    """Return the keywords of a configuration for a worker's client."""
    from glidecache import NodeAddress

    return {
        "runtime_dir": str(runtime_dir),
        "addresses": [NodeAddress("127.0.0.1", port)],
        "request_timeout": PATIENCE_MS,
        "fallback": "error",
    }


def wait_for_ever(state: State, commands: Sequence[list[str]], end: str) -> None:
    """Issue all commands at once. `exit` and `exec` happen as soon as the key `end` is there."""
    client = state.connected
    if end in {"exit", "exec"}:
        port = _port_of(client)
        threading.Thread(target=_end_when_told, args=(port, end), daemon=True).start()
    client.call_together([("custom_command", command) for command in commands])


def watch(state: State, key: str) -> Any:
    """Watch a key, and nothing else."""
    return state.connected.call("watch", [key])


def end_by_close(client: AnyClient, command: list[str], waits: Callable[[], bool]) -> None:
    """End the calls by another thread that closes the client."""
    with waiting(client, [command]) as outcomes:
        wait_until(waits, "the call waits at the server")
        client.close()
    assert isinstance(outcomes[0], Exception), outcomes


def end_by_cancel(client: AnyClient, command: list[str], waits: Callable[[], bool]) -> None:
    """End the calls by cancelling their task."""
    assert isinstance(client, AsyncioClient)

    async def cancel() -> None:
        call = asyncio.ensure_future(client.client.custom_command(command))
        while not waits():  # noqa: ASYNC110 - the loop asks the server
            await asyncio.sleep(_POLL_S)
        call.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await call

    client.run(cancel())


def end_by_interrupt(client: AnyClient, command: list[str], waits: Callable[[], bool]) -> None:
    """End the calls by a signal handler that raises."""

    def interrupt(*_: object) -> None:
        if not waits():
            signal.setitimer(signal.ITIMER_REAL, _POLL_S)
            return
        raise InterruptedCallError

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, _POLL_S)
        with contextlib.suppress(InterruptedCallError):
            client.call("custom_command", command)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def waiting(client: AnyClient, commands: Sequence[list[str]]) -> Iterator[list[Any]]:
    """Run these calls within the context; afterwards the list has their outcomes."""
    outcomes: list[Any] = []

    def call() -> None:
        outcomes.extend(client.call_together([("custom_command", command) for command in commands]))

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    yield outcomes
    thread.join(_END_S)
    assert not thread.is_alive(), "the calls go on"


def _end_when_told(port: int, end: str) -> None:
    server = valkey.Valkey(port=port)
    while not server.get("end"):
        time.sleep(_POLL_S)
    if end == "exec":
        os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(30)"])  # noqa: S606 - the end
    os._exit(0)


def _port_of(client: AnyClient) -> int:
    """Return the port of the client's server, as the server reports it."""
    reply: dict[bytes, bytes] = client.call("config_get", ["port"])
    return int(reply[b"port"])
