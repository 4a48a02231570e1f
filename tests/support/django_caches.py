"""Django's shared cache for tests: its blocking or its awaited methods behind one face, here or in another process."""

from __future__ import annotations

import asyncio
import pickle
import subprocess
import sys
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Self

from glidecache.django import SharedCache
from glidecache.django.server_clients import UrlClient
from glidecache.django.shared_cache import _held
from support.process import child_environment
from support.valkey_server import HOST

if TYPE_CHECKING:
    from collections.abc import Iterable

    from support.daemon import Daemon

FACES = ("blocking", "asyncio")
_OTHER = """
import pickle, sys
from glidecache.django import SharedCache
cache = SharedCache(*pickle.load(sys.stdin.buffer))
while True:
    name, arguments, options = pickle.load(sys.stdin.buffer)
    pickle.dump(getattr(cache, name)(*arguments, **options), sys.stdout.buffer)
    sys.stdout.buffer.flush()
"""


def url_of(port: int, database: int = 0) -> str:
    """A `LOCATION`."""
    return f"valkey://{HOST}:{port}/{database}"


async def end_held_clients(caches: Iterable[SharedCache]) -> None:
    """Close the clients behind these caches. The product keeps them for as long as the process lives.

    A cache that is used again makes new clients.
    """
    for held in {cache._clients for cache in caches}:
        for identity in [identity for identity, each in _held.items() if each is held]:
            del _held[identity]
        for client in (held.blocking, *held._of_loops.values()):
            await _end(client)


async def _end(client: Any) -> None:
    if isinstance(client, UrlClient):
        await client.disconnect()
        pool_client = client._front._glidecache.closed_client()
    else:
        pool_client = client._client
    # Several clients may have had it in common.
    ended = None if pool_client is None else pool_client.close()
    if isawaitable(ended):
        await ended


class DjangoCaches:
    """Makes caches of one server and daemon, and calls their methods: `call(cache, "get", "k")`. A context manager."""

    def __init__(self, face: str, location: Any, daemon: Daemon, name: str, **options: Any) -> None:
        self.location = location
        self.options = {"cache": name, "runtime_dir": str(daemon.runtime_dir), **options}
        self._runner = asyncio.Runner() if face == "asyncio" else None
        self._others: list[OtherProcess] = []
        self._made: list[SharedCache] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for other in self._others:
            other.end()
        if self._runner is None:
            asyncio.run(end_held_clients(self._made))
        else:
            for cache in self._made:
                self._runner.run(cache.aclose())
            self._runner.run(end_held_clients(self._made))
            self._runner.close()
        self._made.clear()  # pytest keeps this object longer than the test's clients may live

    def made(self, *, options: dict[str, Any] | None = None, **params: Any) -> SharedCache:
        """A cache of this process; `params` are those of `CACHES`, `options` are added to its `OPTIONS`."""
        cache = SharedCache(self.location, {**params, "OPTIONS": {**self.options, **(options or {})}})
        self._made.append(cache)
        return cache

    def other(self, **params: Any) -> OtherProcess:
        """A cache of the same settings in another process; its methods are called there, blocking."""
        other = OtherProcess(self.location, {**params, "OPTIONS": self.options})
        self._others.append(other)
        return other

    def call(self, cache: SharedCache, name: str, *arguments: Any, **options: Any) -> Any:
        """Call a method, or its awaited form, whose name begins with `a`, and return the result."""
        if self._runner is None:
            return getattr(cache, name)(*arguments, **options)
        return self._runner.run(getattr(cache, f"a{name}")(*arguments, **options))


class OtherProcess:
    """A cache in another process."""

    def __init__(self, *arguments: Any) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _OTHER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=child_environment(),
        )
        self._send(arguments)

    def call(self, name: str, *arguments: Any, **options: Any) -> Any:
        """Call a method there, and return its result."""
        self._send((name, arguments, options))
        assert self._process.stdout is not None
        return pickle.load(self._process.stdout)

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def _send(self, message: Any) -> None:
        assert self._process.stdin is not None
        pickle.dump(message, self._process.stdin)
        self._process.stdin.flush()
