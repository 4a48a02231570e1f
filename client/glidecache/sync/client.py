"""The base of the blocking clients, and the blocking client of a standalone server."""

from __future__ import annotations

from glidecache._generated.sync_commands import SyncStandaloneCommands
from glidecache.core.client_base import ClientBase, need_settings
from glidecache.core.plain_signature import MISSING, plain_signature, refusal
from glidecache_shared.pool.reader import CachedReads, with_own_reads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import Any, Literal, Never, Self, TypeVar

    from opentelemetry.trace import Tracer

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


class BlockingClient(CachedReads, ClientBase):
    """The common base of both blocking clients.

    `get`, `hgetall` and `smembers` answer hits from compiled code, without a system call. Any number of threads may use
    one client. A client made before a fork works after it. Calls raise `GlideError` and its kin.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        settings = need_settings(self, settings, awaited=False)
        from glidecache.core.executor import CommandExecutor
        from glidecache.core.session import Session
        from glidecache.core.transport_errors import too_many
        from glidecache.opentelemetry import enlist
        from glidecache.sync.connection import ThreadConnections
        from glidecache.sync.fast_path import FastPath
        from glidecache_shared.uninterrupted import PendingRequests
        from glidecache_shared.wire.dealer import forks

        direct = self._make_fallback(settings)
        self._settings = settings
        pending = PendingRequests(settings.inflight_requests, forks, too_many)
        self._finish: Callable[..., Any] = pending.run
        connections = ThreadConnections(settings)
        self._session: Session = Session(settings, connections, direct, self._use_pool)
        self._executor: CommandExecutor = CommandExecutor(
            self._session, connections, has_cache=settings.cache is not None, is_cluster=settings.is_cluster
        )
        self._fast_path = fast_path = FastPath(
            pending,
            self._executor,
            self._session.state,
            connections,
            settings.request_timeout_ms,
            has_cache=settings.cache is not None,
        )
        self._read_miss: Callable[..., Any] = fast_path.read
        self._run_fast: Callable[..., Any] = fast_path.run
        self._get_many: Callable[[Iterable[Argument]], list[bytes | None]] = fast_path.get_many
        self._forget: Callable[[Iterable[Argument]], int] = fast_path.forget
        self._get_missing: Callable[[list[bytes], bool], list[bytes | None]] = fast_path.get_missing
        enlist(self)

    def close(self, err_message: str | None = None) -> None:
        """Close this client; other clients that share its cache are unaffected. Idempotent.

        Later calls raise `ClosingError`, with `err_message` in their text. So do calls that other threads have begun:
        the server does not run what it has not started.
        """
        from glidecache.sync.connection import run_blocking

        run_blocking(self._session.close(_CLOSED if err_message is None else f"{_CLOSED}: {err_message}"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def get_many(self, keys: Iterable[Argument]) -> list[bytes | None]:
        """Return the strings at `keys`, in order: hits from the cache, all others in one round trip (contract C17).

        None for a missing key and for a value that is not a string. The daemon splits more than 2,000 keys into several
        `MGET`s. It does not wait for one before it sends the next, so writes may come between them.
        """
        return self._get_many(keys)

    def forget(self, keys: Iterable[Argument]) -> int:
        """Remove these keys' entries from the cache, for all processes of the host; return how many there were (C25).

        The server is not asked. Once this returns, no process of the host hits an entry from before, and no reply to a
        request from before is stored. It is for an application that has changed a key and must see that at once; a
        write alone never does it. `keys`: any number of them; entries of every kind count.

        Raises `DaemonUnavailableError` while the daemon does not answer, whatever the fallback; `RequestError` without
        a cache. Calling it again does no harm.
        """
        return self._forget(keys)

    @plain_signature
    def watch(self, keys: Iterable[Argument], *others: Never) -> Literal["OK"]:
        """Run the next atomic batch only if these keys have not changed until then (`WATCH`).

        The keys are watched for the calling thread alone. Read from the server what a decision depends on: in a batch,
        or by commands that are not cached. The cache may answer `get`, `hgetall` and `smembers`. `exec` then returns
        None if a key has changed. It raises `ConnectionError`, having run nothing, if the keys are no longer watched (a
        minute without use, a lost connection). Raises `RequestError` when all of the daemon's connections for this are
        in use.
        """
        if others or keys is MISSING:
            raise refusal(self, "watch", others)
        return self._finish(self._executor.watch(keys))  # type: ignore[no-any-return]

    def unwatch(self) -> Literal["OK"]:
        """Stop watching keys (`UNWATCH`). An atomic batch does so too, whatever its outcome."""
        return self._finish(self._executor.unwatch())  # type: ignore[no-any-return]

    def invoke_script(
        self, script: Script, keys: Iterable[Argument] | None = None, args: Iterable[Argument] | None = None
    ) -> Any:
        """Run a Lua script. The whole script is sent only if the server does not know it yet."""
        return self._finish(self._executor.invoke_script(script, keys, args))

    def get_cache_hit_rate(self) -> float:
        """Return hits per lookup of the whole pool, 0.0 to 1.0. Raises `RequestError` (contract C14)."""
        return self._read_metrics().hit_rate

    def get_cache_miss_rate(self) -> float:
        """Return misses per lookup of the whole pool, 0.0 to 1.0. Raises `RequestError` (contract C14)."""
        return self._read_metrics().miss_rate

    def get_cache_entry_count(self) -> int:
        """Return the number of entries in the pool. Raises `RequestError` without a cache (contract C14)."""
        return self._read_metrics(counters=False).entry_count

    def get_cache_evictions(self) -> int:
        """Return the number of entries evicted from the pool. Raises `RequestError` (contract C14)."""
        return self._read_metrics().evictions

    def get_cache_expirations(self) -> int:
        """Return the number of entries of the pool that expired. Raises `RequestError` (contract C14)."""
        return self._read_metrics().expirations

    def get_cache_total_lookups(self) -> int:
        """Return the number of lookups that the pool answered. Raises `RequestError` (contract C14)."""
        return self._read_metrics().total_lookups

    def _forget_prefix(self, prefix: bytes) -> int:
        """Remove the entries of all keys that begin with a prefix, which is not empty, as `forget` does."""
        return self._finish(self._executor.forget_prefix(prefix))  # type: ignore[no-any-return]

    def _run(self, command: Command[Result], route: Route | None = None) -> Result:
        return self._run_fast(command, route)  # type: ignore[no-any-return]

    def _make_fallback(self, settings: Settings) -> DirectFallback | None:
        """Return what answers without a daemon; None for nothing."""
        if not settings.may_go_direct:
            return None
        from glidecache.core.fallback import BlockingFallback

        return BlockingFallback(settings)

    def _open(self) -> Self:
        try:
            self._finish(self._session.open())
        except BaseException:
            self.close()
            raise
        return self

    def _begin_tracing(self, tracer: Tracer, should_sample: Callable[[], bool]) -> None:
        from glidecache.core.tracing import CallTracer, TracedExecutor
        from glidecache.sync.traced_path import TracedPath

        if isinstance(self._executor, TracedExecutor):
            return
        calls = CallTracer(tracer, should_sample, self._settings)
        path = TracedPath(self._fast_path, self._session, calls)
        self._executor = TracedExecutor(self._executor, self._session, calls)
        self._read_miss, self._run_fast = path.read, path.run
        self._get_many, self._get_missing = path.get_many, path.get_missing
        self._forget = path.forget

    def _use_pool(self, reader: PoolReader | None) -> None:
        self._reader = reader


@with_own_reads
class GlideClient(BlockingClient, SyncStandaloneCommands):
    """A blocking client of one server and its replicas, for threads."""

    @classmethod
    def create(cls, config: GlideClientConfiguration) -> Self:
        """Attach to the daemon, which checks the servers once, unless `lazy_connect` is set.

        Raises `DaemonUnavailableError` without a daemon, `ClosingError` when the servers cannot be reached or refuse
        the credentials, `ConfigurationError`. With the fallback `"direct"` and no daemon the client connects directly.
        With `lazy_connect` it only warns of a missing daemon, and attaches with the first command that finds one.
        """
        from glidecache.config import GlideClientConfiguration
        from glidecache.core.settings import Settings, need_config

        need_config(config, GlideClientConfiguration, cls)
        return cls(Settings(config, "standalone"))._open()

    def custom_command(self, command_args: Iterable[Argument]) -> Any:
        """Run any command, its name first. `GET`, `HGETALL` and `SMEMBERS` of one key go through the cache.

        Commands that are bound to one connection (`SELECT`, `SUBSCRIBE`, `MULTI`, …) raise `RequestError`.
        """
        return self._finish(self._executor.custom(command_args))

    def exec(
        self, batch: Batch | ClusterBatch, raise_on_error: bool, options: BatchOptions | None = None
    ) -> list[Any] | None:
        """Run a batch and return its results, in order; None for a transaction when a watched key had changed.

        `raise_on_error`: raise the first error. Otherwise errors are among the results.
        """
        execute = self._executor.execute
        return self._finish(execute, batch, options, raise_on_error=raise_on_error)  # type: ignore[no-any-return]
