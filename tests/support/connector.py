"""Clients for a test, in this process and in others, and their end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.clients import AnyClient, close_all, open_client
from support.workers import Worker

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from glidecache import ClientSideCache

REQUEST_TIMEOUT_MS = 5_000
"""Generous: a slow machine must not fail a test that is not about time-outs."""


class Connector:
    """Makes clients of one kind; what it made is closed when the test ends.

    Calling it creates a client in this process; `worker` creates one in a process of its own. Both stand, unless
    told otherwise, in front of the common server through the common daemon.
    """

    def __init__(self, kind: str, defaults: Callable[[], dict[str, Any]], log_directory: Path) -> None:
        self.kind = kind
        self._defaults = defaults
        self._log_directory = log_directory
        self._clients: list[AnyClient] = []
        self._workers: list[Worker] = []

    def __call__(
        self, cache: ClientSideCache | None = None, *, kind: str | None = None, **configuration: Any
    ) -> AnyClient:
        client = open_client(kind or self.kind, **self._complete(cache, configuration))
        self._clients.append(client)
        return client

    def worker(self, cache: ClientSideCache | None = None, **configuration: Any) -> Worker:
        worker = self.bare_worker()
        worker.connect(self.kind, **self._complete(cache, configuration))
        return worker

    def bare_worker(self) -> Worker:
        """A worker process that has no client yet."""
        worker = Worker(self._log_directory / f"worker-{len(self._workers)}.log")
        self._workers.append(worker)
        return worker

    def discard(self) -> None:
        close_all(self._clients)
        for worker in self._workers:
            worker.discard()

    def _complete(self, cache: ClientSideCache | None, configuration: dict[str, Any]) -> dict[str, Any]:
        complete = {"request_timeout": REQUEST_TIMEOUT_MS, "client_side_cache": cache, **configuration}
        if "runtime_dir" not in complete:
            complete |= self._defaults() | configuration
        return complete
