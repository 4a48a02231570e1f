"""Typing of the awaited reads; how they work is in `awaited_reads.pyx`."""

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from glidecache_shared.pool.reader import Key, PoolReader

ReadFunction = TypeVar("ReadFunction", bound=Callable[..., Coroutine[Any, Any, Any]])

class AwaitedReads:
    """The base of the asyncio clients: an awaited hit is answered by compiled code, at once.

    `_reader` is None while no pool is attached. Everything but a hit goes to `_read_miss(kind, key)`, which the
    subclass sets; it returns a coroutine.
    """

    _reader: PoolReader | None
    _read_miss: Callable[[int, Key], Coroutine[Any, Any, Any]]

def awaited_read(kind: int) -> Callable[[ReadFunction], ReadFunction]:
    """Return a decorator for a coroutine function `read(self, key)` of a subclass of `AwaitedReads`.

    The function looks `key` up in the pool as an entry of `kind`, and awaits `_read_miss` if it is not there. Its calls
    then return an object that does the same for less, and that can be told from the function's coroutine by its type
    alone. Where Python tracks the origin of coroutines (asyncio's debug mode), calls return the function's coroutine.
    """
