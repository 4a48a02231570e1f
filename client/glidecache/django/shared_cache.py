"""Django's cache API on the shared pool."""

from __future__ import annotations

import asyncio
import re
from itertools import takewhile

from django.core.cache.backends.base import (
    DEFAULT_TIMEOUT,
    MEMCACHE_MAX_KEY_LENGTH,
    BaseCache,
)
from django.core.exceptions import ImproperlyConfigured

from glidecache.django.cache_operations import CacheOperations
from glidecache.django.cache_options import CacheOptions
from glidecache.django.running_checks import is_for_a_check
from glidecache.django.server_clients import client_of
from glidecache.django.undelivered_forgets import UndeliveredForgets
from glidecache.errors import ConfigurationError
from glidecache.sync.connection import run_blocking

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from glidecache.django.server_clients import ServerClient

_MISSING = object()
_is_suspect = re.compile(r"[\x00-\x20\x7f]").search
"""The characters that Django warns of."""
_SAMPLES = (("k7q4zx9w", 918_273_645), ("w3vy8m2j", 736_451_928))
"""Keys and versions that differ from their first character on: their keys share only the beginning of all keys."""


class HeldClients:
    """The clients of one process for one `LOCATION` and `OPTIONS`: Django makes a backend for each thread and task."""

    def __init__(self, options: CacheOptions) -> None:
        self.options = options
        self.blocking = client_of(options)
        """The client for threads."""
        self._of_loops: dict[asyncio.AbstractEventLoop, ServerClient] = {}
        self._async_pool_clients: dict[Any, Any] = {}
        self._undelivered: dict[bytes | None, UndeliveredForgets] = {}

    def of_loop(self) -> ServerClient:
        """Return the client for the running event loop."""
        loop = asyncio.get_running_loop()
        client = self._of_loops.get(loop)
        if client is None:
            # A client's connections hold their loop, so no weak reference would ever end.
            for other in [other for other in self._of_loops if other.is_closed()]:
                self._of_loops.pop(other, None)
            client = client_of(self.options, self._async_pool_clients)
            self._of_loops[loop] = client
        return client

    def undelivered(self, all_keys: bytes | None) -> UndeliveredForgets:
        """Return the forgets to be delivered of caches whose keys begin with this."""
        return self._undelivered.setdefault(all_keys, UndeliveredForgets(self.options.ttl_ms))


_held: dict[str, HeldClients] = {}


def _held_clients(location: object, options: Mapping[str, Any]) -> HeldClients:
    identity = repr((location, options))
    found = _held.get(identity)
    if found is not None:
        return found
    made = HeldClients(CacheOptions(location, options))
    try:
        made.blocking.attach()
    except ConfigurationError as error:
        if is_for_a_check():
            return made  # not kept: elsewhere it is an error
        message = f"LOCATION, OPTIONS: {made.options.refusal(error)}"
        raise ImproperlyConfigured(message) from error
    # Two threads may each make them; both use the first that are kept. The others have no connection.
    return _held.setdefault(identity, made)


class SharedCache(BaseCache):  # type: ignore[misc]
    """A cache backend: reads come from the shared pool of this host, writes go to the server and are seen at once.

    Other hosts see a write once their entry's time to live has ended. `LOCATION` and `OPTIONS`: docs/integrations.md.
    Errors of the server are valkey-py's (with `upstream:NAME`: `GlideError`'s kin).
    """

    def __init__(self, location: Any, params: dict[str, Any]) -> None:
        """Raise `ImproperlyConfigured` for wrong settings, and for a refusal of the daemon."""
        super().__init__(params)
        self._clients = _held_clients(location, params.get("OPTIONS") or {})
        self._serializer = self._clients.options.serializer
        self._loads = self._serializer.loads
        # Of threads and of tasks: a hit needs no connection. An async client of its own has the same pool.
        self._hit = self._clients.blocking.hit
        self._prefixes = self._clients.options.prefixes
        self._all_keys = self._beginning_of_keys()
        self._undelivered = self._clients.undelivered(self._all_keys)

    def get(self, key: Any, default: Any = None, version: Any = None) -> Any:
        """Return the value, `default` if there is none."""
        made = self.make_and_validate_key(key, version=version)
        if self._undelivered.is_empty and (self._prefixes is None or self._is_cached(key)):
            value = self._hit(made)
            if value is None:
                value = self._clients.blocking.get(made.encode())
        else:
            value = run_blocking(self._blocking().get(made.encode(), cached=self._is_cached(key)))
        return default if value is None else self._loads(value)

    async def aget(self, key: Any, default: Any = None, version: Any = None) -> Any:
        """Do as `get`."""
        made = self.make_and_validate_key(key, version=version)
        if self._undelivered.is_empty and (self._prefixes is None or self._is_cached(key)):
            value = self._hit(made)
            if value is None:
                value = await self._clients.of_loop().get(made.encode())
        else:
            value = await self._of_loop().get(made.encode(), cached=self._is_cached(key))
        return default if value is None else self._loads(value)

    def validate_key(self, key: Any) -> None:
        """Warn of the same keys as Django."""
        # It looks at each character, which costs more than all the rest of a hit.
        if len(key) > MEMCACHE_MAX_KEY_LENGTH or _is_suspect(key):
            super().validate_key(key)

    def get_many(self, keys: Iterable[Any], version: Any = None) -> dict[Any, Any]:
        """Return the values that are there, by key."""
        made, cached = self._made(keys, version)
        return self._loaded(made, run_blocking(self._blocking().get_many(list(made), cached)))

    async def aget_many(self, keys: Iterable[Any], version: Any = None) -> dict[Any, Any]:
        """Do as `get_many`."""
        made, cached = self._made(keys, version)
        return self._loaded(made, await self._of_loop().get_many(list(made), cached))

    def has_key(self, key: Any, version: Any = None) -> bool:
        """Return whether there is a value."""
        return self.get(key, _MISSING, version=version) is not _MISSING

    async def ahas_key(self, key: Any, version: Any = None) -> bool:
        """Do as `has_key`."""
        return await self.aget(key, _MISSING, version=version) is not _MISSING

    def set(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None) -> None:
        """Set a value. `timeout`: seconds; None: without end; 0 or less: it is deleted."""
        self.set_many({key: value}, timeout, version)

    async def aset(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None) -> None:
        """Do as `set`."""
        await self.aset_many({key: value}, timeout, version)

    def set_many(
        self, data: Mapping[Any, Any], timeout: Any = DEFAULT_TIMEOUT, version: Any = None
    ) -> list[Any]:
        """Set values; return an empty list: refusals of the server are raised. It is not one transaction."""
        dumped = self._dumped(data, version)
        run_blocking(self._blocking().set_many(dumped, self._lifetime_ms(timeout)))
        return []

    async def aset_many(
        self, data: Mapping[Any, Any], timeout: Any = DEFAULT_TIMEOUT, version: Any = None
    ) -> list[Any]:
        """Do as `set_many`."""
        await self._of_loop().set_many(self._dumped(data, version), self._lifetime_ms(timeout))
        return []

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None) -> bool:
        """Set a value if there is none; return whether there was none."""
        ((made, dumped),) = self._dumped({key: value}, version).items()
        return run_blocking(self._blocking().add(made, dumped, self._lifetime_ms(timeout)))

    async def aadd(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None) -> bool:
        """Do as `add`."""
        ((made, dumped),) = self._dumped({key: value}, version).items()
        return await self._of_loop().add(made, dumped, self._lifetime_ms(timeout))

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None) -> bool:
        """Give a key a new time-out; return whether there is such a key."""
        made = self.make_and_validate_key(key, version=version).encode()
        return run_blocking(self._blocking().touch(made, self._lifetime_ms(timeout)))

    async def atouch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None) -> bool:
        """Do as `touch`."""
        made = self.make_and_validate_key(key, version=version).encode()
        return await self._of_loop().touch(made, self._lifetime_ms(timeout))

    def delete(self, key: Any, version: Any = None) -> bool:
        """Delete a key; return whether it was there."""
        made = self.make_and_validate_key(key, version=version).encode()
        return bool(run_blocking(self._blocking().delete_many([made])))

    async def adelete(self, key: Any, version: Any = None) -> bool:
        """Do as `delete`."""
        made = self.make_and_validate_key(key, version=version).encode()
        return bool(await self._of_loop().delete_many([made]))

    def delete_many(self, keys: Iterable[Any], version: Any = None) -> None:
        """Delete keys."""
        run_blocking(self._blocking().delete_many(list(self._made(keys, version)[0])))

    async def adelete_many(self, keys: Iterable[Any], version: Any = None) -> None:
        """Do as `delete_many`."""
        await self._of_loop().delete_many(list(self._made(keys, version)[0]))

    def incr(self, key: Any, delta: int = 1, version: Any = None) -> int:
        """Add to a number; return the sum. Raises `ValueError` for a missing key, `TypeError` for no whole number."""
        made = self.make_and_validate_key(key, version=version).encode()
        return _found(key, run_blocking(self._blocking().incr(made, delta)))

    async def aincr(self, key: Any, delta: int = 1, version: Any = None) -> int:
        """Do as `incr`."""
        made = self.make_and_validate_key(key, version=version).encode()
        return _found(key, await self._of_loop().incr(made, delta))

    async def adecr(self, key: Any, delta: int = 1, version: Any = None) -> int:
        """Subtract from a number, as `aincr` adds."""
        return await self.aincr(key, -delta, version=version)

    def clear(self) -> None:
        """Delete all keys of this `KEY_PREFIX`, of all versions; others' keys stay."""
        run_blocking(self._blocking().clear(self._need_beginning()))

    async def aclear(self) -> None:
        """Do as `clear`."""
        await self._of_loop().clear(self._need_beginning())

    async def aclose(self, **_: Any) -> None:
        """Close the running event loop's idle connections to the server, before the loop ends.

        Django does not call it. Without it Python reports them as a `ResourceWarning`, if it is asked to, when the next
        loop of the process has replaced them. `close`, which Django calls after each request, keeps connections.
        """
        await self._clients.of_loop().disconnect()

    def _blocking(self) -> CacheOperations:
        return CacheOperations(self._clients.blocking, self._undelivered, self._all_keys)

    def _of_loop(self) -> CacheOperations:
        return CacheOperations(self._clients.of_loop(), self._undelivered, self._all_keys)

    def _is_cached(self, key: Any) -> bool:
        return self._prefixes is None or str(key).startswith(self._prefixes)

    def _made(self, keys: Iterable[Any], version: Any) -> tuple[dict[bytes, Any], list[bool]]:
        """Return the application's keys by the server's, and for each whether it is cached."""
        made = {self.make_and_validate_key(key, version=version).encode(): key for key in keys}
        return made, [self._is_cached(key) for key in made.values()]

    def _loaded(self, made: dict[bytes, Any], found: dict[bytes, bytes]) -> dict[Any, Any]:
        return {key: self._serializer.loads(found[each]) for each, key in made.items() if each in found}

    def _dumped(self, data: Mapping[Any, Any], version: Any) -> dict[bytes, bytes]:
        dumped = {}
        for key, value in data.items():
            made = self.make_and_validate_key(key, version=version).encode()
            data_of_value = self._serializer.dumps(value)
            if isinstance(data_of_value, (int, str)):
                data_of_value = str(data_of_value).encode()
            dumped[made] = data_of_value
        return dumped

    def _lifetime_ms(self, timeout: Any) -> int | None:
        if timeout is DEFAULT_TIMEOUT:
            timeout = self.default_timeout
        return None if timeout is None else max(0, int(timeout * 1000))

    def _beginning_of_keys(self) -> bytes | None:
        """Return the beginning of all keys of all versions; None if the key function does not show it."""
        try:
            made = [str(self.key_func(key, self.key_prefix, version)) for key, version in _SAMPLES]
        except Exception:  # noqa: BLE001 - an application's function, asked for keys that it may not know
            return None
        # A function that hashes shows no key, and two hashes may begin alike by chance.
        if not all(key in text for (key, _), text in zip(_SAMPLES, made, strict=True)):
            return None
        same = (one == other for one, other in zip(*made, strict=False))
        return made[0][: sum(takewhile(bool, same))].encode() or None

    def _need_beginning(self) -> bytes:
        if self._all_keys is None:
            message = (
                "clear() deletes the keys that begin with KEY_PREFIX, and this KEY_FUNCTION does not begin them alike: "
                "put KEY_PREFIX first, or delete the keys one by one"
            )
            raise ImproperlyConfigured(message)
        return self._all_keys


def _found(key: Any, number: int | None) -> int:
    if number is None:
        message = f"Key {key!r} not found"
        raise ValueError(message)
    return number
