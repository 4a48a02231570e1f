"""The clients behind a cache: one face for a server by its URL or by the daemon's name for it, blocking or asyncio.

The blocking ones' coroutines never suspend, so all above is written once.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from inspect import isawaitable
from typing import Protocol

from django.core.exceptions import ImproperlyConfigured

from glidecache.batch import Batch
from glidecache.errors import ConfigurationError, DaemonUnavailableError, RequestError
from glidecache.fronts.first_attachment import attach_at_once
from glidecache.fronts.library_clients import CLIENTS_OF_POOL, OPTIONS_OF_POOL
from glidecache.fronts.pool_clients import OwnWayError
from glidecache.fronts.unknown_arguments import unknown_to_connections
from glidecache_shared.protocol import STRING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from glidecache.core.settings import Settings
    from glidecache.django.cache_options import CacheOptions
    from glidecache.fronts.shared_reads import SharedReads


class ServerClient(Protocol):
    """The calls of the operations of a cache. `get` gives the value or an awaitable of it, those below it an awaitable.

    `attach`: at once, if a daemon answers promptly; raises `ConfigurationError`. `hit`: the value in the pool, or None.
    `cached`: from the pool as far as it has the keys. `uncached`: what the server has. `run`: commands in one write;
    raises the first error. `forget`, `forget_prefix`: remove entries from the pool; raise `GlideError`.
    `prove`: ask the server for a key by way of the daemon; raises `GlideError` if that is not possible.
    `disconnect`: close what is idle; the next call connects again.
    """

    def attach(self) -> None: ...  # noqa: D102
    def hit(self, key: str) -> bytes | None: ...  # noqa: D102
    def get(self, key: bytes) -> Any: ...  # noqa: D102
    async def cached(self, keys: Sequence[bytes]) -> Sequence[bytes | None]: ...  # noqa: D102
    async def uncached(self, keys: Sequence[bytes]) -> Sequence[bytes | None]: ...  # noqa: D102
    async def run(self, commands: Sequence[Sequence[Any]]) -> Sequence[Any]: ...  # noqa: D102
    async def forget(self, keys: Sequence[bytes]) -> None: ...  # noqa: D102
    async def forget_prefix(self, prefix: bytes) -> None: ...  # noqa: D102
    async def prove(self, key: bytes) -> None: ...  # noqa: D102
    async def disconnect(self) -> None: ...  # noqa: D102


class UrlClient:
    """A server by its URL: the front of valkey-py. Writes are the library's own; no daemon can fail them."""

    def __init__(self, options: CacheOptions, pool_clients: dict[Any, Any] | None) -> None:
        front: Any = import_module(
            "glidecache.valkey" if pool_clients is None else "glidecache.valkey.asyncio"
        )
        self._front: Any = _front_of(front, options, pool_clients)
        reads: SharedReads = self._front._glidecache
        self.attach: Callable[[], None] = reads.attach
        self.hit: Callable[[str], bytes | None] = partial(reads.hit, STRING)
        self.get: Callable[[bytes], Any] = partial(self._front.execute_command, "GET")
        self._plain: Any = front.library.Valkey(connection_pool=self._front.connection_pool)

    async def cached(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        """Return the values, from the pool as far as it has them."""
        return await _end_of(self._front.execute_command("MGET", *keys))  # type: ignore[no-any-return]

    async def uncached(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        """Return the values that the server has."""
        return await _end_of(self._plain.execute_command("MGET", *keys))  # type: ignore[no-any-return]

    async def run(self, commands: Sequence[Sequence[Any]]) -> Sequence[Any]:
        """Run commands at the server, in one write, and return their replies. Raises the first error."""
        if len(commands) == 1:
            return [await _end_of(self._front.execute_command(*commands[0]))]
        pipeline = self._front.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        return await _end_of(pipeline.execute())  # type: ignore[no-any-return]

    async def forget(self, keys: Sequence[bytes]) -> None:
        """Remove the keys' entries from the pool. Raises `GlideError`."""
        await _end_of(self._front.forget(*keys))

    async def forget_prefix(self, prefix: bytes) -> None:
        """Remove the entries of all keys that begin with the prefix. Raises `GlideError`."""
        await _end_of(self._front._glidecache._client()._forget_prefix(prefix))

    async def prove(self, key: bytes) -> None:
        """Ask the server for a key by way of the daemon. Raises `GlideError` if that is not possible."""
        await _proof(self._front._glidecache._client(), key)

    async def disconnect(self) -> None:
        """Close the idle connections to the server; the next call connects again."""
        await _end_of(self._front.connection_pool.disconnect(inuse_connections=False))


class UpstreamClient:
    """A server that only the daemon knows, by its name there: all goes by way of the daemon."""

    def __init__(self, options: CacheOptions, pool_clients: dict[Any, Any] | None) -> None:
        module: Any = import_module(
            "glidecache.sync.client" if pool_clients is None else "glidecache.aio.client"
        )
        if pool_clients is None:
            pool_clients = {}
        self._client: Any = pool_clients.get("")
        if self._client is None:
            self._client = pool_clients.setdefault("", module.GlideClient(_settings_of(options)))

    def attach(self) -> None:
        """Attach now, if a daemon answers promptly. Raises `ConfigurationError`."""
        attach_at_once(self._client)

    def hit(self, key: str) -> bytes | None:
        """Return the value in the pool; None if it is not there."""
        reader = self._client._reader
        return None if reader is None else reader.lookup(key, STRING)

    def get(self, key: bytes) -> Any:
        """Return the value, or an awaitable of it, from the pool if it is there."""
        return self._client.get(key)

    async def cached(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        """Return the values, from the pool as far as it has them."""
        return await _end_of(self._client.get_many(keys))  # type: ignore[no-any-return]

    async def uncached(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        """Return the values that the server has."""
        return (await self.run([(b"MGET", *keys)]))[0]  # type: ignore[no-any-return]

    async def run(self, commands: Sequence[Sequence[Any]]) -> Sequence[Any]:
        """Run commands at the server, in one write, and return their replies. Raises the first error."""
        # A batch, which never reads the cache (contract C17).
        batch = Batch(is_atomic=False)
        for command in commands:
            batch.custom_command(command)
        return await _end_of(self._client.exec(batch, raise_on_error=True))  # type: ignore[no-any-return]

    async def forget(self, keys: Sequence[bytes]) -> None:
        """Remove the keys' entries from the pool. Raises `GlideError`."""
        await _end_of(self._client.forget(keys))

    async def forget_prefix(self, prefix: bytes) -> None:
        """Remove the entries of all keys that begin with the prefix. Raises `GlideError`."""
        await _end_of(self._client._forget_prefix(prefix))

    async def prove(self, key: bytes) -> None:
        """Ask the server for a key by way of the daemon. Raises `GlideError` if that is not possible."""
        await _proof(self._client, key)

    async def disconnect(self) -> None:
        """Do nothing: connections to the server are the daemon's."""


def client_of(options: CacheOptions, pool_clients: dict[Any, Any] | None = None) -> ServerClient:
    """Return a client for threads; with `pool_clients`, one for the tasks of an event loop.

    pool_clients: where all loops' clients keep what is attached to the shared pool: once for all of them. Raises
    `ImproperlyConfigured`.
    """
    return (UrlClient if options.url else UpstreamClient)(options, pool_clients)


async def _proof(client: Any, key: bytes) -> None:
    try:
        await _end_of(client.get(key))
    except OwnWayError:
        message = "glidecached did not answer in time"
        raise DaemonUnavailableError(message) from None
    except (ConfigurationError, OSError):
        raise
    except RequestError:
        pass  # the server's own answer, such as NOPERM


async def _end_of(result: Any) -> Any:
    """Return the result of a call, which is awaited if need be."""
    return await result if isawaitable(result) else result


def _front_of(front: Any, options: CacheOptions, pool_clients: dict[Any, Any] | None) -> Any:
    try:
        pool = front.ConnectionPool.from_url(options.url)
        unknown = unknown_to_connections(pool.connection_class, pool.connection_kwargs)
        if unknown:
            message = (
                f"LOCATION has {', '.join(unknown)} in its query, which valkey-py does not know; leave it out"
            )
            raise ImproperlyConfigured(message)
        pool.__dict__[OPTIONS_OF_POOL] = options.of_front
        if pool_clients is not None:
            pool.__dict__[CLIENTS_OF_POOL] = pool_clients
        client = front.Valkey(connection_pool=pool)
    except (ConfigurationError, ValueError, TypeError) as error:
        message = f"LOCATION, OPTIONS: {error}"
        raise ImproperlyConfigured(message) from error
    if pool.connection_kwargs.get("decode_responses"):
        message = "LOCATION has decode_responses in its query; values are bytes: leave it out"
        raise ImproperlyConfigured(message)
    return client


def _settings_of(options: CacheOptions) -> Settings:
    from glidecache.config import GlideClientConfiguration
    from glidecache.core.settings import Settings

    config = GlideClientConfiguration(
        upstream=options.upstream,
        client_side_cache=options.cache,
        runtime_dir=options.runtime_dir,
        fallback="error",
        lazy_connect=True,
    )
    settings = Settings(config, "standalone")
    if options.settings_are_defaults:
        settings.spec["cache"]["settings_are_defaults"] = True
    return settings
