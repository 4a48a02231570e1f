"""The base of the asyncio clients, and the asyncio client of a standalone server."""

from __future__ import annotations

from glidecache._generated.async_commands import AsyncStandaloneCommands
from glidecache.core.client_base import ClientBase, need_settings
from glidecache.core.plain_signature import MISSING, plain_signature, refusal
from glidecache_shared.pool.awaited_reads import AwaitedReads, awaited_read
from glidecache_shared.protocol import HASH, SET, STRING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator, Iterable
    from types import TracebackType
    from typing import Any, Literal, Never, Self, TypeVar

    from opentelemetry.trace import Tracer

    from glidecache.aio.loop_fast_path import LoopFastPath
    from glidecache.aio.loop_traced_path import LoopTracedPath
    from glidecache.batch import Batch, BatchOptions, ClusterBatch
    from glidecache.commands.command import Command
    from glidecache.commands.encoding import Argument
    from glidecache.commands.options.server import Script
    from glidecache.config import GlideClientConfiguration
    from glidecache.core.executor import CommandExecutor
    from glidecache.core.fallback import DirectFallback
    from glidecache.core.session import Session
    from glidecache.core.settings import Settings
    from glidecache.routes import Route
    from glidecache_shared.pool.reader import PoolReader

    Result = TypeVar("Result")

_CLOSED = "the client is closed"


class AwaitableFloat(float):
    """A float that may also be awaited, which returns itself: the reference's examples await, GLIDE 2.6 does not."""

    __slots__ = ()

    def __await__(self) -> Generator[None, None, Self]:
        return self
        yield


class AwaitableInt(int):
    """An int that may also be awaited, which returns itself."""

    __slots__ = ()

    def __await__(self) -> Generator[None, None, Self]:
        return self
        yield


class AsyncClient(AwaitedReads, ClientBase):
    """The common base of both asyncio clients.

    A hit is answered from shared memory without suspending. Any number of tasks, on any number of event loops, may use
    one client. A client made before a fork works after it. Calls raise `GlideError` and its kin; cancelling is safe.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        settings = need_settings(self, settings, awaited=True)
        from glidecache.aio.connection import LoopConnections
        from glidecache.aio.loop_fast_path import LoopFastPath
        from glidecache.core.executor import CommandExecutor
        from glidecache.core.session import Session
        from glidecache.opentelemetry import enlist

        direct = self._make_fallback(settings)
        self._settings = settings
        connections = LoopConnections(settings)
        self._session: Session = Session(settings, connections, direct, self._use_pool)
        self._executor: CommandExecutor = CommandExecutor(
            self._session, connections, has_cache=settings.cache is not None, is_cluster=settings.is_cluster
        )
        self._fast_path: LoopFastPath | LoopTracedPath = LoopFastPath(
            self._executor,
            self._session.state,
            connections,
            settings.request_timeout_ms,
            has_cache=settings.cache is not None,
        )
        self._read_miss: Callable[..., Coroutine[Any, Any, Any]] = self._fast_path.read
        enlist(self)

    async def close(self, err_message: str | None = None) -> None:
        """Close this client; other clients that share its cache are unaffected. Idempotent.

        Later calls raise `ClosingError`, with `err_message` in their text.
        """
        await self._session.close(_CLOSED if err_message is None else f"{_CLOSED}: {err_message}")

    async def aclose(self, err_message: str | None = None) -> None:
        """Close the client: `close` under the name that `contextlib.aclosing` asks for."""
        await self.close(err_message)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    @awaited_read(STRING)
    async def get(self, key: Argument) -> bytes | None:
        """Return the value of `key`, from the cache if it has it (`GET`); None if there is no such key."""
        reader = self._reader
        value = None if reader is None else reader.get(key)
        return await self._read_miss(STRING, key) if value is None else value

    @awaited_read(HASH)
    async def hgetall(self, key: Argument) -> dict[bytes, bytes]:
        """Return all fields and values, from the cache if it has them (`HGETALL`)."""
        reader = self._reader
        value = None if reader is None else reader.hgetall(key)
        return await self._read_miss(HASH, key) if value is None else value

    @awaited_read(SET)
    async def smembers(self, key: Argument) -> set[bytes]:
        """Return all members, from the cache if it has them (`SMEMBERS`)."""
        reader = self._reader
        value = None if reader is None else reader.smembers(key)
        return await self._read_miss(SET, key) if value is None else value

    async def get_many(self, keys: Iterable[Argument]) -> list[bytes | None]:
        """Return the strings at `keys`, in order: hits from the cache, all others in one round trip (contract C17).

        None for a missing key and for a value that is not a string. The daemon splits more than 2,000 keys into several
        `MGET`s. It does not wait for one before it sends the next, so writes may come between them.
        """
        return await self._fast_path.get_many(keys)

    async def forget(self, keys: Iterable[Argument]) -> int:
        """Remove these keys' entries from the cache, for all processes of the host; return how many there were (C25).

        The server is not asked. Once this returns, no process of the host hits an entry from before, and no reply to a
        request from before is stored. It is for an application that has changed a key and must see that at once; a
        write alone never does it. `keys`: any number of them; entries of every kind count.

        Raises `DaemonUnavailableError` while the daemon does not answer, whatever the fallback; `RequestError` without
        a cache. Calling it again does no harm.
        """
        return await self._fast_path.forget(keys)

    @plain_signature
    async def watch(self, keys: Iterable[Argument], *others: Never) -> Literal["OK"]:
        """Run the next atomic batch only if these keys have not changed until then (`WATCH`).

        The keys are watched for the running event loop: its tasks share them, as they share the connection. Read from
        the server what a decision depends on: in a batch, or by commands that are not cached. The cache may answer
        `get`, `hgetall` and `smembers`. `exec` then returns None if a key has changed. It raises `ConnectionError`,
        having run nothing, if the keys are no longer watched (a minute without use, a lost connection). Raises
        `RequestError` when all of the daemon's connections for this are in use.
        """
        if others or keys is MISSING:
            raise refusal(self, "watch", others)
        return await self._executor.watch(keys)

    async def unwatch(self) -> Literal["OK"]:
        """Stop watching keys (`UNWATCH`). An atomic batch does so too, whatever its outcome."""
        return await self._executor.unwatch()

    async def invoke_script(
        self, script: Script, keys: Iterable[Argument] | None = None, args: Iterable[Argument] | None = None
    ) -> Any:
        """Run a Lua script. The whole script is sent only if the server does not know it yet."""
        return await self._executor.invoke_script(script, keys, args)

    def get_cache_hit_rate(self) -> AwaitableFloat:
        """Return hits per lookup of the whole pool, 0.0 to 1.0; awaiting is optional. Raises `RequestError` (C14)."""
        return AwaitableFloat(self._read_metrics().hit_rate)

    def get_cache_miss_rate(self) -> AwaitableFloat:
        """Return misses per lookup of the whole pool, 0.0 to 1.0; awaiting is optional. Raises `RequestError` (C14)."""
        return AwaitableFloat(self._read_metrics().miss_rate)

    def get_cache_entry_count(self) -> AwaitableInt:
        """Return the number of entries in the pool; awaiting is optional. Raises `RequestError` with no cache (C14)."""
        return AwaitableInt(self._read_metrics(counters=False).entry_count)

    def get_cache_evictions(self) -> AwaitableInt:
        """Return the number of entries evicted from the pool; awaiting is optional. Raises `RequestError` (C14)."""
        return AwaitableInt(self._read_metrics().evictions)

    def get_cache_expirations(self) -> AwaitableInt:
        """Return the number of entries of the pool that expired; awaiting is optional. Raises `RequestError` (C14)."""
        return AwaitableInt(self._read_metrics().expirations)

    def get_cache_total_lookups(self) -> AwaitableInt:
        """Return the number of lookups that the pool answered; awaiting is optional. Raises `RequestError` (C14)."""
        return AwaitableInt(self._read_metrics().total_lookups)

    async def _forget_prefix(self, prefix: bytes) -> int:
        """Remove the entries of all keys that begin with a prefix, which is not empty, as `forget` does."""
        return await self._executor.forget_prefix(prefix)

    async def _run(self, command: Command[Result], route: Route | None = None) -> Result:
        return await self._fast_path.run(command, route)  # type: ignore[no-any-return]

    def _make_fallback(self, settings: Settings) -> DirectFallback | None:
        """Return what answers without a daemon; None for nothing."""
        if not settings.may_go_direct:
            return None
        from glidecache.core.fallback import AsyncFallback

        return AsyncFallback(settings)

    async def _open(self) -> Self:
        try:
            await self._session.open()
        except BaseException:
            await self.close()
            raise
        return self

    def _begin_tracing(self, tracer: Tracer, should_sample: Callable[[], bool]) -> None:
        from glidecache.aio.loop_traced_path import LoopTracedPath
        from glidecache.core.tracing import CallTracer, TracedExecutor

        if isinstance(self._fast_path, LoopTracedPath):
            return
        calls = CallTracer(tracer, should_sample, self._settings)
        self._fast_path = LoopTracedPath(self._fast_path, self._session, calls)
        self._executor = TracedExecutor(self._executor, self._session, calls)
        self._read_miss = self._fast_path.read

    def _use_pool(self, reader: PoolReader | None) -> None:
        self._reader = reader


class GlideClient(AsyncClient, AsyncStandaloneCommands):
    """An asyncio client of one server and its replicas."""

    @classmethod
    async def create(cls, config: GlideClientConfiguration) -> Self:
        """Attach to the daemon, which checks the servers once, unless `lazy_connect` is set.

        Raises `DaemonUnavailableError` without a daemon, `ClosingError` when the servers cannot be reached or refuse
        the credentials, `ConfigurationError`. With the fallback `"direct"` and no daemon the client connects directly.
        With `lazy_connect` it only warns of a missing daemon, and attaches with the first command that finds one.
        """
        from glidecache.config import GlideClientConfiguration
        from glidecache.core.settings import Settings, need_config

        need_config(config, GlideClientConfiguration, cls)
        return await cls(Settings(config, "standalone"))._open()

    async def custom_command(self, command_args: Iterable[Argument]) -> Any:
        """Run any command, its name first. `GET`, `HGETALL` and `SMEMBERS` of one key go through the cache.

        Commands that are bound to one connection (`SELECT`, `SUBSCRIBE`, `MULTI`, …) raise `RequestError`.
        """
        return await self._executor.custom(command_args)

    async def exec(
        self, batch: Batch | ClusterBatch, raise_on_error: bool, options: BatchOptions | None = None
    ) -> list[Any] | None:
        """Run a batch and return its results, in order; None for a transaction when a watched key had changed.

        `raise_on_error`: raise the first error. Otherwise errors are among the results.
        """
        return await self._executor.execute(batch, options, raise_on_error=raise_on_error)
