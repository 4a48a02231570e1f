"""One face for both clients, so that each rule is written down once and runs for the two of them."""

from __future__ import annotations

import abc
import asyncio
import contextlib
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Sequence

    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer

KINDS = ("asyncio", "blocking")

Metrics = namedtuple("Metrics", "hit_rate miss_rate entry_count evictions expirations total_lookups")  # noqa: PYI024
"""The six metrics of contract C13 under their own names."""

Call = tuple[Any, ...]
"""A method's name and its positional arguments."""


class AnyClient(abc.ABC):
    """A client of the library, driven by method names."""

    kind: str
    client: Any

    def batch(self, *, atomic: bool) -> Any:
        """An empty batch of the client's mode."""
        import glidecache

        name = "ClusterBatch" if "Cluster" in type(self.client).__name__ else "Batch"
        return getattr(glidecache, name)(is_atomic=atomic)

    @abc.abstractmethod
    def call(self, method: str, *arguments: object, **options: object) -> Any:
        """Call one method and return its result, or raise its error."""

    @abc.abstractmethod
    def call_together(self, calls: Sequence[Call]) -> list[Any]:
        """Issue all calls at once; results and exceptions, in the order given."""

    @abc.abstractmethod
    def close(self) -> None:
        """Close the client; what follows raises `ClosingError`."""

    @abc.abstractmethod
    def renew_after_fork(self) -> None:
        """Give the forked child what only this adapter needs: the library itself must need nothing."""

    @abc.abstractmethod
    def metrics(self) -> Metrics:
        """All six metrics."""

    def get(self, key: object) -> Any:
        return self.call("get", key)


class BlockingClient(AnyClient):
    """`glidecache.sync`, called as it is; concurrent calls come from threads."""

    kind = "blocking"

    def __init__(self, client: Any) -> None:
        self.client = client

    def call(self, method: str, *arguments: object, **options: object) -> Any:
        return getattr(self.client, method)(*arguments, **options)

    def call_together(self, calls: Sequence[Call]) -> list[Any]:
        with ThreadPoolExecutor(len(calls)) as threads:
            futures = [threads.submit(self.call, *call) for call in calls]
        return [future.exception() or future.result() for future in futures]

    def close(self) -> None:
        self.client.close()

    def renew_after_fork(self) -> None:
        pass  # a blocking client has nothing around it

    def metrics(self) -> Metrics:
        return Metrics(*(self.call(f"get_cache_{name}") for name in Metrics._fields))


class AsyncioClient(AnyClient):
    """`glidecache`'s asyncio client on an event loop of its own."""

    kind = "asyncio"

    def __init__(self, runner: asyncio.Runner, client: Any) -> None:
        self._runner = runner
        self.client = client

    def call(self, method: str, *arguments: object, **options: object) -> Any:
        return self.run(self._call(method, *arguments, **options))

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine of the test's own on the client's loop."""
        return self._runner.run(coroutine)

    def call_together(self, calls: Sequence[Call]) -> list[Any]:
        async def gather() -> list[Any]:
            return await asyncio.gather(*(self._call(*call) for call in calls), return_exceptions=True)

        results: list[Any] = self.run(gather())
        return results

    def close(self) -> None:
        self.run(self.client.close())

    def metrics(self) -> Metrics:
        return Metrics(*(self.call(f"get_cache_{name}") for name in Metrics._fields))

    def renew_after_fork(self) -> None:
        self._runner = asyncio.Runner()

    def end_loop(self) -> None:
        """Close the event loop, at the end of a test."""
        self._runner.close()

    async def _call(self, method: str, *arguments: object, **options: object) -> Any:
        return await getattr(self.client, method)(*arguments, **options)


def at(daemon: Daemon, *servers: ValkeyServer, **configuration: Any) -> dict[str, Any]:
    """A configuration's keywords for a client of this daemon, in front of these servers if any are given."""
    if servers:
        from glidecache import NodeAddress

        configuration["addresses"] = [NodeAddress("127.0.0.1", server.port) for server in servers]
    return {"runtime_dir": str(daemon.runtime_dir), **configuration}


def open_client(kind: str, *, cluster: bool = False, **configuration: Any) -> AnyClient:
    """Create a client of this kind; the keyword arguments are the configuration's."""
    import glidecache

    modules: dict[str, Any] = {"asyncio": glidecache}
    if kind == "blocking":
        import glidecache.sync

        modules["blocking"] = glidecache.sync
    mode = "Cluster" if cluster else ""
    config = getattr(glidecache, f"Glide{mode}ClientConfiguration")(**configuration)
    client_class = getattr(modules[kind], f"Glide{mode}Client")
    if kind == "blocking":
        return BlockingClient(client_class.create(config))
    runner = asyncio.Runner()
    try:
        return AsyncioClient(runner, runner.run(client_class.create(config)))
    except BaseException:
        runner.close()
        raise


def close_all(clients: Iterable[AnyClient]) -> None:
    """Close clients at the end of a test, those included that the test has closed already."""
    for client in clients:
        with contextlib.suppress(Exception):
            client.close()
        if isinstance(client, AsyncioClient):
            client.end_loop()
