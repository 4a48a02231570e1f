"""One client's cached reads: the lookup in the shared pool, and the miss that the daemon is asked for."""

from __future__ import annotations

import codecs
import copy
import time

from glidecache.core.many_keys import ManyKeys
from glidecache.errors import ClosingError, ConfigurationError, DaemonUnavailableError, GlideError
from glidecache.fronts.command_classes import KINDS, MANY, written_keys
from glidecache.fronts.first_attachment import attach_at_once
from glidecache.fronts.own_writes import OwnWrites
from glidecache.fronts.pool_clients import OwnWayError
from glidecache.fronts.written_keys import WrittenKeys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Self

    from glidecache.core.settings import Settings
    from glidecache.fronts.front_options import FrontOptions
    from glidecache.fronts.libraries import Library
    from glidecache.fronts.pool_clients import AsyncPoolClient, BlockingPoolClient
    from glidecache.fronts.reply_shapes import ReplyShapes

NOT_CACHED: Any = object()
"""The value that is returned where the library must ask the server itself."""

_SEVERAL = 2
_PAUSE_NS = 750_000_000
_ASCII = bytes(range(128))

_reported: set[str] = set()
"""Why own writes could not be forgotten, as was logged."""


class SharedReads:
    """The cached reads of one client. For any thread, event loop and fork.

    `kinds`: the kinds of entry by the names of cached commands; empty if none is cached, or no longer.
    """

    def __init__(
        self,
        library: Library,
        options: FrontOptions,
        settings: Settings,
        encoder: Any,
        shapes: ReplyShapes,
        make_client: Callable[[Settings], Any],
        clients: dict[Any, Any],
    ) -> None:
        """Prepare the reads. `clients` keeps the pool client, for all fronts that share this dictionary."""
        self.library = library
        self.kinds = KINDS
        self.own_writes = OwnWrites()
        self._notes_writes = True
        self.forget_writes = options.forget_writes
        self.shapes = shapes
        self._settings = settings
        self._make_client = make_client
        self._clients = clients
        self._client_key = repr((settings.spec, settings.runtime_dir))
        self._is_cluster = settings.is_cluster
        self._encoder = encoder
        # The libraries' C parts send text as UTF-8 whatever the client's encoding is; their Python parts do not. So
        # text is only cached where both agree: all of it with the usual settings, else what is ASCII in both.
        self._is_utf8 = (
            codecs.lookup(encoder.encoding).name == "utf-8" and encoder.encoding_errors == "strict"
        )
        self._has_ascii = _ASCII.decode().encode(encoder.encoding, "replace") == _ASCII
        self._prefixes: tuple[bytes, ...] | None = None
        self._text_prefixes: tuple[str, ...] | None = None
        self._problem = ""
        """The logged reason why the library asks the server itself; empty while the daemon answers."""
        self._resumes_ns = 0
        """The time before which no miss is asked for; 0: none."""
        if options.prefixes is not None:
            self._prefixes = tuple(self._encoded_prefix(prefix) for prefix in options.prefixes)
            try:
                self._text_prefixes = tuple(prefix.decode() for prefix in self._prefixes)
            except UnicodeDecodeError:
                self._text_prefixes = None
        self._compares_text = self._prefixes is None or self._text_prefixes is not None

    def attach(self) -> None:
        """Attach now, unless a client that shares the hold has done so, or no daemon answers promptly.

        Raises `ConfigurationError`, which is the library's error too, for a refusal of the daemon.
        """
        try:
            attach_at_once(self._client())
        except ConfigurationError as error:
            self.closed_client()
            raise self.own_error(error) from error

    @property
    def uncached(self) -> Self:
        """Return reads that never use the cache, and note writes in the same place."""
        other = copy.copy(self)
        other.kinds = {}
        return other

    def stop(self) -> None:
        """Cache nothing from now on, and note no write: what is asked for next may be of another database."""
        self.kinds = {}
        self._notes_writes = False

    def note_write(self, args: Sequence[Any]) -> None:
        """Note in the pool that a command is about to write, if it has one of the command's keys.

        The daemon's advice is made of that. A client that has not attached yet, with its first miss, notes nothing.
        """
        client = self._clients.get(self._client_key) if self._notes_writes else None
        reader = None if client is None else client._reader
        if reader is not None and reader.takes_writes:
            reader.note_writes(written_keys(args, self._encoder.encode))

    def key_of(self, args: Sequence[Any]) -> Any:
        """Return the key of a command, bytes or text, or the list of its keys; None if it is not cached."""
        if self.kinds[args[0]] == MANY:
            keys = [self._cached_key(key) for key in args[1:]]
            if None in keys or not keys or (self._is_cluster and not self._in_one_slot(keys)):
                return None
            return keys
        return self._cached_key(args[1]) if len(args) == _SEVERAL else None

    def _cached_key(self, key: Any) -> str | bytes | None:
        if type(key) is str and (self._is_utf8 or (self._has_ascii and key.isascii())):
            if self._compares_text:
                return key if self._text_prefixes is None or key.startswith(self._text_prefixes) else None
            try:
                key = key.encode()
            except UnicodeEncodeError:  # the library's own to raise
                return None
        elif type(key) is int or type(key) is float:
            key = repr(key).encode()
        elif isinstance(key, str) and type(key) is not str and type(key).encode is str.encode:
            return self._cached_key(str.__str__(key))  # frameworks have classes of keys
        elif type(key) is not bytes:
            return None
        return key if self._prefixes is None or key.startswith(self._prefixes) else None

    def hit(self, kind: int, key: Any) -> Any:
        """Return the entry's value, or None. Of many keys: None unless all are there."""
        client = self._clients.get(self._client_key)
        if client is None:
            return None
        reader = client._reader
        if reader is None or kind == MANY:
            return None
        try:
            return reader.lookup(key, kind)
        except UnicodeEncodeError:  # the library's own to raise
            return None

    def miss(self, kind: int, key: Any) -> Any:
        """Return the value that a blocking pool client gets of the daemon, or `NOT_CACHED`."""
        if self._resumes_ns and time.monotonic_ns() < self._resumes_ns:
            return NOT_CACHED
        writes = self.own_writes
        seen = writes.last
        own_writes = not writes.is_told(seen)
        try:
            client: BlockingPoolClient = self._client()
            if kind == MANY:
                looked_up = ManyKeys(client._session.reader, key)
                if looked_up.missing:
                    replies = client._get_missing(looked_up.missing, own_writes)
                    writes.told = seen
                    return looked_up.filled(replies)
                return looked_up.filled([])
            value = client._read_miss(kind, key, own_writes)
        except Exception as error:  # noqa: BLE001 - what is not known is raised again
            return self._failed(error)
        writes.told = seen
        if self._problem:
            self._resumes_ns, self._problem = 0, ""
        return value

    async def awaited_miss(self, kind: int, key: Any) -> Any:
        """Return the value that an asyncio pool client gets of the daemon, or `NOT_CACHED`."""
        if self._resumes_ns and time.monotonic_ns() < self._resumes_ns:
            return NOT_CACHED
        writes = self.own_writes
        seen = writes.last
        own_writes = not writes.is_told(seen)
        try:
            client: AsyncPoolClient = self._client()
            if kind == MANY:
                looked_up = ManyKeys(client._session.reader, key)
                if looked_up.missing:
                    replies = await client._fast_path.get_missing(looked_up.missing, own_writes)
                    writes.told = seen
                    return looked_up.filled(replies)
                return looked_up.filled([])
            value = await client._read_miss(kind, key, own_writes)
        except Exception as error:  # noqa: BLE001 - what is not known is raised again
            return self._failed(error)
        writes.told = seen
        if self._problem:
            self._resumes_ns, self._problem = 0, ""
        return value

    def encoded_keys(self, keys: Sequence[Any]) -> list[bytes]:
        """Return keys as they are sent. Raises `TypeError` for a list, and the encoder's errors."""
        for key in keys:
            if isinstance(key, (list, tuple, set, frozenset, dict)):
                message = f"forget(*keys) takes each key as an argument, and got a {type(key).__name__}: forget(*keys)"
                raise TypeError(message)
        return [bytes(self._encoder.encode(key)) for key in keys]

    def written_keys(self, args: Sequence[Any] | None = None) -> WrittenKeys:
        """Return what this command may have changed, or nothing, to which commands can be added."""
        written = WrittenKeys(self._encoder.encode, self._prefixes)
        if args is not None:
            written.add(args)
        return written

    def report_not_forgotten(self, error: GlideError) -> None:
        """Warn that own writes were not forgotten, once for each reason. A missing daemon is warned of by itself."""
        if isinstance(error, (DaemonUnavailableError, ClosingError)) or str(error) in _reported:
            return
        import logging

        _reported.add(str(error))
        logging.getLogger("glidecache").warning(
            "what %s has written cannot be forgotten in the shared cache (%s): old values may be read until their "
            "time to live has ended",
            self.library.name,
            error,
            extra={"reason": str(error)},
        )

    def own_error(self, error: GlideError) -> GlideError:
        """Return an error of the pool client as one that is the library's too."""
        if isinstance(error, DaemonUnavailableError):
            return self.library.unavailable_error(str(error))
        if isinstance(error, ConfigurationError):
            return self.library.configuration_error(str(error))
        return error

    def closed_client(self) -> Any:
        """Return the pool client, to be closed, and forget it; None if there is none. A later miss makes another."""
        return self._clients.pop(self._client_key, None)

    def _client(self) -> Any:
        client = self._clients.get(self._client_key)
        if client is None:
            # Two threads may each make one; both use the first that is kept. The other has no connection yet.
            client = self._clients.setdefault(self._client_key, self._make_client(self._settings))
        return client

    def _failed(self, error: Exception) -> Any:
        """Return `NOT_CACHED` where the library should ask the server itself; otherwise raise."""
        if isinstance(error, ConfigurationError):
            raise self.own_error(error) from error
        if isinstance(error, (OwnWayError, ClosingError, UnicodeEncodeError)):
            return NOT_CACHED
        if not isinstance(error, GlideError):
            raise error
        # A text of the server, such as WRONGTYPE, is the application's to see: the library gets it too.
        if not isinstance(error, OSError):
            return NOT_CACHED
        # Each attempt may take its whole time-out: for a moment the library is asked at once.
        self._resumes_ns = time.monotonic_ns() + _PAUSE_NS
        if not self._problem:
            import logging

            # Its text, not the error: a record may be kept, and an error's frames hold clients.
            self._problem = str(error)
            logging.getLogger("glidecache").warning(
                "glidecached could not answer a miss (%s); %s asks the server itself, uncached",
                self._problem,
                self.library.name,
                extra={"reason": self._problem},
            )
        return NOT_CACHED

    def _encoded_prefix(self, prefix: str | bytes) -> bytes:
        try:
            return bytes(self._encoder.encode(prefix))
        except UnicodeEncodeError as error:
            message = f"cache_prefixes: {prefix!r} cannot be written in the client's encoding: {error}"
            raise ConfigurationError(message) from error

    def _in_one_slot(self, keys: list[Any]) -> bool:
        slot = self.library.key_slot
        return len({slot(key if type(key) is bytes else key.encode()) for key in keys}) == 1
