"""Commands that block, one method per command. Written by tools/generate_commands.py: do not edit."""
# ruff: noqa: I001, RUF100, N803 - lazy modules stand apart; GLIDE's names of arguments

from __future__ import annotations

from glidecache._generated.sync_commands import SyncCommands
from glidecache.core.lazy_import import LazyModule
from glidecache.core.plain_signature import MISSING, plain_signature, refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, Literal, Never

    from glidecache.commands.encoding import AnyMapping, Argument
    from glidecache.commands.options.server import (
        ClientPauseMode,
        FlushMode,
        FunctionRestorePolicy,
        InfoSection,
        MigrateOptions,
    )
    from glidecache.commands.results import LatencyEntry, LatencyEventInfo, MemoryStats
    from glidecache.routes import ClusterResponse, Route

    from glidecache.commands import cluster_only as _cluster_only
    from glidecache.commands import keys as _keys
    from glidecache.commands import scripting as _scripting
    from glidecache.commands import server as _server
else:
    _cluster_only = LazyModule("glidecache.commands.cluster_only")
    _keys = LazyModule("glidecache.commands.keys")
    _scripting = LazyModule("glidecache.commands.scripting")
    _server = LazyModule("glidecache.commands.server")


class SyncClusterCommands(SyncCommands):
    """Commands that block: those of a cluster."""

    __slots__ = ()

    def random_key(self, route: Route | None = None) -> bytes | None:
        """Return any key (`RANDOMKEY`); None if there is none."""
        return self._run(_keys.random_key(), route)

    def ping(self, message: Argument | None = None, route: Route | None = None) -> bytes:
        """Return `b"PONG"`, or the message, from the server (`PING`)."""
        return self._run(_server.ping(message), route)

    def echo(self, message: Argument, route: Route | None = None) -> ClusterResponse[bytes]:
        """Return the message, back from the server (`ECHO`)."""
        return self._run(_server.echo(message), route)

    @plain_signature
    def info(
        self,
        sections: Iterable[InfoSection] | None = None,
        route: Route | None = None,
        *others: Never,
        **keywords: Never,
    ) -> ClusterResponse[bytes]:
        """Return the server's information, as text of lines `name:value` (`INFO`)."""
        if others or keywords:
            raise refusal(self, "info", others, keywords)
        return self._run(_server.info(sections), route)

    def dbsize(self, route: Route | None = None) -> int:
        """Return how many keys the database has (`DBSIZE`)."""
        return self._run(_server.dbsize(), route)

    @plain_signature
    def flushall(
        self,
        flush_mode: FlushMode | None = None,
        route: Route | None = None,
        *others: Never,
        **keywords: Never,
    ) -> Literal["OK"]:
        """Delete all keys of all databases (`FLUSHALL`). The cache is not touched (contract C15)."""
        if others or keywords:
            raise refusal(self, "flushall", others, keywords)
        return self._run(_server.flushall(flush_mode), route)

    @plain_signature
    def flushdb(
        self,
        flush_mode: FlushMode | None = None,
        route: Route | None = None,
        *others: Never,
        **keywords: Never,
    ) -> Literal["OK"]:
        """Delete all keys of the database (`FLUSHDB`). The cache is not touched (contract C15)."""
        if others or keywords:
            raise refusal(self, "flushdb", others, keywords)
        return self._run(_server.flushdb(flush_mode), route)

    def time(self, route: Route | None = None) -> ClusterResponse[list[bytes]]:
        """Return the server's clock: Unix seconds, and microseconds within the second (`TIME`)."""
        return self._run(_server.time(), route)

    def lastsave(self, route: Route | None = None) -> ClusterResponse[int]:
        """Return the Unix time of the last successful save (`LASTSAVE`)."""
        return self._run(_server.lastsave(), route)

    def save(self, route: Route | None = None) -> Literal["OK"]:
        """Save to disk; the server does nothing else meanwhile (`SAVE`)."""
        return self._run(_server.save(), route)

    @plain_signature
    def bgsave(self, route: Route | None = None, *others: Never, **keywords: Never) -> ClusterResponse[bytes]:
        """Save to disk in the background (`BGSAVE`). Return the server's status text."""
        if others or keywords:
            raise refusal(self, "bgsave", others, keywords)
        return self._run(_server.bgsave(), route)

    def bgsave_schedule(self, route: Route | None = None) -> ClusterResponse[bytes]:
        """Do as `bgsave`, but after a running log rewrite (`BGSAVE SCHEDULE`)."""
        return self._run(_server.bgsave_schedule(), route)

    def bgsave_cancel(self, route: Route | None = None) -> ClusterResponse[bytes]:
        """Stop a running or scheduled `bgsave` (`BGSAVE CANCEL`; Valkey 8.1)."""
        return self._run(_server.bgsave_cancel(), route)

    def bgrewriteaof(self, route: Route | None = None) -> ClusterResponse[bytes]:
        """Rewrite the append-only log in the background (`BGREWRITEAOF`). Return the server's status text."""
        return self._run(_server.bgrewriteaof(), route)

    @plain_signature
    def config_get(
        self, parameters: Iterable[Argument], route: Route | None = None, *others: Never, **keywords: Never
    ) -> ClusterResponse[dict[bytes, bytes]]:
        """Return the server's settings of these names or patterns (`CONFIG GET`)."""
        if others or keywords or parameters is MISSING:
            raise refusal(self, "config_get", others, keywords)
        return self._run(_server.config_get(parameters), route)

    @plain_signature
    def config_set(
        self, parameters_map: AnyMapping[Argument, Argument], route: Route | None = None, *others: Never
    ) -> Literal["OK"]:
        """Change settings of the server (`CONFIG SET`)."""
        if others or parameters_map is MISSING:
            raise refusal(self, "config_set", others)
        return self._run(_server.config_set(parameters_map), route)

    def config_resetstat(self, route: Route | None = None) -> Literal["OK"]:
        """Reset the server's statistics (`CONFIG RESETSTAT`)."""
        return self._run(_server.config_resetstat(), route)

    def config_rewrite(self, route: Route | None = None) -> Literal["OK"]:
        """Write the settings in force to the server's configuration file (`CONFIG REWRITE`)."""
        return self._run(_server.config_rewrite(), route)

    def client_id(self, route: Route | None = None) -> ClusterResponse[int]:
        """Return the server's id of the connection that carried the request, one of the daemon's (`CLIENT ID`)."""
        return self._run(_server.client_id(), route)

    def client_getname(self, route: Route | None = None) -> ClusterResponse[bytes | None]:
        """Return the name of the connection that carried the request, which the daemon set (`CLIENT GETNAME`)."""
        return self._run(_server.client_getname(), route)

    @plain_signature
    def client_pause(
        self,
        timeout: int,
        mode: ClientPauseMode | None = None,
        route: Route | None = None,
        *others: Never,
        **keywords: Never,
    ) -> Literal["OK"]:
        """Make the server hold back all commands, or all writes, for `timeout` milliseconds (`CLIENT PAUSE`)."""
        if others or keywords or timeout is MISSING:
            raise refusal(self, "client_pause", others, keywords)
        return self._run(_server.client_pause(timeout, mode), route)

    def client_unpause(self, route: Route | None = None) -> Literal["OK"]:
        """End a pause (`CLIENT UNPAUSE`)."""
        return self._run(_server.client_unpause(), route)

    def wait(self, numreplicas: int, timeout: int, route: Route | None = None) -> int:
        """Wait until replicas have the writes, at most `timeout` milliseconds (`WAIT`). Return how many have them."""
        return self._run(_server.wait(numreplicas, timeout), route)

    def lolwut(
        self, version: int | None = None, parameters: Iterable[int] | None = None, route: Route | None = None
    ) -> ClusterResponse[bytes]:
        """Return the server's version and a piece of art (`LOLWUT`)."""
        return self._run(_server.lolwut(version, parameters), route)

    def memory_stats(self, route: Route | None = None) -> ClusterResponse[MemoryStats]:
        """Return the server's use of its memory (`MEMORY STATS`)."""
        return self._run(_server.memory_stats(), route)

    def memory_doctor(self, route: Route | None = None) -> ClusterResponse[str]:
        """Return the server's own diagnosis of its memory (`MEMORY DOCTOR`)."""
        return self._run(_server.memory_doctor(), route)

    def memory_malloc_stats(self, route: Route | None = None) -> ClusterResponse[str]:
        """Return the allocator's statistics (`MEMORY MALLOC-STATS`)."""
        return self._run(_server.memory_malloc_stats(), route)

    def memory_purge(self, route: Route | None = None) -> Literal["OK"]:
        """Have the allocator give memory back (`MEMORY PURGE`)."""
        return self._run(_server.memory_purge(), route)

    def latency_history(
        self, event: Argument, route: Route | None = None
    ) -> ClusterResponse[list[LatencyEntry]]:
        """Return the times at which an event was slow, and its delays (`LATENCY HISTORY`)."""
        return self._run(_server.latency_history(event), route)

    def latency_latest(self, route: Route | None = None) -> ClusterResponse[list[LatencyEventInfo]]:
        """Return the last time and the worst delay of each event that was slow (`LATENCY LATEST`)."""
        return self._run(_server.latency_latest(), route)

    def latency_reset(self, *events: Argument, route: Route | None = None) -> int:
        """Forget the slow times of these events, or of all (`LATENCY RESET`). Return how many events were forgotten."""
        return self._run(_server.latency_reset(*events), route)

    @plain_signature
    def script_exists(
        self, sha1s: Iterable[Argument], route: Route | None = None, *others: Never
    ) -> list[bool]:
        """Return whether the server knows the scripts of these hashes (`SCRIPT EXISTS`)."""
        if others or sha1s is MISSING:
            raise refusal(self, "script_exists", others)
        return self._run(_scripting.script_exists(sha1s), route)

    @plain_signature
    def script_flush(
        self, mode: FlushMode | None = None, route: Route | None = None, *others: Never, **keywords: Never
    ) -> Literal["OK"]:
        """Make the server forget all scripts (`SCRIPT FLUSH`)."""
        if others or keywords:
            raise refusal(self, "script_flush", others, keywords)
        return self._run(_scripting.script_flush(mode), route)

    def script_kill(self, route: Route | None = None) -> Literal["OK"]:
        """Stop the running script, if it has not written yet (`SCRIPT KILL`)."""
        return self._run(_scripting.script_kill(), route)

    def function_load(
        self, library_code: Argument, replace: bool = False, route: Route | None = None
    ) -> bytes:
        """Load a library of functions (`FUNCTION LOAD`). Return its name."""
        return self._run(_scripting.function_load(library_code, replace), route)

    @plain_signature
    def function_list(
        self,
        library_name_pattern: Argument | None = None,
        with_code: bool = False,
        route: Route | None = None,
        *others: Never,
        **keywords: Never,
    ) -> ClusterResponse[list[dict[bytes, Any]]]:
        """Return the libraries of functions, each a map (`FUNCTION LIST`)."""
        if others or keywords:
            raise refusal(self, "function_list", others, keywords)
        return self._run(_scripting.function_list(library_name_pattern, with_code), route)

    def function_delete(self, library_name: Argument, route: Route | None = None) -> Literal["OK"]:
        """Delete a library of functions (`FUNCTION DELETE`)."""
        return self._run(_scripting.function_delete(library_name), route)

    def function_flush(self, mode: FlushMode | None = None, route: Route | None = None) -> Literal["OK"]:
        """Delete all libraries of functions (`FUNCTION FLUSH`)."""
        return self._run(_scripting.function_flush(mode), route)

    def function_kill(self, route: Route | None = None) -> Literal["OK"]:
        """Stop the running function, if it has not written yet (`FUNCTION KILL`)."""
        return self._run(_scripting.function_kill(), route)

    def function_stats(self, route: Route | None = None) -> ClusterResponse[dict[bytes, Any]]:
        """Return the running function, and each engine's number of libraries and functions (`FUNCTION STATS`)."""
        return self._run(_scripting.function_stats(), route)

    def function_dump(self, route: Route | None = None) -> ClusterResponse[bytes]:
        """Return all libraries in the server's own serialised form (`FUNCTION DUMP`)."""
        return self._run(_scripting.function_dump(), route)

    def function_restore(
        self, payload: Argument, policy: FunctionRestorePolicy | None = None, route: Route | None = None
    ) -> Literal["OK"]:
        """Load the result of `function_dump` (`FUNCTION RESTORE`)."""
        return self._run(_scripting.function_restore(payload, policy), route)

    @plain_signature
    def copy(
        self,
        source: Argument,
        destination: Argument,
        replace: bool | None = None,
        destinationDB: int | None = None,
        *others: Never,
        **keywords: Never,
    ) -> bool:
        """Copy a value to another key of the same slot (`COPY`). Return whether it was copied."""
        if others or keywords or destination is MISSING:
            raise refusal(self, "copy", others, keywords)
        return self._run(_cluster_only.copy(source, destination, replace, destinationDB))

    def publish(self, message: Argument, channel: Argument, sharded: bool = False) -> int:
        """Send a message to a channel (`PUBLISH`, with `sharded` `SPUBLISH`). Return how many subscribers got it."""
        return self._run(_cluster_only.publish(message, channel, sharded))

    def pubsub_shardchannels(self, pattern: Argument | None = None) -> list[bytes]:
        """Return the sharded channels that have subscribers (`PUBSUB SHARDCHANNELS`)."""
        return self._run(_cluster_only.pubsub_shardchannels(pattern))

    @plain_signature
    def pubsub_shardnumsub(
        self, channels: Iterable[Argument] | None = None, *others: Never
    ) -> dict[bytes, int]:
        """Return how many subscribers each of the sharded channels has (`PUBSUB SHARDNUMSUB`)."""
        if others:
            raise refusal(self, "pubsub_shardnumsub", others)
        return self._run(_cluster_only.pubsub_shardnumsub(channels))

    @plain_signature
    def migrate(
        self,
        host: str,
        port: int,
        key: Argument,
        destination_db: int,
        timeout: int,
        options: MigrateOptions | None = None,
        *others: Never,
        **keywords: Never,
    ) -> Literal["OK"] | bytes:
        """Move a key to another server (`MIGRATE`), with `timeout` in milliseconds. Return `"OK"` or `b"NOKEY"`."""
        if others or keywords or timeout is MISSING:
            raise refusal(self, "migrate", others, keywords)
        return self._run(_cluster_only.migrate(host, port, key, destination_db, timeout, options))

    def fcall_route(
        self, function: Argument, arguments: Iterable[Argument] | None = None, route: Route | None = None
    ) -> ClusterResponse[Any]:
        """Call a function without keys, on the nodes of a route (`FCALL`)."""
        return self._run(_cluster_only.fcall_route(function, arguments), route)

    def fcall_ro_route(
        self, function: Argument, arguments: Iterable[Argument] | None = None, route: Route | None = None
    ) -> ClusterResponse[Any]:
        """Call a function that only reads, without keys, on the nodes of a route (`FCALL_RO`)."""
        return self._run(_cluster_only.fcall_ro_route(function, arguments), route)
