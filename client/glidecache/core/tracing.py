"""Spans for what a client asks of the daemon: misses, commands, batches, scripts. Imported only where traces are on.

A traced client has other objects in the places of its executor and its fast path: those of this module, which make a
span around a call and then do what the others do. So a client that is not traced has no branch for it, and hits, which
reach neither, have no span. Names and attributes are those of OpenTelemetry's conventions for databases. No key, no
argument and no value is in them, nor the text of an error, which may quote one.
"""

from __future__ import annotations

import re
from collections.abc import Sized

from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from glidecache.commands.options.server import Script
from glidecache.core.executor import CommandExecutor
from glidecache.errors import ExecAbortError, RequestError
from glidecache_shared.command_table import REFUSED, is_known, row_of
from glidecache_shared.protocol import KIND_COMMANDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import TracebackType
    from typing import Any, Literal

    from opentelemetry.trace import Tracer

    from glidecache.batch import Batch, BatchOptions, ClusterBatch
    from glidecache.commands.command import Command
    from glidecache.commands.encoding import Argument
    from glidecache.core.attachment import FirstAttempt
    from glidecache.core.session import Session
    from glidecache.core.settings import Settings
    from glidecache.routes import Route

DEFAULT_UPSTREAM = "default"
OTHER = "_OTHER"
"""The name for what is no command's: a name is a value of few kinds, whatever a program has put in its place."""

_NAME = re.compile(rb"[A-Za-z][A-Za-z0-9._\-]{0,31}")
_STATUS_CODE = re.compile(r"[A-Z][A-Z0-9_]{1,31}(?= |$)")
_KIND_NAMES = {kind: name.decode() for kind, name in KIND_COMMANDS.items()}


class TracedCall:
    """One call, as a context: its span ends with it, with the error if there was one. None: it has no span."""

    __slots__ = ("_span",)

    def __init__(self, span: Span | None) -> None:
        self._span = span

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        span = self._span
        if span is None:
            return
        if error is not None and span.is_recording():
            _describe(span, error)
        span.end()


_NO_SPAN = TracedCall(None)


class CallTracer:
    """The maker of one client's spans. For any thread and task: the parent is what is current there."""

    def __init__(self, tracer: Tracer, should_sample: Callable[[], bool], settings: Settings) -> None:
        self._tracer = tracer
        self._should_sample = should_sample
        self._attributes = connection_attributes(settings)
        cache = settings.cache
        self._of_cache = {} if cache is None else {"glidecache.cache.name": cache.name or cache.cache_id}

    def miss(self, kind: int) -> TracedCall:
        """Return the span's context for a read of one key that did not hit."""
        return self.call(_KIND_NAMES[kind], 1, self._of_cache)

    def misses(self, keys: int) -> TracedCall:
        """Return the same for the keys of a `get_many` that did not hit."""
        return self.call("MGET", keys, self._of_cache)

    def command(self, args: Sequence[bytes]) -> TracedCall:
        """Return the same for a command."""
        if not self._should_sample():
            return _NO_SPAN
        span = self._begin(_name_of(args), {})
        if span.is_recording() and is_known(args):
            span.set_attribute("glidecache.key_count", len(row_of(args).find_keys(args)))
        return TracedCall(span)

    def batch(self, commands: Sequence[Command[Any]], *, atomic: bool) -> TracedCall:
        """Return the same for a batch of at least one command. A single one counts as that command."""
        if len(commands) == 1:
            return self.command(commands[0].args)
        if not self._should_sample():
            return _NO_SPAN
        name = "MULTI" if atomic else "PIPELINE"
        different = {_name_of(command.args) for command in commands}
        if len(different) == 1:
            name = f"{name} {different.pop()}"
        return TracedCall(self._begin(name, {"db.operation.batch.size": len(commands)}))

    def forget(self, keys: object) -> TracedCall:
        """Return the same for a `forget`, of as many parts as it has."""
        return self.call("FORGET", _count(keys), {})

    def call(self, name: str, keys: int | None, more: dict[str, str]) -> TracedCall:
        """Return the same for any call. `keys`: the number of its keys, None if it is not known."""
        if not self._should_sample():
            return _NO_SPAN
        return TracedCall(self._begin(name, more if keys is None else {**more, "glidecache.key_count": keys}))

    def _begin(self, name: str, more: dict[str, Any]) -> Span:
        attributes = {**self._attributes, "db.operation.name": name, **more}
        return self._tracer.start_span(
            name,
            kind=SpanKind.CLIENT,
            attributes=attributes,
        )


class TracedExecutor(CommandExecutor):
    """An executor whose calls have spans. `plain` does the same calls without."""

    def __init__(self, plain: CommandExecutor, session: Session, calls: CallTracer) -> None:
        self._session = session
        self._has_cache = plain._has_cache
        self._is_cluster = plain._is_cluster
        self._watches = plain._watches
        self._plain = plain
        self._calls = calls

    async def run(
        self, command: Command[Any], route: Route | None = None, first: FirstAttempt | None = None
    ) -> Any:
        """Run one command."""
        with self._calls.command(command.args):
            return await self._plain.run(command, route, first)

    async def read(
        self, kind: int, key: Argument, first: FirstAttempt | None = None, own_writes: bool = False
    ) -> Any:
        """Run a cacheable read that did not hit."""
        with self._calls.miss(kind):
            return await self._plain.read(kind, key, first, own_writes)

    async def execute(
        self, batch: Batch | ClusterBatch, options: BatchOptions | None, *, raise_on_error: bool
    ) -> list[Any] | None:
        """Run a batch, in one span."""
        commands = getattr(batch, "queued", None)
        if not isinstance(commands, list) or not commands:
            return await self._plain.execute(batch, options, raise_on_error=raise_on_error)
        with self._calls.batch(commands, atomic=batch.is_atomic):
            return await self._plain.execute(batch, options, raise_on_error=raise_on_error)

    async def invoke_script(
        self,
        script: Script,
        keys: Iterable[Argument] | None,
        args: Iterable[Argument] | None,
        route: Route | None = None,
    ) -> Any:
        """Run a script, in one span, whatever it takes until the server knows it."""
        more = {"db.stored_procedure.name": script.get_hash()} if _is_script(script) else {}
        with self._calls.call("EVALSHA", _count(keys), more):
            return await self._plain.invoke_script(script, keys, args, route)

    async def watch(self, keys: Iterable[Argument]) -> Literal["OK"]:
        """Watch keys."""
        with self._calls.call("WATCH", _count(keys), {}):
            return await self._plain.watch(keys)

    async def unwatch(self) -> Literal["OK"]:
        """Stop watching keys; without a span if none is watched, because then nothing is asked."""
        if not self._watches.number:
            return await self._plain.unwatch()
        with self._calls.call("UNWATCH", None, {}):
            return await self._plain.unwatch()


def connection_attributes(settings: Settings) -> dict[str, str | int]:
    """Return the attributes that all calls of a client have: its servers, as far as it knows them."""
    attributes: dict[str, str | int] = {"db.system.name": "redis"}
    addresses = settings.addresses
    if addresses:
        attributes["server.address"], attributes["server.port"] = addresses[0]
        attributes["db.namespace"] = str(settings.spec["database_id"])
    else:
        attributes["glidecache.upstream"] = settings.spec["upstream"] or DEFAULT_UPSTREAM
    return attributes


def _name_of(args: Sequence[bytes]) -> str:
    if is_known(args):
        return row_of(args).name
    return args[0].decode().upper() if _NAME.fullmatch(args[0]) else OTHER


def _is_script(script: object) -> bool:
    return isinstance(script, Script)


def _count(keys: object) -> int | None:
    if keys is None:
        return 0
    return len(keys) if isinstance(keys, Sized) and not isinstance(keys, (str, bytes)) else None


def _describe(span: Span, error: BaseException) -> None:
    """Put the class of an error into its span: the server's code for it if it has one, else Python's name."""
    code = None
    if type(error) in (RequestError, ExecAbortError):
        text = str(error)
        found = _STATUS_CODE.match(text)
        if found and not text.startswith(f"{found[0]} {REFUSED}"):
            code = found[0]
            span.set_attribute("db.response.status_code", code)
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    span.set_attribute("error.type", code or name)
    span.set_status(Status(StatusCode.ERROR))
