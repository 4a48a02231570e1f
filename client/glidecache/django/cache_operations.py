"""The operations of a cache at the server and in the pool, once for blocking and for awaited calls."""

from __future__ import annotations

import time

from glidecache.errors import DaemonUnavailableError, GlideError, TimeoutError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from glidecache.django.server_clients import ServerClient
    from glidecache.django.undelivered_forgets import UndeliveredForgets

_SLICE = 1_000
"""Keys of one write, and of one `SCAN`."""

_ADD_TO_EXISTING = b"""
if redis.call('EXISTS', KEYS[1]) == 0 then return false end
return redis.call('INCRBY', KEYS[1], ARGV[1])
"""
"""`INCRBY` makes a missing key, without a time to live. Asking first, in another command, would race with its end."""

_PROBE = b"\0glidecache:probe"
"""A key that no application uses."""
_GLOB_CHARACTERS = b"\\*?[]^-"


class CacheOperations:
    """The operations of one cache, by one client. Keys are made and encoded; values are serialized.

    `all_keys`: what every key of the cache begins with; None if that is unknown.
    A write ends with a forget of its keys. One that cannot be delivered does not fail the write: the keys are kept.
    """

    def __init__(self, client: ServerClient, undelivered: UndeliveredForgets, all_keys: bytes | None) -> None:
        self._client = client
        self._undelivered = undelivered
        self._all_keys = all_keys

    async def get_many(self, keys: Sequence[bytes], cached: Sequence[bool]) -> dict[bytes, bytes]:
        """Return the values that are there. `cached`: for each key, whether it may come from the pool."""
        undelivered = self._undelivered
        await self._deliver()
        of_pool = [key for key, may in zip(keys, cached, strict=True) if may and not undelivered.has(key)]
        chosen = set(of_pool)
        of_server = [key for key in keys if key not in chosen]
        found: dict[bytes, bytes | None] = {}
        if of_pool:
            found |= zip(of_pool, await self._client.cached(of_pool), strict=True)
        if of_server:
            found |= zip(of_server, await self._client.uncached(of_server), strict=True)
        return {key: value for key, value in found.items() if value is not None}

    async def get(self, key: bytes, *, cached: bool) -> bytes | None:
        """Return the value, or None."""
        return (await self.get_many([key], [cached])).get(key)

    async def set_many(self, values: Mapping[bytes, bytes], lifetime_ms: int | None) -> None:
        """Set values. `lifetime_ms`: None: without end; 0: they are deleted."""
        if lifetime_ms == 0:
            await self.delete_many(list(values))
            return
        ending = () if lifetime_ms is None else (b"PX", b"%d" % lifetime_ms)
        items = list(values.items())
        for start in range(0, len(items), _SLICE):
            part = items[start : start + _SLICE]
            await self._write([key for key, _ in part], [(b"SET", *item, *ending) for item in part])

    async def add(self, key: bytes, value: bytes, lifetime_ms: int | None) -> bool:
        """Set a value if there is none; return whether there was none."""
        if lifetime_ms == 0:
            return not (await self._write([key], [(b"EXISTS", key)]))[0]
        ending = () if lifetime_ms is None else (b"PX", b"%d" % lifetime_ms)
        return bool((await self._write([key], [(b"SET", key, value, *ending, b"NX")]))[0])

    async def delete_many(self, keys: Sequence[bytes]) -> int:
        """Delete keys; return how many there were."""
        count = 0
        for start in range(0, len(keys), _SLICE):
            part = keys[start : start + _SLICE]
            count += int((await self._write(part, [(b"DEL", *part)]))[0])
        return count

    async def touch(self, key: bytes, lifetime_ms: int | None) -> bool:
        """Give a key a new time to live; return whether there is such a key."""
        if lifetime_ms is None:
            commands: list[tuple[bytes, ...]] = [(b"EXISTS", key), (b"PERSIST", key)]
        elif lifetime_ms == 0:
            commands = [(b"DEL", key)]
        else:
            commands = [(b"PEXPIRE", key, b"%d" % lifetime_ms)]
        return bool((await self._write([key], commands))[0])

    async def incr(self, key: bytes, delta: int) -> int | None:
        """Add to a number; return the sum, None if there is no such key. Raises `TypeError` if it is not a number."""
        command = (b"EVAL", _ADD_TO_EXISTING, b"1", key, b"%d" % delta)
        try:
            (reply,) = await self._write([key], [command])
        except Exception as error:
            if "not an integer" in str(error):
                message = f"the value is not a whole number: {error}"
                raise TypeError(message) from error
            raise
        return None if reply is None else int(reply)

    async def clear(self, prefix: bytes) -> None:
        """Delete all keys that begin with a prefix, which is not empty."""
        escaped = b"".join(
            b"\\" + character if character in _GLOB_CHARACTERS else character
            for character in (prefix[at : at + 1] for at in range(len(prefix)))
        )
        cursor = 0
        try:
            while True:
                scan = (b"SCAN", b"%d" % cursor, b"MATCH", escaped + b"*", b"COUNT", b"%d" % _SLICE)
                (reply,) = await self._client.run([scan])
                cursor = int(reply[0])
                if reply[1]:
                    await self._client.run([(b"UNLINK", *reply[1])])
                if cursor == 0:
                    break
        finally:
            self._undelivered.keep_prefix(prefix)
        await self._deliver()

    async def prove(self) -> None:
        """Attach to the pool, and ask the server by way of the daemon. Raises `GlideError` if one is not possible."""
        await self._client.forget([_PROBE])
        await self._client.prove(_PROBE)

    async def _write(self, keys: Sequence[bytes], commands: Sequence[Sequence[Any]]) -> Sequence[Any]:
        """Run commands that change keys, then forget the keys."""
        try:
            replies = await self._client.run(commands)
        except BaseException:
            # It may have run all the same, or may yet.
            self._undelivered.keep(keys, self._all_keys)
            raise
        if self._undelivered.is_empty:
            try:
                await self._client.forget(keys)
            except GlideError as error:
                self._undelivered.keep(keys, self._all_keys)
                _report(error)
            except BaseException:
                self._undelivered.keep(keys, self._all_keys)
                raise
        else:
            self._undelivered.keep(keys, self._all_keys)
            await self._deliver()
        return replies

    async def _deliver(self) -> None:
        """Deliver the kept forgets, if there are any and an attempt is due."""
        undelivered = self._undelivered
        attempt = undelivered.attempt()
        if attempt is None:
            return
        began_ns = time.monotonic_ns()
        keys, prefixes = attempt
        try:
            # First something short: what a prefix takes may be long, so its time-out is no bound for a write.
            await self._client.forget(list(keys) or [_PROBE])
            for prefix in prefixes:
                await self._client.forget_prefix(prefix)
        except GlideError as error:
            undelivered.failed(began_ns)
            _report(error)
            return
        undelivered.delivered(attempt)


_reported: set[str] = set()


def _report(error: GlideError) -> None:
    """Warn of a forget that failed, once for each reason. Of a missing daemon the client itself has warned."""
    if isinstance(error, (DaemonUnavailableError, TimeoutError)) or str(error) in _reported:
        return
    import logging

    problem = str(error)  # not the error: a record may be kept, and an error's frames hold clients
    _reported.add(problem)
    logging.getLogger("glidecache").warning(
        "what Django's cache has changed cannot be forgotten in the shared cache (%s): this process reads it past the "
        "shared cache, others may read the old values until their time to live has ended",
        problem,
        extra={"reason": problem},
    )
