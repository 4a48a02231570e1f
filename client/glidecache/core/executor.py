"""The execution of commands, cached reads, many reads, batches and scripts, once for both kinds of client.

With a blocking client's session nothing here suspends (`run_blocking`).
"""

from __future__ import annotations

from glidecache.commands.decoding import to_map, to_set
from glidecache.commands.encoding import encode, encode_each
from glidecache.core.forgotten_parts import in_parts
from glidecache.core.lazy_import import LazyModule
from glidecache.core.many_keys import ManyKeys
from glidecache.core.replies import decode_each, first_error, in_glides_kinds, is_by_node
from glidecache.core.transport_errors import error_for_reply
from glidecache.core.watch import Watches
from glidecache.errors import RequestError
from glidecache_shared import protocol
from glidecache_shared.blocking_timeouts import batch_timeout_ns, blocking_timeout_ns
from glidecache_shared.command_table import row_of, survey
from glidecache_shared.protocol import COMMAND_KINDS, HASH, KIND_COMMANDS, SET, STRING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any, Literal, TypeVar

    from glidecache.batch import Batch, BatchOptions, ClusterBatch
    from glidecache.commands.cluster_scan import ClusterScanCursor
    from glidecache.commands.command import Command
    from glidecache.commands.encoding import Argument
    from glidecache.commands.options.server import ObjectType, Script
    from glidecache.commands.scripting import ScriptCall
    from glidecache.core.attachment import FirstAttempt
    from glidecache.core.connection import Connections
    from glidecache.core.session import Session
    from glidecache.routes import Route

    Result = TypeVar("Result")

batches = LazyModule("glidecache.batch")
cluster_scan = LazyModule("glidecache.commands.cluster_scan")
custom_command = LazyModule("glidecache.commands.custom_command")
routes = LazyModule("glidecache.routes")
scripting = LazyModule("glidecache.commands.scripting")

_MS = 1_000_000

_DECODERS: dict[int, Callable[[Any], Any] | None] = {STRING: None, HASH: to_map, SET: to_set}
_CACHED_ARGUMENTS = 2
_PREFIX_TIMEOUT_NS = 60_000 * _MS
_UNKNOWN_OPERATION = "unknown operation"


class CommandExecutor:
    """A client's calls. Safe for threads, loops and forks, as its session is."""

    def __init__(
        self, session: Session, connections: Connections, *, has_cache: bool, is_cluster: bool
    ) -> None:
        self._session = session
        self._has_cache = has_cache
        self._is_cluster = is_cluster
        self._watches = Watches(session, connections)

    async def run(
        self, command: Command[Result], route: Route | None = None, first: FirstAttempt | None = None
    ) -> Result:
        """Run one command. It always goes to the server (contract C1), and to the nodes of the route if there is one.

        If several nodes answer separately, the result is a map from address to result. `first`: see `Session.call`.
        """
        args = command.args
        body: tuple[Any, ...] = (args,)
        if route is not None:
            routes.need_route(route)
            body = (args, route.as_wire())
        row = row_of(args)
        waits_ns = blocking_timeout_ns(args) if row.blocks else 0
        reply = await self._session.call(
            protocol.COMMAND,
            body,
            repeatable=row.reads,
            timeout_ns=self._session.timeout_ns + waits_ns if waits_ns else None,
            directly=lambda direct, seconds: direct.command(args, seconds),
            first=first,
        )
        return self.result(command, in_glides_kinds(reply), route)

    async def read(
        self, kind: int, key: Argument, first: FirstAttempt | None = None, own_writes: bool = False
    ) -> Any:
        """Run a cacheable read that did not hit in this process (contract C4, C7a). `first`: see `Session.call`.

        own_writes: whether the client has written past the daemon; no flight from before answers it then (C22).
        """
        command = KIND_COMMANDS[kind]
        encoded = key if type(key) is bytes else encode(key, f"the key of {command.decode()}")
        operation: int = protocol.READ
        body: tuple[Any, ...] = (kind, encoded, True) if own_writes else (kind, encoded)
        if not self._has_cache:
            operation, body = protocol.COMMAND, ([command, encoded],)
        reply = await self._session.call(
            operation,
            body,
            repeatable=True,
            timeout_ns=None,
            directly=lambda direct, seconds: direct.command((command, encoded), seconds),
            first=first,
        )
        decode = _DECODERS[kind]
        return reply if decode is None else decode(reply)

    async def get_many(self, keys: Iterable[Argument]) -> list[bytes | None]:
        """Return many strings: hits from the pool, all others in one request (contract C17)."""
        self._session.check_open()
        looked_up = ManyKeys(self._session.reader, keys)
        return looked_up.filled(await self.get_missing(looked_up.missing) if looked_up.missing else [])

    async def get_missing(
        self, keys: list[bytes], first: FirstAttempt | None = None, own_writes: bool = False
    ) -> list[bytes | None]:
        """Return many strings that are not in the pool, in one request. `first`, `own_writes`: see `read`."""
        return await self._session.call(  # type: ignore[no-any-return]
            protocol.GET_MANY,
            (keys, True) if own_writes else (keys,),
            repeatable=True,
            timeout_ns=None,
            directly=lambda direct, seconds: _get_many_directly(direct, keys, seconds),
            first=first,
        )

    def forgettable(self, keys: Iterable[Argument]) -> list[list[bytes]]:
        """Return keys, encoded, in parts: one request forgets a part.

        Raises `ClosingError`, `TypeError` for what is no list of keys, `RequestError` without a cache.
        """
        self._session.check_open()
        encoded = encode_each(keys, "keys")
        if not self._has_cache:
            message = "Client-side caching is not enabled"
            raise RequestError(message)
        return in_parts(encoded)

    async def forget(self, part: list[bytes], first: FirstAttempt | None = None) -> int:
        """Remove the entries of a part's keys from the cache (contract C25). `first`: see `Session.call`."""
        return await self._forget(part, None, first)

    async def forget_prefix(self, prefix: bytes) -> int:
        """Remove the entries of all keys that begin with a prefix, which is not empty. Takes a second for a million."""
        self.forgettable(())
        return await self._forget(prefix, max(self._session.timeout_ns, _PREFIX_TIMEOUT_NS), None)

    async def _forget(
        self, what: list[bytes] | bytes, timeout_ns: int | None, first: FirstAttempt | None
    ) -> int:
        try:
            # Repeating it does no harm; only the number is that of the last time.
            return await self._session.call(  # type: ignore[no-any-return]
                protocol.FORGET, (what,), repeatable=True, timeout_ns=timeout_ns, directly=None, first=first
            )
        except RequestError as error:
            if str(error).startswith(_UNKNOWN_OPERATION):
                message = (
                    "the daemon is of an earlier version, which cannot forget keys: "
                    "use the same version of glidecached for both"
                )
                raise RequestError(message) from error
            raise

    async def custom(self, command_args: Iterable[Argument], route: Route | None = None) -> Any:
        """Run any command. A cacheable one with exactly its two arguments goes through the cache (contract C1).

        A call with a route bypasses the cache: the caller has chosen the node that answers.
        """
        command: Command[Any] = custom_command.custom_command(command_args)
        args = command.args
        kind = (
            COMMAND_KINDS.get(args[0].upper()) if len(args) == _CACHED_ARGUMENTS and route is None else None
        )
        if kind is None:
            return await self.run(command, route)
        reader = self._session.reader
        value = None if reader is None else reader.lookup(args[1], kind)
        return await self.read(kind, args[1]) if value is None else value

    async def execute(
        self,
        batch: Batch | ClusterBatch,
        options: BatchOptions | None,
        *,
        raise_on_error: bool,
    ) -> list[Any] | None:
        """Run a batch of either class. Return its results in order.

        Return None for a transaction that was not run because a watched key had changed.
        Errors of single commands are `RequestError` objects among the results, or the first of them is raised.
        """
        self._session.check_open()
        _need_batch(batch, options)
        commands = list(batch.queued)
        if not commands:
            return []
        atomic = batch.is_atomic
        encoded = [command.args for command in commands]
        # A standalone server has no routes: GLIDE ignores a batch's route there.
        route: Route | None = getattr(options, "route", None) if self._is_cluster else None
        timeout_ns = self._batch_timeout_ns(encoded, options, atomic=atomic)
        watch = self._watches.number if atomic else 0
        if watch:
            # It runs on the connection that watches its keys.
            replies = await self._watches.execute(watch, encoded, timeout_ns)
        else:
            replies = await self._session.call(
                protocol.BATCH,
                (atomic, encoded) if route is None else (atomic, encoded, route.as_wire()),
                repeatable=survey(encoded, atomic=atomic)[1],
                timeout_ns=timeout_ns,
                directly=lambda direct, seconds: direct.batch(encoded, seconds, atomic=atomic),
            )
        if replies is None:
            return None
        # A transaction, and a batch with a route, runs on one node.
        decode = _on_one_node if atomic or route is not None else self.result
        return [
            _decoded(decode, command, in_glides_kinds(reply, raises=raise_on_error))
            for command, reply in zip(commands, replies, strict=True)
        ]

    async def watch(self, keys: Iterable[Argument]) -> Literal["OK"]:
        """Watch keys for the next transaction of the calling thread or event loop."""
        return await self._watches.watch(keys)

    async def unwatch(self) -> Literal["OK"]:
        """Stop watching keys."""
        return await self._watches.unwatch()

    async def invoke_script(
        self,
        script: Script,
        keys: Iterable[Argument] | None,
        args: Iterable[Argument] | None,
        route: Route | None = None,
    ) -> Any:
        """Run a script by its hash, or as a whole if the server does not know it.

        Afterwards all nodes of a cluster know it: the next call may be for another node's slots.
        """
        call: ScriptCall = scripting.ScriptCall(script, keys, args)
        if route is not None:
            routes.need_route(route)
            # A call must not run the script on some nodes only to find out which nodes lack it.
            if not route.is_single_node and not await self._load_everywhere(call):
                await self.run(call.load(), route)
        try:
            return await self.run(call.by_hash(), route)
        except RequestError as error:
            if not call.is_unknown(error):
                raise
        if self._is_cluster:
            await self._load_everywhere(call)
        return await self.run(call.by_code(), route)

    async def scan(
        self,
        cursor: ClusterScanCursor,
        match: Argument | None,
        count: int | None,
        type: ObjectType | None,
        *,
        allow_non_covered_slots: bool,
    ) -> list[Any]:
        """Take one step over all keys of a cluster: `[next cursor, [key, …]]`."""
        scan = cluster_scan.ClusterScan(self.run, match, count, type)
        return await scan.step(cursor, allow_non_covered_slots=allow_non_covered_slots)  # type: ignore[no-any-return]

    async def _load_everywhere(self, call: ScriptCall) -> bool:
        """Load a script into all nodes that answer. Return whether all did.

        A node that does not answer costs half of a time-out, once; the script runs without it.
        """
        args = call.load().args
        try:
            await self._session.call(
                protocol.COMMAND,
                (args,),
                repeatable=True,
                timeout_ns=self._session.timeout_ns // 2,
                directly=lambda direct, seconds: direct.command(args, seconds),
            )
        except RequestError:
            return False
        return True

    def result(self, command: Command[Result], reply: Any, route: Route | None = None) -> Result:
        """Return the result of a command for its reply, which is in GLIDE's kinds."""
        if self._is_cluster and is_by_node(command.args, route):
            return decode_each(command.result, reply)  # type: ignore[no-any-return]
        return command.result(reply)

    def _batch_timeout_ns(
        self, commands: Sequence[Sequence[bytes]], options: BatchOptions | None, *, atomic: bool
    ) -> int | None:
        if options is not None and options.timeout is not None:
            return options.timeout * _MS
        # In a transaction nothing blocks.
        waits_ns = 0 if atomic else batch_timeout_ns(commands)
        return self._session.timeout_ns + waits_ns if waits_ns else None


def _decoded(decode: Callable[[Command[Any], Any], Any], command: Command[Any], reply: Any) -> Any:
    """Return the result of a batch's element. An error that cannot be decoded becomes the whole element."""
    if isinstance(reply, RequestError):
        return reply
    try:
        return decode(command, reply)
    except Exception:
        error = first_error(reply)
        if error is None:
            raise
        return error


def _on_one_node(command: Command[Any], reply: Any) -> Any:
    return command.result(reply)


def _need_batch(batch: object, options: object) -> None:
    if not isinstance(batch, (batches.Batch, batches.ClusterBatch)):
        message = f"batch must be a Batch or a ClusterBatch, not {type(batch).__name__}"
        raise TypeError(message)
    if options is not None and not isinstance(options, batches.BatchOptions):
        message = f"options must be a BatchOptions, not {type(options).__name__}"
        raise TypeError(message)


async def _get_many_directly(direct: Any, keys: list[bytes], timeout_seconds: float) -> list[bytes | None]:
    """Get many strings with `MGET`'s semantics from single `GET`s: None for a missing key and for a wrong type."""
    commands = [(b"GET", key) for key in keys]
    replies = await direct.batch(commands, timeout_seconds, atomic=False)
    for reply in replies:
        if isinstance(reply, protocol.ReplyError) and not str(reply).startswith("WRONGTYPE"):
            raise error_for_reply(str(reply))
    return [None if isinstance(reply, protocol.ReplyError) else reply for reply in replies]
