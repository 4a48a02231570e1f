"""The keys that a client's own commands may have changed, for clients that forget what they write."""

from __future__ import annotations

from glidecache.fronts.command_classes import is_known_read
from glidecache_shared.command_table import find_keys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from glidecache.fronts.shared_reads import SharedReads

_CHANGE_ALL = frozenset({b"FLUSHDB", b"FLUSHALL"})

_forgetting_classes: dict[type, type] = {}


class WrittenKeys:
    """The keys that commands may have changed in the shared pool: some keys, and all keys that begin with a prefix."""

    __slots__ = ("_encode", "_prefixes", "keys", "prefixes")

    def __init__(self, encode: Callable[[Any], bytes], cached_prefixes: tuple[bytes, ...] | None) -> None:
        """Begin with nothing. `cached_prefixes`: what cached keys begin with; None: all keys are cached."""
        self._encode = encode
        self._prefixes = cached_prefixes
        self.keys: list[bytes] = []
        self.prefixes: list[bytes] = []

    def __bool__(self) -> bool:
        return bool(self.keys or self.prefixes)

    def add(self, args: Sequence[Any]) -> None:
        """Add what a command may change, its name first. What cannot be encoded is for the library to refuse."""
        if is_known_read(args):
            return
        encode = self._encode
        try:
            # The libraries write a command and its subcommand as one text.
            words = [*bytes(encode(args[0])).upper().split(), *(bytes(encode(word)) for word in args[1:])]
        except Exception:  # noqa: BLE001 - the library's encoder raises it again when the command is sent
            return
        if words[0] in _CHANGE_ALL:
            self.prefixes = [prefix for prefix in self._prefixes or () if prefix]
        elif self._prefixes is None:
            self.keys += find_keys(words)
        else:
            self.keys += [key for key in find_keys(words) if key.startswith(self._prefixes)]


def forget_with_pipeline(front: Any, reads: SharedReads, pipeline: Any) -> None:
    """Have a pipeline of a front's library forget what its commands may have changed, when it has been executed.

    The pipeline becomes one of a subclass of its class; so nothing but itself holds it.
    """
    kind = type(pipeline)
    made = _forgetting_classes.get(kind)
    if made is None:
        made = _forgetting_classes.setdefault(kind, _forgetting_class(kind, is_async=front._is_async))
    pipeline.__class__ = made
    pipeline._glidecache_front = front
    pipeline._glidecache_written = reads.written_keys()


def _forgetting_class(kind: Any, *, is_async: bool) -> type:
    def execute_command(self: Any, *args: Any, **options: Any) -> Any:
        self._glidecache_written.add(args)
        return kind.execute_command(self, *args, **options)

    def taken(self: Any) -> WrittenKeys:
        written: WrittenKeys = self._glidecache_written
        self._glidecache_written = self._glidecache_front._glidecache.written_keys()
        return written

    def execute(self: Any, *args: Any, **options: Any) -> Any:
        try:
            return kind.execute(self, *args, **options)
        finally:
            self._glidecache_front._forget_written(taken(self))

    async def awaited_execute(self: Any, *args: Any, **options: Any) -> Any:
        try:
            return await kind.execute(self, *args, **options)
        finally:
            await self._glidecache_front._forget_written(taken(self))

    contents = {
        "__doc__": kind.__doc__,
        "__module__": kind.__module__,
        "execute_command": execute_command,
        "execute": awaited_execute if is_async else execute,
    }
    return type(kind.__name__, (kind,), contents)
