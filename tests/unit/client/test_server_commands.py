"""Server, diagnostic, and administrative commands: what is sent, what it becomes, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from glidecache import (
    ClientPauseMode,
    LatencyEntry,
    LatencyEventInfo,
    MemoryStats,
    MemoryStatsDb,
    MigrateOptions,
)
from glidecache.commands import cluster_only, scripting, server, standalone_only

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecache.commands.command import Command

SENT = [
    (server.client_pause(50), "CLIENT PAUSE 50"),
    (server.client_pause(50, ClientPauseMode.WRITE), "CLIENT PAUSE 50 WRITE"),
    (server.bgsave_schedule(), "BGSAVE SCHEDULE"),
    (server.latency_reset(), "LATENCY RESET"),
    (server.latency_reset("command", b"fork"), "LATENCY RESET command fork"),
    (standalone_only.failover(), "FAILOVER"),
    (standalone_only.failover("h", 1, True, timeout_ms=5), "FAILOVER TO h 1 FORCE TIMEOUT 5"),
    (standalone_only.failover("h", 1), "FAILOVER TO h 1"),
    (standalone_only.failover(abort=True), "FAILOVER ABORT"),
    (standalone_only.replicaof("h", 1), "REPLICAOF h 1"),
    (standalone_only.replicaof_no_one(), "REPLICAOF NO ONE"),
    (standalone_only.migrate("h", 1, "k", 0, 9), "MIGRATE h 1 k 0 9"),
    (cluster_only.migrate("h", 1, "k", 0, 9, MigrateOptions(True, True)), "MIGRATE h 1 k 0 9 COPY REPLACE"),
    (cluster_only.migrate("h", 1, "k", 0, 9, MigrateOptions(password="p")), "MIGRATE h 1 k 0 9 AUTH p"),
    (
        cluster_only.migrate("h", 1, "k", 0, 9, MigrateOptions(password="p", username="u")),
        "MIGRATE h 1 k 0 9 AUTH2 u p",
    ),
    (cluster_only.fcall_route("f", ["a"]), "FCALL f 0 a"),
    (cluster_only.fcall_ro_route("f"), "FCALL_RO f 0"),
]


@pytest.mark.parametrize(("command", "sent"), SENT, ids=[sent for _, sent in SENT])
def test_what_is_sent(command: Command[Any], sent: str) -> None:
    assert command.args == sent.encode().split()


def test_several_keys_migrate_behind_the_options() -> None:
    command = standalone_only.migrate("h", 1, ["a", "b"], 0, 9, MigrateOptions(copy=True))
    assert command.args == [b"MIGRATE", b"h", b"1", b"", b"0", b"9", b"COPY", b"KEYS", b"a", b"b"]


DATABASE = [b"overhead.hashtable.main", 10, b"overhead.hashtable.expires", 20]
STATS = [
    *(b"peak.allocated", 5, b"db.0", DATABASE, b"db.dict.rehashing.count", 3),
    *(b"allocator-fragmentation.ratio", b"1.5", b"overhead.db.hashtable.lut", 7, b"figure.of.tomorrow", 1),
]
EXPECTED_STATS = MemoryStats(
    db={0: MemoryStatsDb(10, 20)},
    peak_allocated=5,
    db_dict_rehashing_count=3,
    allocator_fragmentation_ratio=1.5,
    overhead_db_hashtable_lut=7,
)


def as_map(flat: list[Any]) -> dict[bytes, Any]:
    return {
        name: as_map(value) if isinstance(value, list) else value
        for name, value in zip(flat[::2], flat[1::2], strict=True)
    }


ENGINES = [b"LUA", [b"libraries_count", 1, b"functions_count", 2]]
FUNCTION_STATS = {b"running_script": as_map([b"name", b"f"]), b"engines": as_map(ENGINES)}

DECODED = [
    (server.memory_stats(), STATS, EXPECTED_STATS),
    (server.memory_stats(), as_map(STATS), EXPECTED_STATS),
    (server.latency_history("e"), [[1, 2], [3, 4]], [LatencyEntry(1, 2), LatencyEntry(3, 4)]),
    (server.latency_latest(), [[b"e", 1, 2, 3]], [LatencyEventInfo("e", 1, 2, 3)]),
    (server.latency_latest(), [[b"e", 1, 2, 3, 4, 5]], [LatencyEventInfo("e", 1, 2, 3, 4, 5)]),
    (
        scripting.function_stats(),
        [b"running_script", [b"name", b"f"], b"engines", ENGINES],
        FUNCTION_STATS,
    ),
    (scripting.function_stats(), FUNCTION_STATS, FUNCTION_STATS),
    (standalone_only.function_stats(), FUNCTION_STATS, {b"primary": FUNCTION_STATS}),
    (standalone_only.migrate("h", 1, "k", 0, 9), b"OK", "OK"),
    (standalone_only.migrate("h", 1, "k", 0, 9), b"NOKEY", b"NOKEY"),
    (server.client_getname(), None, None),
]


@pytest.mark.parametrize(("command", "reply", "result"), DECODED)
def test_c5_what_a_reply_becomes(command: Command[Any], reply: Any, result: Any) -> None:
    decoded = command.result(reply)
    assert decoded == result
    assert type(decoded) is type(result)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: server.client_pause(5, "WRITE"), TypeError, "mode must be a ClientPauseMode, not str"),
        (lambda: standalone_only.failover("h"), ValueError, "host and port go together"),
        (lambda: standalone_only.failover(force=True), ValueError, "force needs host and port"),
        (lambda: standalone_only.migrate("h", 1, [], 0, 9), ValueError, "keys must not be empty"),
        (
            lambda: standalone_only.migrate("h", 1, "k", 0, 9, True),
            TypeError,
            "options must be a MigrateOptions",
        ),
        (
            lambda: cluster_only.migrate("h", 1, "k", 0, 9, MigrateOptions(username="u")),
            ValueError,
            "a username needs a password",
        ),
        (lambda: server.latency_reset(["a"]), TypeError, r"events\[0\] must be bytes"),
    ],
)
def test_what_is_refused(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
