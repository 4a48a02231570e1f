"""The libraries' own clients and our fronts of them, blocking or asyncio, behind one face for tests."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from support.valkey_server import HOST

if TYPE_CHECKING:
    from collections.abc import Callable

CLASSES = {"valkey": ("Valkey", "ValkeyCluster"), "redis": ("Redis", "RedisCluster")}


class FrontKind(NamedTuple):
    """A library, and one of its two faces."""

    library: str
    is_async: bool

    def __str__(self) -> str:
        return f"{self.library}-{'asyncio' if self.is_async else 'blocking'}"

    def module(self, *, front: bool) -> Any:
        """The library's module, or its front's."""
        name = f"glidecache.{self.library}" if front else self.library
        return import_module(f"{name}.asyncio" if self.is_async else name)

    def client_class(self, *, front: bool, cluster: bool = False) -> Any:
        """The library's class, or its front's."""
        return getattr(self.module(front=front), CLASSES[self.library][cluster])


FRONT_KINDS = tuple(FrontKind(library, is_async) for library in CLASSES for is_async in (False, True))


class FrontCalls:
    """Runs what a client returns to its end; asyncio's clients in one loop of its own. A context manager."""

    def __init__(self, kind: FrontKind, port: int, runtime_dir: object, *, cluster: bool = False) -> None:
        self.kind = kind
        self.port = port
        self.runtime_dir = str(runtime_dir)
        self.cluster = cluster
        self._runner = asyncio.Runner() if kind.is_async else None
        self._made: list[Any] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for client in reversed(self._made):
            self.close(client)
        if self._runner is not None:
            self._runner.close()
        self._made.clear()  # pytest keeps this object longer than the test's clients may live

    def made(self, make: Callable[[], Any]) -> Any:
        """The client that `make` returns; it is closed at the end."""
        # Within the loop, if there is one: some parts of asyncio's clients look for it.
        client = make() if self._runner is None else self._runner.run(_called(make))
        self._made.append(client)
        return client

    def plain(self, **arguments: Any) -> Any:
        """A client of the library itself."""
        kind = self.kind.client_class(front=False, cluster=self.cluster)
        return self.made(lambda: kind(**{"host": HOST, "port": self.port, **arguments}))

    def front(self, shared_cache: Any, **arguments: Any) -> Any:
        """A front."""
        kind = self.kind.client_class(front=True, cluster=self.cluster)
        given = {"host": HOST, "port": self.port, "runtime_dir": self.runtime_dir, **arguments}
        return self.made(lambda: kind(shared_cache=shared_cache, **given))

    def close(self, client: Any) -> None:
        self.run(client.aclose if self.kind.is_async else client.close)

    def run(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Call it, and return its result, awaited if need be."""
        if self._runner is None:
            return function(*arguments, **options)
        return self._runner.run(_awaited(function, arguments, options))

    def call(self, client: Any, name: str, *arguments: Any, **options: Any) -> Any:
        """Call a method."""
        return self.run(getattr(client, name), *arguments, **options)

    def outcome(self, client: Any, name: str, *arguments: Any, **options: Any) -> tuple[Any, ...]:
        """A call's result and its type, or its error's class and text."""
        try:
            result = self.call(client, name, *arguments, **options)
        except Exception as error:  # noqa: BLE001 - it is the outcome
            return type(error), str(error)
        return type(result), result


async def _called(make: Callable[[], Any]) -> Any:
    return make()


async def _awaited(function: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
    result = function(*arguments, **options)
    return await result if asyncio.iscoroutine(result) or hasattr(result, "__await__") else result
