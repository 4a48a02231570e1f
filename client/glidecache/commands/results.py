"""Results that are objects with fields: of `MEMORY STATS` and `LATENCY`."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from glidecache.commands.decoding import to_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_AS_FIELD = bytes.maketrans(b".-", b"__")
_DATABASE = b"db."


@dataclass
class MemoryStatsDb:
    """The memory that a database needs besides its keys and values, in bytes."""

    overhead_hashtable_main: int
    overhead_hashtable_expires: int


@dataclass
class MemoryStats:
    """A server's use of its memory: bytes, counts and ratios by the server's own names, with `_` for `.` and `-`.

    `db` has a part for each database that is not empty. None: the server is older than the figure.
    """

    db: dict[int, MemoryStatsDb] = field(default_factory=dict)

    allocator_active: int = 0
    allocator_allocated: int = 0
    allocator_fragmentation_bytes: int = 0
    allocator_resident: int = 0
    allocator_rss_bytes: int = 0
    aof_buffer: int = 0
    clients_normal: int = 0
    clients_slaves: int = 0
    dataset_bytes: int = 0
    fragmentation_bytes: int = 0
    keys_bytes_per_key: int = 0
    keys_count: int = 0
    lua_caches: int = 0
    overhead_total: int = 0
    peak_allocated: int = 0
    replication_backlog: int = 0
    rss_overhead_bytes: int = 0
    startup_allocated: int = 0
    total_allocated: int = 0

    allocator_fragmentation_ratio: float = 0.0
    allocator_rss_ratio: float = 0.0
    dataset_percentage: float = 0.0
    fragmentation: float = 0.0
    peak_percentage: float = 0.0
    rss_overhead_ratio: float = 0.0

    cluster_links: int | None = None
    functions_caches: int | None = None
    allocator_muzzy: int | None = None
    db_dict_rehashing_count: int | None = None
    overhead_db_hashtable_lut: int | None = None
    overhead_db_hashtable_rehashing: int | None = None


@dataclass
class LatencyEntry:
    """A time at which an event was slow: a Unix time in seconds, and its duration in milliseconds."""

    time: int
    latency: int


@dataclass
class LatencyEventInfo:
    """An event that was slow: the last time (Unix, in seconds), and milliseconds.

    sum, count: of all times that the server remembers; None before Valkey 8.1.
    """

    event_name: str
    latest_time: int
    latest_duration: int
    max_duration: int
    sum: int | None = None
    count: int | None = None


_NUMBERS = {
    each.name: float if each.type == "float" else int for each in fields(MemoryStats) if each.name != "db"
}


def to_memory_stats(reply: Any) -> MemoryStats:
    """Convert `MEMORY STATS`; figures that this version does not know are left out."""
    stats = MemoryStats()
    for name, value in to_map(reply).items():
        database = name.removeprefix(_DATABASE)
        if database != name and database.isdigit():
            stats.db[int(database)] = _to_database(to_map(value))
            continue
        attribute = name.translate(_AS_FIELD).decode()
        if attribute in _NUMBERS:
            setattr(stats, attribute, _NUMBERS[attribute](value))
    return stats


def to_latency_history(reply: list[list[int]]) -> list[LatencyEntry]:
    """Convert `LATENCY HISTORY`."""
    return [LatencyEntry(*entry) for entry in reply]


def to_latest_latencies(reply: list[list[Any]]) -> list[LatencyEventInfo]:
    """Convert `LATENCY LATEST`."""
    return [LatencyEventInfo(name.decode(), *numbers) for name, *numbers in reply]


def _to_database(stats: dict[bytes, Any]) -> MemoryStatsDb:
    return MemoryStatsDb(
        overhead_hashtable_main=int(stats[b"overhead.hashtable.main"]),
        overhead_hashtable_expires=int(stats[b"overhead.hashtable.expires"]),
    )
