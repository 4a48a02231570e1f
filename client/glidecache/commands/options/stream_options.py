"""Options of the stream commands: ranges, trimming, reading, groups and claims."""

from __future__ import annotations

from glidecache.commands.encoding import encode, need

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

    from glidecache.commands.encoding import Argument


class StreamTrimOptions:
    """The base of the ways to trim a stream: exactly, or nearly, which costs the server less.

    limit: the most entries to remove. Raises `ValueError` for a `limit` when `exact`.
    """

    __slots__ = ("exact", "limit", "threshold")

    _method: bytes

    def __init__(self, exact: bool, threshold: Argument, limit: int | None = None) -> None:
        if exact and limit:
            message = "limit goes with exact=False only: what is exact cannot stop halfway"
            raise ValueError(message)
        self.exact = exact
        self.threshold = threshold
        self.limit = limit

    def to_args(self) -> list[bytes]:
        """Return the option as arguments of a command. Raises `TypeError`."""
        args = [self._method, b"=" if self.exact else b"~", encode(self.threshold, "threshold")]
        return args + _option(b"LIMIT", self.limit, "limit")


class TrimByMinId(StreamTrimOptions):
    """A trim that removes entries whose ID is lower than `threshold`."""

    __slots__ = ()

    _method = b"MINID"


class TrimByMaxLen(StreamTrimOptions):
    """A trim that removes the oldest entries until `threshold` of them are left."""

    __slots__ = ()

    _method = b"MAXLEN"

    def __init__(self, exact: bool, threshold: int, limit: int | None = None) -> None:
        super().__init__(exact, threshold, limit)


class StreamAddOptions:
    """The options of `XADD`: an ID of the caller's choice, no new stream if none exists, trimming old entries."""

    __slots__ = ("id", "make_stream", "trim")

    def __init__(
        self, id: Argument | None = None, make_stream: bool = True, trim: StreamTrimOptions | None = None
    ) -> None:
        self.id = id
        self.make_stream = make_stream
        self.trim = trim

    def to_args(self) -> list[bytes]:
        """Return the option as arguments of a command, the ID last. Raises `TypeError`."""
        args = [] if self.make_stream else [b"NOMKSTREAM"]
        if self.trim is not None:
            need(self.trim, StreamTrimOptions, "trim")
            args += self.trim.to_args()
        return [*args, encode(self.id, "id") if self.id else b"*"]


class StreamRangeBound:
    """The base of the bounds of a range of entries."""

    __slots__ = ("stream_id",)

    stream_id: Argument

    def to_arg(self) -> Argument:
        """Return the bound as the command carries it."""
        return self.stream_id


class MinId(StreamRangeBound):
    """The lowest ID of the stream."""

    __slots__ = ()

    def __init__(self) -> None:
        self.stream_id = "-"


class MaxId(StreamRangeBound):
    """The highest ID of the stream."""

    __slots__ = ()

    def __init__(self) -> None:
        self.stream_id = "+"


class IdBound(StreamRangeBound):
    """An ID that belongs to the range; it may be a time in ms alone."""

    __slots__ = ()

    @classmethod
    def from_timestamp(cls, timestamp: int) -> Self:
        """Return the bound for all entries of a time in ms."""
        return cls(str(timestamp))

    def __init__(self, stream_id: Argument) -> None:
        self.stream_id = stream_id


class ExclusiveIdBound(IdBound):
    """An ID that does not belong to the range; it may be a time in ms alone."""

    __slots__ = ()

    def __init__(self, stream_id: Argument) -> None:
        text = isinstance(stream_id, str)
        self.stream_id = f"({stream_id!s}" if text else b"(" + encode(stream_id, "stream_id")


class StreamReadOptions:
    """The options of `XREAD`: the number of entries, and the longest wait. `block_ms` 0 waits without end."""

    __slots__ = ("block_ms", "count")

    def __init__(self, block_ms: int | None = None, count: int | None = None) -> None:
        self.block_ms = block_ms
        self.count = count

    def to_args(self) -> list[bytes]:
        """Return the option as arguments of a command. Raises `TypeError`."""
        return _option(b"BLOCK", self.block_ms, "block_ms") + _option(b"COUNT", self.count, "count")


class StreamReadGroupOptions(StreamReadOptions):
    """The options of `StreamReadOptions`, and `no_ack`: entries that are read count as acknowledged."""

    __slots__ = ("no_ack",)

    def __init__(self, no_ack: bool = False, block_ms: int | None = None, count: int | None = None) -> None:
        super().__init__(block_ms, count)
        self.no_ack = no_ack

    def to_args(self) -> list[bytes]:
        """Return the option as arguments of a command. Raises `TypeError`."""
        return super().to_args() + ([b"NOACK"] if self.no_ack else [])


class StreamGroupOptions:
    """The options of a new group: make its stream if necessary, the number of entries that count as read (Valkey 7)."""

    __slots__ = ("entries_read", "make_stream")

    def __init__(self, make_stream: bool = False, entries_read: int | None = None) -> None:
        self.make_stream = make_stream
        self.entries_read = entries_read

    def to_args(self) -> list[bytes]:
        """Return the option as arguments of a command. Raises `TypeError`."""
        args = [b"MKSTREAM"] if self.make_stream else []
        return args + _option(b"ENTRIESREAD", self.entries_read, "entries_read")


class StreamPendingOptions:
    """The choice of pending entries: those that were not touched for so long, those of one consumer."""

    __slots__ = ("consumer_name", "min_idle_time")

    def __init__(self, min_idle_time_ms: int | None = None, consumer_name: Argument | None = None) -> None:
        self.min_idle_time = min_idle_time_ms
        self.consumer_name = consumer_name


class StreamClaimOptions:
    """The delivery of an entry after its claim: its idle time, as a span or as a Unix time in ms.

    retry_count: how often it counts as delivered. is_force: claim also entries that no consumer has.
    """

    __slots__ = ("idle", "idle_unix_time", "is_force", "retry_count")

    def __init__(
        self,
        idle: int | None = None,
        idle_unix_time: int | None = None,
        retry_count: int | None = None,
        is_force: bool | None = False,
    ) -> None:
        self.idle = idle
        self.idle_unix_time = idle_unix_time
        self.retry_count = retry_count
        self.is_force = is_force

    def to_args(self) -> list[bytes]:
        """Return the option as arguments of a command. Raises `TypeError`."""
        return [
            *_option(b"IDLE", self.idle, "idle"),
            *_option(b"TIME", self.idle_unix_time, "idle_unix_time"),
            *_option(b"RETRYCOUNT", self.retry_count, "retry_count"),
            *([b"FORCE"] if self.is_force else []),
        ]


def _option(keyword: bytes, value: Argument | None, name: str) -> list[bytes]:
    return [] if value is None else [keyword, encode(value, name)]
