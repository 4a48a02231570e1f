"""Commands that are added to a batch, one method per command. Written by tools/generate_commands.py: do not edit."""
# ruff: noqa: I001, RUF100, N803 - lazy modules stand apart; GLIDE's names of arguments

from __future__ import annotations

from glidecache.core.lazy_import import LazyModule
from glidecache.core.plain_signature import MISSING, plain_signature, refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, Never, Self

    from glidecache.commands.command import Command
    from glidecache.commands.encoding import AnyMapping, Argument
    from glidecache.commands.options.bitmaps import (
        BitFieldGet,
        BitFieldSubCommands,
        BitwiseOperation,
        OffsetOptions,
    )
    from glidecache.commands.options.ranges import (
        AggregationType,
        GeoSearchByBox,
        GeoSearchByRadius,
        GeoSearchCount,
        GeoUnit,
        GeospatialData,
        InfBound,
        InsertPosition,
        LexBoundary,
        Limit,
        ListDirection,
        OrderBy,
        RangeByIndex,
        RangeByLex,
        RangeByScore,
        ScoreBoundary,
        ScoreFilter,
    )
    from glidecache.commands.options.server import (
        ClientPauseMode,
        FlushMode,
        FunctionRestorePolicy,
        InfoSection,
        MigrateOptions,
        ObjectType,
    )
    from glidecache.commands.options.stream_options import (
        StreamAddOptions,
        StreamClaimOptions,
        StreamGroupOptions,
        StreamPendingOptions,
        StreamRangeBound,
        StreamReadGroupOptions,
        StreamReadOptions,
        StreamTrimOptions,
    )
    from glidecache.commands.options.writes import (
        ConditionalChange,
        ExpireOptions,
        ExpiryGetEx,
        ExpirySet,
        HashFieldConditionalChange,
        UpdateOptions,
        ValueComparison,
    )

    from glidecache.commands import batched as _batched
    from glidecache.commands import geo as _geo
    from glidecache.commands import hashes as _hashes
    from glidecache.commands import keys as _keys
    from glidecache.commands import lists as _lists
    from glidecache.commands import scripting as _scripting
    from glidecache.commands import server as _server
    from glidecache.commands import sets as _sets
    from glidecache.commands import sorted_sets as _sorted_sets
    from glidecache.commands import standalone_only as _standalone_only
    from glidecache.commands import streams as _streams
    from glidecache.commands import strings as _strings
else:
    _batched = LazyModule("glidecache.commands.batched")
    _geo = LazyModule("glidecache.commands.geo")
    _hashes = LazyModule("glidecache.commands.hashes")
    _keys = LazyModule("glidecache.commands.keys")
    _lists = LazyModule("glidecache.commands.lists")
    _scripting = LazyModule("glidecache.commands.scripting")
    _server = LazyModule("glidecache.commands.server")
    _sets = LazyModule("glidecache.commands.sets")
    _sorted_sets = LazyModule("glidecache.commands.sorted_sets")
    _standalone_only = LazyModule("glidecache.commands.standalone_only")
    _streams = LazyModule("glidecache.commands.streams")
    _strings = LazyModule("glidecache.commands.strings")


class BatchCommands:
    """Commands that are added to a batch: those of every server."""

    __slots__ = ()

    if TYPE_CHECKING:

        def _add(self, command: Command[Any]) -> Self: ...

    @plain_signature
    def set(
        self,
        key: Argument,
        value: Argument,
        conditional_set: ConditionalChange | ValueComparison | None = None,
        expiry: ExpirySet | None = None,
        return_old_value: bool = False,
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Set `key` to `value` (`SET`). Return `"OK"`; None if the condition was not met."""
        if others or keywords or value is MISSING:
            raise refusal(self, "set", others, keywords)
        return self._add(_strings.set(key, value, conditional_set, expiry, return_old_value))

    def getdel(self, key: Argument) -> Self:
        """Return the value of `key`, and delete it (`GETDEL`); None if there is none."""
        return self._add(_strings.getdel(key))

    @plain_signature
    def getex(
        self, key: Argument, expiry: ExpiryGetEx | None = None, *others: Never, **keywords: Never
    ) -> Self:
        """Return the value of `key`, and change its expiry (`GETEX`); None if there is none."""
        if others or keywords or key is MISSING:
            raise refusal(self, "getex", others, keywords)
        return self._add(_strings.getex(key, expiry))

    def getrange(self, key: Argument, start: int, end: int) -> Self:
        """Return the bytes of `key` from `start` to `end`, both included (`GETRANGE`)."""
        return self._add(_strings.getrange(key, start, end))

    def setrange(self, key: Argument, offset: int, value: Argument) -> Self:
        """Write `value` over the bytes at `offset` (`SETRANGE`). Return the length afterwards."""
        return self._add(_strings.setrange(key, offset, value))

    def append(self, key: Argument, value: Argument) -> Self:
        """Append to `key` (`APPEND`). Return the length afterwards."""
        return self._add(_strings.append(key, value))

    def strlen(self, key: Argument) -> Self:
        """Return the length of the value in bytes (`STRLEN`); 0 if there is none."""
        return self._add(_strings.strlen(key))

    @plain_signature
    def mget(self, keys: Iterable[Argument], *others: Never) -> Self:
        """Return the values of many keys, bypassing the cache (`MGET`); `get_many` uses the cache."""
        if others or keys is MISSING:
            raise refusal(self, "mget", others)
        return self._add(_strings.mget(keys))

    def mset(self, key_value_map: AnyMapping[Argument, Argument]) -> Self:
        """Set many keys at once (`MSET`)."""
        return self._add(_strings.mset(key_value_map))

    def msetnx(self, key_value_map: AnyMapping[Argument, Argument]) -> Self:
        """Set many keys at once, or none if one of them exists (`MSETNX`). Return whether they were set."""
        return self._add(_strings.msetnx(key_value_map))

    @plain_signature
    def incr(self, key: Argument, *others: Never, **keywords: Never) -> Self:
        """Add 1 (`INCR`). Return the number afterwards."""
        if others or keywords or key is MISSING:
            raise refusal(self, "incr", others, keywords)
        return self._add(_strings.incr(key))

    @plain_signature
    def incrby(self, key: Argument, amount: int, *others: Never) -> Self:
        """Add `amount` (`INCRBY`). Return the number afterwards."""
        if others or amount is MISSING:
            raise refusal(self, "incrby", others)
        return self._add(_strings.incrby(key, amount))

    @plain_signature
    def incrbyfloat(self, key: Argument, amount: float, *others: Never) -> Self:
        """Add `amount` (`INCRBYFLOAT`). Return the number afterwards."""
        if others or amount is MISSING:
            raise refusal(self, "incrbyfloat", others)
        return self._add(_strings.incrbyfloat(key, amount))

    @plain_signature
    def decr(self, key: Argument, *others: Never, **keywords: Never) -> Self:
        """Subtract 1 (`DECR`). Return the number afterwards."""
        if others or keywords or key is MISSING:
            raise refusal(self, "decr", others, keywords)
        return self._add(_strings.decr(key))

    @plain_signature
    def decrby(self, key: Argument, amount: int, *others: Never) -> Self:
        """Subtract `amount` (`DECRBY`). Return the number afterwards."""
        if others or amount is MISSING:
            raise refusal(self, "decrby", others)
        return self._add(_strings.decrby(key, amount))

    def delifeq(self, key: Argument, value: Argument) -> Self:
        """Delete `key` if its value equals `value` (`DELIFEQ`; Valkey 9). Return whether it did."""
        return self._add(_strings.delifeq(key, value))

    @plain_signature
    def lcs(self, key1: Argument, key2: Argument, *others: Never, **keywords: Never) -> Self:
        """Return the longest common subsequence of two values (`LCS`)."""
        if others or keywords or key2 is MISSING:
            raise refusal(self, "lcs", others, keywords)
        return self._add(_strings.lcs(key1, key2))

    def lcs_len(self, key1: Argument, key2: Argument) -> Self:
        """Return the length of the longest common subsequence (`LCS … LEN`)."""
        return self._add(_strings.lcs_len(key1, key2))

    def lcs_idx(
        self,
        key1: Argument,
        key2: Argument,
        min_match_len: int | None = None,
        with_match_len: bool | None = False,
    ) -> Self:
        """Return the places of the longest common subsequence in both values (`LCS … IDX`)."""
        return self._add(_strings.lcs_idx(key1, key2, min_match_len, with_match_len))

    def setbit(self, key: Argument, offset: int, value: int) -> Self:
        """Set or clear the bit at `offset` (`SETBIT`). Return the bit that was there."""
        return self._add(_strings.setbit(key, offset, value))

    def getbit(self, key: Argument, offset: int) -> Self:
        """Return the bit at `offset` (`GETBIT`); 0 past the end."""
        return self._add(_strings.getbit(key, offset))

    @plain_signature
    def bitcount(
        self, key: Argument, options: OffsetOptions | None = None, *others: Never, **keywords: Never
    ) -> Self:
        """Return how many bits are set, in the whole string or in a part of it (`BITCOUNT`)."""
        if others or keywords or key is MISSING:
            raise refusal(self, "bitcount", others, keywords)
        return self._add(_strings.bitcount(key, options))

    @plain_signature
    def bitpos(
        self, key: Argument, bit: int, options: OffsetOptions | None = None, *others: Never, **keywords: Never
    ) -> Self:
        """Return the place of the first bit that is `bit` (`BITPOS`); -1 if there is none."""
        if others or keywords or bit is MISSING:
            raise refusal(self, "bitpos", others, keywords)
        return self._add(_strings.bitpos(key, bit, options))

    @plain_signature
    def bitop(
        self, operation: BitwiseOperation, destination: Argument, keys: Iterable[Argument], *others: Never
    ) -> Self:
        """Combine strings bit by bit, into `destination` (`BITOP`). Return its length in bytes."""
        if others or keys is MISSING:
            raise refusal(self, "bitop", others)
        return self._add(_strings.bitop(operation, destination, keys))

    @plain_signature
    def bitfield(
        self, key: Argument, subcommands: Iterable[BitFieldSubCommands], *others: Never, **keywords: Never
    ) -> Self:
        """Read and write integers of any length within a string (`BITFIELD`). Return each step's result."""
        if others or keywords or subcommands is MISSING:
            raise refusal(self, "bitfield", others, keywords)
        return self._add(_strings.bitfield(key, subcommands))

    def bitfield_read_only(self, key: Argument, subcommands: Iterable[BitFieldGet]) -> Self:
        """Read integers of any length within a string, from replicas too (`BITFIELD_RO`)."""
        return self._add(_strings.bitfield_read_only(key, subcommands))

    @plain_signature
    def pfadd(self, key: Argument, elements: Iterable[Argument], *others: Never) -> Self:
        """Count elements (`PFADD`). Return whether the estimate has changed."""
        if others or elements is MISSING:
            raise refusal(self, "pfadd", others)
        return self._add(_strings.pfadd(key, elements))

    @plain_signature
    def pfcount(self, keys: Iterable[Argument], *others: Never) -> Self:
        """Estimate the number of different elements that were counted, in all keys together (`PFCOUNT`)."""
        if others or keys is MISSING:
            raise refusal(self, "pfcount", others)
        return self._add(_strings.pfcount(keys))

    @plain_signature
    def pfmerge(self, destination: Argument, source_keys: Iterable[Argument], *others: Never) -> Self:
        """Count in `destination` the elements that were counted in the others (`PFMERGE`)."""
        if others or source_keys is MISSING:
            raise refusal(self, "pfmerge", others)
        return self._add(_strings.pfmerge(destination, source_keys))

    @plain_signature
    def delete(self, keys: Iterable[Argument], *others: Never) -> Self:
        """Delete keys (`DEL`). Return how many there were. The cache is not touched (contract C15)."""
        if others or keys is MISSING:
            raise refusal(self, "delete", others)
        return self._add(_keys.delete(keys))

    @plain_signature
    def unlink(self, keys: Iterable[Argument], *others: Never) -> Self:
        """Delete keys, giving their memory back later (`UNLINK`). Return how many there were."""
        if others or keys is MISSING:
            raise refusal(self, "unlink", others)
        return self._add(_keys.unlink(keys))

    @plain_signature
    def exists(self, keys: Iterable[Argument], *others: Never) -> Self:
        """Return how many of the keys exist; a key given twice counts twice (`EXISTS`)."""
        if others or keys is MISSING:
            raise refusal(self, "exists", others)
        return self._add(_keys.exists(keys))

    @plain_signature
    def touch(self, keys: Iterable[Argument], *others: Never) -> Self:
        """Mark keys as used just now on the server (`TOUCH`). Return how many exist."""
        if others or keys is MISSING:
            raise refusal(self, "touch", others)
        return self._add(_keys.touch(keys))

    def type(self, key: Argument) -> Self:
        """Return the type of the value: `b"string"`, `b"hash"`, …, `b"none"` if there is none (`TYPE`)."""
        return self._add(_keys.type(key))

    @plain_signature
    def expire(
        self,
        key: Argument,
        seconds: int,
        option: ExpireOptions | None = None,
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Let `key` expire after `seconds` (`EXPIRE`). Return whether that was set."""
        if others or keywords or seconds is MISSING:
            raise refusal(self, "expire", others, keywords)
        return self._add(_keys.expire(key, seconds, option))

    @plain_signature
    def expireat(
        self,
        key: Argument,
        unix_seconds: int,
        option: ExpireOptions | None = None,
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Let `key` expire at a Unix time in seconds (`EXPIREAT`). Return whether that was set."""
        if others or keywords or unix_seconds is MISSING:
            raise refusal(self, "expireat", others, keywords)
        return self._add(_keys.expireat(key, unix_seconds, option))

    @plain_signature
    def pexpire(
        self,
        key: Argument,
        milliseconds: int,
        option: ExpireOptions | None = None,
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Let `key` expire after `milliseconds` (`PEXPIRE`). Return whether that was set."""
        if others or keywords or milliseconds is MISSING:
            raise refusal(self, "pexpire", others, keywords)
        return self._add(_keys.pexpire(key, milliseconds, option))

    @plain_signature
    def pexpireat(
        self,
        key: Argument,
        unix_milliseconds: int,
        option: ExpireOptions | None = None,
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Let `key` expire at a Unix time in milliseconds (`PEXPIREAT`). Return whether that was set."""
        if others or keywords or unix_milliseconds is MISSING:
            raise refusal(self, "pexpireat", others, keywords)
        return self._add(_keys.pexpireat(key, unix_milliseconds, option))

    def expiretime(self, key: Argument) -> Self:
        """Return the Unix time in seconds when `key` expires; -1: never, -2: no such key (`EXPIRETIME`)."""
        return self._add(_keys.expiretime(key))

    def pexpiretime(self, key: Argument) -> Self:
        """Return the Unix time in milliseconds when `key` expires; -1: never, -2: no such key (`PEXPIRETIME`)."""
        return self._add(_keys.pexpiretime(key))

    def ttl(self, key: Argument) -> Self:
        """Return the seconds that `key` has to live; -1: forever, -2: there is no such key (`TTL`)."""
        return self._add(_keys.ttl(key))

    def pttl(self, key: Argument) -> Self:
        """Return the milliseconds that `key` has to live; -1: forever, -2: there is no such key (`PTTL`)."""
        return self._add(_keys.pttl(key))

    def persist(self, key: Argument) -> Self:
        """Let `key` live forever (`PERSIST`). Return whether it had an expiry."""
        return self._add(_keys.persist(key))

    def rename(self, key: Argument, new_key: Argument) -> Self:
        """Rename a key, and replace a key that already has the new name (`RENAME`)."""
        return self._add(_keys.rename(key, new_key))

    def renamenx(self, key: Argument, new_key: Argument) -> Self:
        """Rename a key unless the new name is taken (`RENAMENX`). Return whether it was renamed."""
        return self._add(_keys.renamenx(key, new_key))

    def move(self, key: Argument, db_index: int) -> Self:
        """Move a key to another database (`MOVE`). Return whether it was moved."""
        return self._add(_keys.move(key, db_index))

    def dump(self, key: Argument) -> Self:
        """Return the value in the server's own serialised form (`DUMP`); None if there is none."""
        return self._add(_keys.dump(key))

    def restore(
        self,
        key: Argument,
        ttl: int,
        value: Argument,
        replace: bool = False,
        absttl: bool = False,
        idletime: int | None = None,
        frequency: int | None = None,
    ) -> Self:
        """Make a key from the result of `dump` (`RESTORE`), to live `ttl` milliseconds; 0: forever."""
        return self._add(_keys.restore(key, ttl, value, replace, absttl, idletime, frequency))

    def object_encoding(self, key: Argument) -> Self:
        """Return the server's encoding of the value (`OBJECT ENCODING`); None if there is none."""
        return self._add(_keys.object_encoding(key))

    def object_freq(self, key: Argument) -> Self:
        """Return the server's access frequency counter of the key (`OBJECT FREQ`); None if there is none."""
        return self._add(_keys.object_freq(key))

    def object_idletime(self, key: Argument) -> Self:
        """Return the seconds since the last access on the server (`OBJECT IDLETIME`); None if there is no such key."""
        return self._add(_keys.object_idletime(key))

    def object_refcount(self, key: Argument) -> Self:
        """Return the server's reference count of the value (`OBJECT REFCOUNT`); None if there is none."""
        return self._add(_keys.object_refcount(key))

    def random_key(self) -> Self:
        """Return any key (`RANDOMKEY`); None if there is none."""
        return self._add(_keys.random_key())

    @plain_signature
    def sort(
        self,
        key: Argument,
        by_pattern: Argument | None = None,
        limit: Limit | None = None,
        get_patterns: Iterable[Argument] | None = None,
        order: OrderBy | None = None,
        alpha: bool | None = None,
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Return the elements of a list, set or sorted set in order (`SORT`)."""
        if others or keywords or key is MISSING:
            raise refusal(self, "sort", others, keywords)
        return self._add(_keys.sort(key, by_pattern, limit, get_patterns, order, alpha))

    @plain_signature
    def sort_ro(
        self,
        key: Argument,
        by_pattern: Argument | None = None,
        limit: Limit | None = None,
        get_patterns: Iterable[Argument] | None = None,
        order: OrderBy | None = None,
        alpha: bool | None = None,
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Return the same as `sort`, also from replicas (`SORT_RO`)."""
        if others or keywords or key is MISSING:
            raise refusal(self, "sort_ro", others, keywords)
        return self._add(_keys.sort_ro(key, by_pattern, limit, get_patterns, order, alpha))

    def sort_store(
        self,
        key: Argument,
        destination: Argument,
        by_pattern: Argument | None = None,
        limit: Limit | None = None,
        get_patterns: Iterable[Argument] | None = None,
        order: OrderBy | None = None,
        alpha: bool | None = None,
    ) -> Self:
        """Store the result of `sort` as a list at `destination` (`SORT … STORE`). Return its length."""
        return self._add(_keys.sort_store(key, destination, by_pattern, limit, get_patterns, order, alpha))

    @plain_signature
    def hset(
        self,
        key: Argument,
        field_value_map: AnyMapping[Argument, Argument],
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Set fields (`HSET`). Return how many of them are new."""
        if others or keywords or field_value_map is MISSING:
            raise refusal(self, "hset", others, keywords)
        return self._add(_hashes.hset(key, field_value_map))

    def hsetnx(self, key: Argument, field: Argument, value: Argument) -> Self:
        """Set a field that does not exist yet (`HSETNX`). Return whether it was set."""
        return self._add(_hashes.hsetnx(key, field, value))

    def hget(self, key: Argument, field: Argument) -> Self:
        """Return the value of a field (`HGET`); None if there is none."""
        return self._add(_hashes.hget(key, field))

    @plain_signature
    def hmget(self, key: Argument, fields: Iterable[Argument], *others: Never) -> Self:
        """Return the values of fields (`HMGET`); None for each missing one."""
        if others or fields is MISSING:
            raise refusal(self, "hmget", others)
        return self._add(_hashes.hmget(key, fields))

    @plain_signature
    def hdel(self, key: Argument, fields: Iterable[Argument], *others: Never) -> Self:
        """Delete fields (`HDEL`). Return how many there were."""
        if others or fields is MISSING:
            raise refusal(self, "hdel", others)
        return self._add(_hashes.hdel(key, fields))

    def hexists(self, key: Argument, field: Argument) -> Self:
        """Return whether the hash has the field (`HEXISTS`)."""
        return self._add(_hashes.hexists(key, field))

    def hlen(self, key: Argument) -> Self:
        """Return how many fields the hash has (`HLEN`)."""
        return self._add(_hashes.hlen(key))

    def hkeys(self, key: Argument) -> Self:
        """Return all fields (`HKEYS`)."""
        return self._add(_hashes.hkeys(key))

    def hvals(self, key: Argument) -> Self:
        """Return all values (`HVALS`)."""
        return self._add(_hashes.hvals(key))

    def hstrlen(self, key: Argument, field: Argument) -> Self:
        """Return the length of a field's value in bytes (`HSTRLEN`)."""
        return self._add(_hashes.hstrlen(key, field))

    @plain_signature
    def hincrby(self, key: Argument, field: Argument, amount: int, *others: Never) -> Self:
        """Add `amount` to a field (`HINCRBY`). Return the number afterwards."""
        if others or amount is MISSING:
            raise refusal(self, "hincrby", others)
        return self._add(_hashes.hincrby(key, field, amount))

    @plain_signature
    def hincrbyfloat(self, key: Argument, field: Argument, amount: float, *others: Never) -> Self:
        """Add `amount` to a field (`HINCRBYFLOAT`). Return the number afterwards."""
        if others or amount is MISSING:
            raise refusal(self, "hincrbyfloat", others)
        return self._add(_hashes.hincrbyfloat(key, field, amount))

    @plain_signature
    def hrandfield(self, key: Argument, *others: Never, **keywords: Never) -> Self:
        """Return any field (`HRANDFIELD`); None if there is none."""
        if others or keywords or key is MISSING:
            raise refusal(self, "hrandfield", others, keywords)
        return self._add(_hashes.hrandfield(key))

    def hrandfield_count(self, key: Argument, count: int) -> Self:
        """Return up to `count` different fields. Negative: exactly that many, perhaps repeated (`HRANDFIELD`)."""
        return self._add(_hashes.hrandfield_count(key, count))

    def hrandfield_withvalues(self, key: Argument, count: int) -> Self:
        """Return the same as `hrandfield_count`, each as `[field, value]` (`HRANDFIELD … WITHVALUES`)."""
        return self._add(_hashes.hrandfield_withvalues(key, count))

    @plain_signature
    def hscan(
        self,
        key: Argument,
        cursor: Argument,
        match: Argument | None = None,
        count: int | None = None,
        no_values: bool = False,
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Take one step over a hash (`HSCAN`): `[next cursor, [field, value, …]]`; from `"0"` on, until `b"0"`."""
        if others or keywords or cursor is MISSING:
            raise refusal(self, "hscan", others, keywords)
        return self._add(_hashes.hscan(key, cursor, match, count, no_values))

    @plain_signature
    def hgetdel(self, key: Argument, fields: Iterable[Argument], *others: Never) -> Self:
        """Return the values of fields, and delete the fields (`HGETDEL`; Valkey 9.1)."""
        if others or fields is MISSING:
            raise refusal(self, "hgetdel", others)
        return self._add(_hashes.hgetdel(key, fields))

    @plain_signature
    def hgetex(
        self,
        key: Argument,
        fields: Iterable[Argument],
        expiry: ExpiryGetEx | None = None,
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Return the values of fields, and change their expiry (`HGETEX`; Valkey 9)."""
        if others or keywords or fields is MISSING:
            raise refusal(self, "hgetex", others, keywords)
        return self._add(_hashes.hgetex(key, fields, expiry))

    @plain_signature
    def hsetex(
        self,
        key: Argument,
        field_value_map: AnyMapping[Argument, Argument],
        field_conditional_change: HashFieldConditionalChange | None = None,
        expiry: ExpirySet | None = None,
        key_conditional_change: ConditionalChange | None = None,
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Set fields that expire (`HSETEX`; Valkey 9). Return 1 if all were set, 0 if none."""
        if others or keywords or field_value_map is MISSING:
            raise refusal(self, "hsetex", others, keywords)
        return self._add(
            _hashes.hsetex(key, field_value_map, field_conditional_change, expiry, key_conditional_change)
        )

    @plain_signature
    def hexpire(
        self,
        key: Argument,
        seconds: int,
        fields: Iterable[Argument],
        option: ExpireOptions | None = None,
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Let fields expire after `seconds` (`HEXPIRE`; Valkey 9)."""
        if others or keywords or fields is MISSING:
            raise refusal(self, "hexpire", others, keywords)
        return self._add(_hashes.hexpire(key, seconds, fields, option))

    @plain_signature
    def hexpireat(
        self,
        key: Argument,
        unix_timestamp: int,
        fields: Iterable[Argument],
        option: ExpireOptions | None = None,
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Let fields expire at a Unix time in seconds (`HEXPIREAT`; Valkey 9); as `hexpire`."""
        if others or keywords or fields is MISSING:
            raise refusal(self, "hexpireat", others, keywords)
        return self._add(_hashes.hexpireat(key, unix_timestamp, fields, option))

    @plain_signature
    def hpexpire(
        self,
        key: Argument,
        milliseconds: int,
        fields: Iterable[Argument],
        option: ExpireOptions | None = None,
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Let fields expire after `milliseconds` (`HPEXPIRE`; Valkey 9); as `hexpire`."""
        if others or keywords or fields is MISSING:
            raise refusal(self, "hpexpire", others, keywords)
        return self._add(_hashes.hpexpire(key, milliseconds, fields, option))

    @plain_signature
    def hpexpireat(
        self,
        key: Argument,
        unix_timestamp_ms: int,
        fields: Iterable[Argument],
        option: ExpireOptions | None = None,
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Let fields expire at a Unix time in milliseconds (`HPEXPIREAT`; Valkey 9); as `hexpire`."""
        if others or keywords or fields is MISSING:
            raise refusal(self, "hpexpireat", others, keywords)
        return self._add(_hashes.hpexpireat(key, unix_timestamp_ms, fields, option))

    @plain_signature
    def hpersist(self, key: Argument, fields: Iterable[Argument], *others: Never) -> Self:
        """Let fields live forever (`HPERSIST`; Valkey 9). For each: 1, -1: it had no expiry, -2: it does not exist."""
        if others or fields is MISSING:
            raise refusal(self, "hpersist", others)
        return self._add(_hashes.hpersist(key, fields))

    @plain_signature
    def httl(self, key: Argument, fields: Iterable[Argument], *others: Never) -> Self:
        """Return the seconds that fields have to live (`HTTL`; Valkey 9); -1: forever, -2: no such field."""
        if others or fields is MISSING:
            raise refusal(self, "httl", others)
        return self._add(_hashes.httl(key, fields))

    @plain_signature
    def hpttl(self, key: Argument, fields: Iterable[Argument], *others: Never) -> Self:
        """Return the milliseconds that fields have to live (`HPTTL`; Valkey 9); -1: forever, -2: no such field."""
        if others or fields is MISSING:
            raise refusal(self, "hpttl", others)
        return self._add(_hashes.hpttl(key, fields))

    @plain_signature
    def hexpiretime(self, key: Argument, fields: Iterable[Argument], *others: Never) -> Self:
        """Return the Unix times in seconds when fields expire (`HEXPIRETIME`; Valkey 9); as `httl`."""
        if others or fields is MISSING:
            raise refusal(self, "hexpiretime", others)
        return self._add(_hashes.hexpiretime(key, fields))

    @plain_signature
    def hpexpiretime(self, key: Argument, fields: Iterable[Argument], *others: Never) -> Self:
        """Return the Unix times in milliseconds when fields expire (`HPEXPIRETIME`; Valkey 9); as `httl`."""
        if others or fields is MISSING:
            raise refusal(self, "hpexpiretime", others)
        return self._add(_hashes.hpexpiretime(key, fields))

    @plain_signature
    def sadd(self, key: Argument, members: Iterable[Argument], *others: Never) -> Self:
        """Add members (`SADD`). Return how many of them are new."""
        if others or members is MISSING:
            raise refusal(self, "sadd", others)
        return self._add(_sets.sadd(key, members))

    @plain_signature
    def srem(self, key: Argument, members: Iterable[Argument], *others: Never) -> Self:
        """Remove members (`SREM`). Return how many there were."""
        if others or members is MISSING:
            raise refusal(self, "srem", others)
        return self._add(_sets.srem(key, members))

    def scard(self, key: Argument) -> Self:
        """Return how many members the set has (`SCARD`)."""
        return self._add(_sets.scard(key))

    def sismember(self, key: Argument, member: Argument) -> Self:
        """Return whether the set has the member (`SISMEMBER`)."""
        return self._add(_sets.sismember(key, member))

    def sismember_if_exists(self, key: Argument, member: Argument) -> Self:
        """Return 1 or 0 as `sismember`, -1 if there is no such set (`SISMEMBER … XX`; servers that know the option)."""
        return self._add(_sets.sismember_if_exists(key, member))

    @plain_signature
    def smismember(self, key: Argument, members: Iterable[Argument], *others: Never) -> Self:
        """Return whether the set has each of the members (`SMISMEMBER`)."""
        if others or members is MISSING:
            raise refusal(self, "smismember", others)
        return self._add(_sets.smismember(key, members))

    def smove(self, source: Argument, destination: Argument, member: Argument) -> Self:
        """Move a member to another set (`SMOVE`). Return whether there was one."""
        return self._add(_sets.smove(source, destination, member))

    @plain_signature
    def spop(self, key: Argument, *others: Never, **keywords: Never) -> Self:
        """Return any member, and remove it (`SPOP`); None if there is none."""
        if others or keywords or key is MISSING:
            raise refusal(self, "spop", others, keywords)
        return self._add(_sets.spop(key))

    def spop_count(self, key: Argument, count: int) -> Self:
        """Return up to `count` members, and remove them (`SPOP`)."""
        return self._add(_sets.spop_count(key, count))

    @plain_signature
    def srandmember(self, key: Argument, *others: Never, **keywords: Never) -> Self:
        """Return any member (`SRANDMEMBER`); None if there is none."""
        if others or keywords or key is MISSING:
            raise refusal(self, "srandmember", others, keywords)
        return self._add(_sets.srandmember(key))

    def srandmember_count(self, key: Argument, count: int) -> Self:
        """Return up to `count` different members. Negative: exactly that many, perhaps repeated (`SRANDMEMBER`)."""
        return self._add(_sets.srandmember_count(key, count))

    @plain_signature
    def sdiff(self, keys: Iterable[Argument], *others: Never) -> Self:
        """Return the members of the first set that no other has (`SDIFF`)."""
        if others or keys is MISSING:
            raise refusal(self, "sdiff", others)
        return self._add(_sets.sdiff(keys))

    @plain_signature
    def sdiffstore(self, destination: Argument, keys: Iterable[Argument], *others: Never) -> Self:
        """Store the result of `sdiff` as a set at `destination` (`SDIFFSTORE`). Return its size."""
        if others or keys is MISSING:
            raise refusal(self, "sdiffstore", others)
        return self._add(_sets.sdiffstore(destination, keys))

    @plain_signature
    def sinter(self, keys: Iterable[Argument], *others: Never) -> Self:
        """Return the members that all sets have (`SINTER`)."""
        if others or keys is MISSING:
            raise refusal(self, "sinter", others)
        return self._add(_sets.sinter(keys))

    @plain_signature
    def sinterstore(self, destination: Argument, keys: Iterable[Argument], *others: Never) -> Self:
        """Store the result of `sinter` as a set at `destination` (`SINTERSTORE`). Return its size."""
        if others or keys is MISSING:
            raise refusal(self, "sinterstore", others)
        return self._add(_sets.sinterstore(destination, keys))

    @plain_signature
    def sintercard(
        self, keys: Iterable[Argument], limit: int | None = None, *others: Never, **keywords: Never
    ) -> Self:
        """Return how many members all sets have; counting stops at `limit` (`SINTERCARD`)."""
        if others or keywords or keys is MISSING:
            raise refusal(self, "sintercard", others, keywords)
        return self._add(_sets.sintercard(keys, limit))

    @plain_signature
    def sunion(self, keys: Iterable[Argument], *others: Never) -> Self:
        """Return the members that any of the sets has (`SUNION`)."""
        if others or keys is MISSING:
            raise refusal(self, "sunion", others)
        return self._add(_sets.sunion(keys))

    @plain_signature
    def sunionstore(self, destination: Argument, keys: Iterable[Argument], *others: Never) -> Self:
        """Store the result of `sunion` as a set at `destination` (`SUNIONSTORE`). Return its size."""
        if others or keys is MISSING:
            raise refusal(self, "sunionstore", others)
        return self._add(_sets.sunionstore(destination, keys))

    @plain_signature
    def sscan(
        self,
        key: Argument,
        cursor: Argument,
        match: Argument | None = None,
        count: int | None = None,
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Take one step over a set (`SSCAN`): `[next cursor, [member, …]]`; from `"0"` on, until `b"0"`."""
        if others or keywords or cursor is MISSING:
            raise refusal(self, "sscan", others, keywords)
        return self._add(_sets.sscan(key, cursor, match, count))

    @plain_signature
    def lpush(self, key: Argument, elements: Iterable[Argument], *others: Never) -> Self:
        """Insert at the left end, one after the other (`LPUSH`). Return the length afterwards."""
        if others or elements is MISSING:
            raise refusal(self, "lpush", others)
        return self._add(_lists.lpush(key, elements))

    @plain_signature
    def lpushx(self, key: Argument, elements: Iterable[Argument], *others: Never) -> Self:
        """Do as `lpush`, if the list exists (`LPUSHX`). Return the length afterwards."""
        if others or elements is MISSING:
            raise refusal(self, "lpushx", others)
        return self._add(_lists.lpushx(key, elements))

    @plain_signature
    def rpush(self, key: Argument, elements: Iterable[Argument], *others: Never) -> Self:
        """Append at the right end (`RPUSH`). Return the length afterwards."""
        if others or elements is MISSING:
            raise refusal(self, "rpush", others)
        return self._add(_lists.rpush(key, elements))

    @plain_signature
    def rpushx(self, key: Argument, elements: Iterable[Argument], *others: Never) -> Self:
        """Do as `rpush`, if the list exists (`RPUSHX`). Return the length afterwards."""
        if others or elements is MISSING:
            raise refusal(self, "rpushx", others)
        return self._add(_lists.rpushx(key, elements))

    @plain_signature
    def lpop(self, key: Argument, *others: Never, **keywords: Never) -> Self:
        """Return the leftmost element, and remove it (`LPOP`); None if there is none."""
        if others or keywords or key is MISSING:
            raise refusal(self, "lpop", others, keywords)
        return self._add(_lists.lpop(key))

    def lpop_count(self, key: Argument, count: int) -> Self:
        """Return up to `count` elements from the left, and remove them (`LPOP`); None if there is no such list."""
        return self._add(_lists.lpop_count(key, count))

    def rpop_count(self, key: Argument, count: int) -> Self:
        """Return up to `count` elements from the right, and remove them (`RPOP`); None if there is no such list."""
        return self._add(_lists.rpop_count(key, count))

    def lrange(self, key: Argument, start: int, end: int) -> Self:
        """Return the elements from index `start` to `end`, both included (`LRANGE`)."""
        return self._add(_lists.lrange(key, start, end))

    def llen(self, key: Argument) -> Self:
        """Return how many elements the list has (`LLEN`)."""
        return self._add(_lists.llen(key))

    def lindex(self, key: Argument, index: int) -> Self:
        """Return the element at `index` (`LINDEX`); None if there is none."""
        return self._add(_lists.lindex(key, index))

    def lset(self, key: Argument, index: int, element: Argument) -> Self:
        """Replace the element at `index` (`LSET`)."""
        return self._add(_lists.lset(key, index, element))

    def linsert(self, key: Argument, position: InsertPosition, pivot: Argument, element: Argument) -> Self:
        """Insert beside `pivot` (`LINSERT`). Return the length afterwards, -1: no such pivot, 0: no such list."""
        return self._add(_lists.linsert(key, position, pivot, element))

    def lrem(self, key: Argument, count: int, element: Argument) -> Self:
        """Remove `count` of the elements equal to `element` (`LREM`). Return how many there were."""
        return self._add(_lists.lrem(key, count, element))

    def ltrim(self, key: Argument, start: int, end: int) -> Self:
        """Keep only the elements from index `start` to `end`, both included (`LTRIM`)."""
        return self._add(_lists.ltrim(key, start, end))

    @plain_signature
    def lpos(
        self,
        key: Argument,
        element: Argument,
        rank: int | None = None,
        count: int | None = None,
        max_len: int | None = None,
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Return the index of `element` (`LPOS`), None if it is not in the list; with `count` a list of indices."""
        if others or keywords or element is MISSING:
            raise refusal(self, "lpos", others, keywords)
        return self._add(_lists.lpos(key, element, rank, count, max_len))

    @plain_signature
    def lmove(
        self,
        source: Argument,
        destination: Argument,
        where_from: ListDirection,
        where_to: ListDirection,
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Move an element from one end of a list to an end of another (`LMOVE`). Return the element, or None."""
        if others or keywords or where_to is MISSING:
            raise refusal(self, "lmove", others, keywords)
        return self._add(_lists.lmove(source, destination, where_from, where_to))

    @plain_signature
    def lmpop(
        self,
        keys: Iterable[Argument],
        direction: ListDirection,
        count: int | None = None,
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Pop from the first list that has elements (`LMPOP`): `{key: [element, …]}`, or None."""
        if others or keywords or direction is MISSING:
            raise refusal(self, "lmpop", others, keywords)
        return self._add(_lists.lmpop(keys, direction, count))

    @plain_signature
    def blpop(self, keys: Iterable[Argument], timeout: float, *others: Never) -> Self:
        """Pop from the left of the first list that has elements, waiting up to `timeout` seconds (`BLPOP`)."""
        if others or timeout is MISSING:
            raise refusal(self, "blpop", others)
        return self._add(_lists.blpop(keys, timeout))

    @plain_signature
    def brpop(self, keys: Iterable[Argument], timeout: float, *others: Never) -> Self:
        """Pop from the right of the first list that has elements, waiting up to `timeout` seconds (`BRPOP`)."""
        if others or timeout is MISSING:
            raise refusal(self, "brpop", others)
        return self._add(_lists.brpop(keys, timeout))

    @plain_signature
    def blmove(
        self,
        source: Argument,
        destination: Argument,
        where_from: ListDirection,
        where_to: ListDirection,
        timeout: float,
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Do as `lmove`, waiting up to `timeout` seconds for an element (`BLMOVE`); 0 waits forever."""
        if others or keywords or timeout is MISSING:
            raise refusal(self, "blmove", others, keywords)
        return self._add(_lists.blmove(source, destination, where_from, where_to, timeout))

    @plain_signature
    def blmpop(
        self,
        keys: Iterable[Argument],
        direction: ListDirection,
        timeout: float,
        count: int | None = None,
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Do as `lmpop`, waiting up to `timeout` seconds for elements (`BLMPOP`); 0 waits forever."""
        if others or keywords or timeout is MISSING:
            raise refusal(self, "blmpop", others, keywords)
        return self._add(_lists.blmpop(keys, direction, timeout, count))

    @plain_signature
    def zadd(
        self,
        key: Argument,
        members_scores: AnyMapping[Argument, float],
        existing_options: ConditionalChange | None = None,
        update_condition: UpdateOptions | None = None,
        changed: bool = False,
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Add members, or change their scores (`ZADD`). Return how many are new, with `changed`: new or changed."""
        if others or keywords or members_scores is MISSING:
            raise refusal(self, "zadd", others, keywords)
        return self._add(_sorted_sets.zadd(key, members_scores, existing_options, update_condition, changed))

    def zadd_incr(
        self,
        key: Argument,
        member: Argument,
        increment: float,
        existing_options: ConditionalChange | None = None,
        update_condition: UpdateOptions | None = None,
    ) -> Self:
        """Add to a member's score, under a condition (`ZADD … INCR`). Return the new score, None if it was not met."""
        return self._add(_sorted_sets.zadd_incr(key, member, increment, existing_options, update_condition))

    def zincrby(self, key: Argument, increment: float, member: Argument) -> Self:
        """Add to a member's score (`ZINCRBY`). Return the score afterwards."""
        return self._add(_sorted_sets.zincrby(key, increment, member))

    @plain_signature
    def zrem(self, key: Argument, members: Iterable[Argument], *others: Never) -> Self:
        """Remove members (`ZREM`). Return how many there were."""
        if others or members is MISSING:
            raise refusal(self, "zrem", others)
        return self._add(_sorted_sets.zrem(key, members))

    def zremrangebyrank(self, key: Argument, start: int, end: int) -> Self:
        """Remove the members of ranks `start` to `end`, both included (`ZREMRANGEBYRANK`). Return their number."""
        return self._add(_sorted_sets.zremrangebyrank(key, start, end))

    def zremrangebyscore(
        self, key: Argument, min_score: InfBound | ScoreBoundary, max_score: InfBound | ScoreBoundary
    ) -> Self:
        """Remove the members of a range of scores (`ZREMRANGEBYSCORE`). Return how many there were."""
        return self._add(_sorted_sets.zremrangebyscore(key, min_score, max_score))

    def zremrangebylex(
        self, key: Argument, min_lex: InfBound | LexBoundary, max_lex: InfBound | LexBoundary
    ) -> Self:
        """Remove the members of a lexicographical range (`ZREMRANGEBYLEX`). Return how many there were."""
        return self._add(_sorted_sets.zremrangebylex(key, min_lex, max_lex))

    def zcard(self, key: Argument) -> Self:
        """Return how many members the sorted set has (`ZCARD`)."""
        return self._add(_sorted_sets.zcard(key))

    def zcount(
        self, key: Argument, min_score: InfBound | ScoreBoundary, max_score: InfBound | ScoreBoundary
    ) -> Self:
        """Return how many members have a score in the range (`ZCOUNT`)."""
        return self._add(_sorted_sets.zcount(key, min_score, max_score))

    def zlexcount(
        self, key: Argument, min_lex: InfBound | LexBoundary, max_lex: InfBound | LexBoundary
    ) -> Self:
        """Return how many members are in a lexicographical range (`ZLEXCOUNT`)."""
        return self._add(_sorted_sets.zlexcount(key, min_lex, max_lex))

    def zscore(self, key: Argument, member: Argument) -> Self:
        """Return a member's score (`ZSCORE`); None if there is no such member."""
        return self._add(_sorted_sets.zscore(key, member))

    def zmscore(self, key: Argument, members: Iterable[Argument]) -> Self:
        """Return the scores of members (`ZMSCORE`); None for each missing one."""
        return self._add(_sorted_sets.zmscore(key, members))

    @plain_signature
    def zrank(self, key: Argument, member: Argument, *others: Never, **keywords: Never) -> Self:
        """Return a member's rank, the lowest score being 0 (`ZRANK`); None if there is no such member."""
        if others or keywords or member is MISSING:
            raise refusal(self, "zrank", others, keywords)
        return self._add(_sorted_sets.zrank(key, member))

    def zrank_withscore(self, key: Argument, member: Argument) -> Self:
        """Return a member's `[rank, score]`, the lowest score being rank 0 (`ZRANK … WITHSCORE`); or None."""
        return self._add(_sorted_sets.zrank_withscore(key, member))

    @plain_signature
    def zrevrank(self, key: Argument, member: Argument, *others: Never, **keywords: Never) -> Self:
        """Return a member's rank, the highest score being 0 (`ZREVRANK`); None if there is no such member."""
        if others or keywords or member is MISSING:
            raise refusal(self, "zrevrank", others, keywords)
        return self._add(_sorted_sets.zrevrank(key, member))

    def zrevrank_withscore(self, key: Argument, member: Argument) -> Self:
        """Return a member's `[rank, score]`, the highest score being rank 0 (`ZREVRANK … WITHSCORE`); or None."""
        return self._add(_sorted_sets.zrevrank_withscore(key, member))

    @plain_signature
    def zrange(
        self,
        key: Argument,
        range_query: RangeByIndex | RangeByLex | RangeByScore,
        reverse: bool = False,
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Return the members of a range (`ZRANGE`), by falling score with `reverse`."""
        if others or keywords or range_query is MISSING:
            raise refusal(self, "zrange", others, keywords)
        return self._add(_sorted_sets.zrange(key, range_query, reverse))

    def zrange_withscores(
        self, key: Argument, range_query: RangeByIndex | RangeByScore, reverse: bool = False
    ) -> Self:
        """Return the members of a range with their scores, in order (`ZRANGE … WITHSCORES`)."""
        return self._add(_sorted_sets.zrange_withscores(key, range_query, reverse))

    @plain_signature
    def zrangestore(
        self,
        destination: Argument,
        source: Argument,
        range_query: RangeByIndex | RangeByLex | RangeByScore,
        reverse: bool = False,
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Store a range of one sorted set as another (`ZRANGESTORE`). Return its size."""
        if others or keywords or range_query is MISSING:
            raise refusal(self, "zrangestore", others, keywords)
        return self._add(_sorted_sets.zrangestore(destination, source, range_query, reverse))

    def zpopmin(self, key: Argument, count: int | None = None) -> Self:
        """Return the member of lowest score, or `count` of them, and remove them (`ZPOPMIN`): `{member: score}`."""
        return self._add(_sorted_sets.zpopmin(key, count))

    def zpopmax(self, key: Argument, count: int | None = None) -> Self:
        """Return the member of highest score, or `count` of them, and remove them (`ZPOPMAX`): `{member: score}`."""
        return self._add(_sorted_sets.zpopmax(key, count))

    @plain_signature
    def bzpopmin(self, keys: Iterable[Argument], timeout: float, *others: Never) -> Self:
        """Pop the lowest of the first sorted set that has members, waiting up to `timeout` seconds (`BZPOPMIN`)."""
        if others or timeout is MISSING:
            raise refusal(self, "bzpopmin", others)
        return self._add(_sorted_sets.bzpopmin(keys, timeout))

    @plain_signature
    def bzpopmax(self, keys: Iterable[Argument], timeout: float, *others: Never) -> Self:
        """Pop the highest of the first sorted set that has members, waiting up to `timeout` seconds (`BZPOPMAX`)."""
        if others or timeout is MISSING:
            raise refusal(self, "bzpopmax", others)
        return self._add(_sorted_sets.bzpopmax(keys, timeout))

    @plain_signature
    def zmpop(
        self,
        keys: Iterable[Argument],
        filter: ScoreFilter,
        count: int | None = None,
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Pop from the first sorted set that has members (`ZMPOP`): `[key, {member: score}]`, or None."""
        if others or keywords or filter is MISSING:
            raise refusal(self, "zmpop", others, keywords)
        return self._add(_sorted_sets.zmpop(keys, filter, count))

    @plain_signature
    def bzmpop(
        self,
        keys: Iterable[Argument],
        modifier: ScoreFilter,
        timeout: float,
        count: int | None = None,
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Do as `zmpop`, waiting up to `timeout` seconds for members (`BZMPOP`); 0 waits forever."""
        if others or keywords or timeout is MISSING:
            raise refusal(self, "bzmpop", others, keywords)
        return self._add(_sorted_sets.bzmpop(keys, modifier, timeout, count))

    @plain_signature
    def zdiff(self, keys: Iterable[Argument], *others: Never, **keywords: Never) -> Self:
        """Return the members of the first sorted set that no other has (`ZDIFF`)."""
        if others or keywords or keys is MISSING:
            raise refusal(self, "zdiff", others, keywords)
        return self._add(_sorted_sets.zdiff(keys))

    def zdiff_withscores(self, keys: Iterable[Argument]) -> Self:
        """Return the same as `zdiff`, with scores (`ZDIFF … WITHSCORES`)."""
        return self._add(_sorted_sets.zdiff_withscores(keys))

    def zdiffstore(self, destination: Argument, keys: Iterable[Argument]) -> Self:
        """Store the result of `zdiff` as a sorted set at `destination` (`ZDIFFSTORE`). Return its size."""
        return self._add(_sorted_sets.zdiffstore(destination, keys))

    @plain_signature
    def zinter(self, keys: Iterable[Argument], *others: Never, **keywords: Never) -> Self:
        """Return the members that all sorted sets have (`ZINTER`)."""
        if others or keywords or keys is MISSING:
            raise refusal(self, "zinter", others, keywords)
        return self._add(_sorted_sets.zinter(keys))

    def zinter_withscores(
        self,
        keys: Iterable[Argument | tuple[Argument, float]],
        aggregation_type: AggregationType | None = None,
    ) -> Self:
        """Return the same as `zinter`, with scores; keys may be given as `(key, weight)` (`ZINTER … WITHSCORES`)."""
        return self._add(_sorted_sets.zinter_withscores(keys, aggregation_type))

    @plain_signature
    def zinterstore(
        self,
        destination: Argument,
        keys: Iterable[Argument | tuple[Argument, float]],
        aggregation_type: AggregationType | None = None,
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Store the result of `zinter_withscores` at `destination` (`ZINTERSTORE`). Return its size."""
        if others or keywords or keys is MISSING:
            raise refusal(self, "zinterstore", others, keywords)
        return self._add(_sorted_sets.zinterstore(destination, keys, aggregation_type))

    @plain_signature
    def zintercard(
        self, keys: Iterable[Argument], limit: int | None = None, *others: Never, **keywords: Never
    ) -> Self:
        """Return how many members all sorted sets have; counting stops at `limit` (`ZINTERCARD`)."""
        if others or keywords or keys is MISSING:
            raise refusal(self, "zintercard", others, keywords)
        return self._add(_sorted_sets.zintercard(keys, limit))

    @plain_signature
    def zunion(self, keys: Iterable[Argument], *others: Never, **keywords: Never) -> Self:
        """Return the members that any of the sorted sets has (`ZUNION`)."""
        if others or keywords or keys is MISSING:
            raise refusal(self, "zunion", others, keywords)
        return self._add(_sorted_sets.zunion(keys))

    def zunion_withscores(
        self,
        keys: Iterable[Argument | tuple[Argument, float]],
        aggregation_type: AggregationType | None = None,
    ) -> Self:
        """Return the same as `zunion`, with scores; keys may be given as `(key, weight)` (`ZUNION … WITHSCORES`)."""
        return self._add(_sorted_sets.zunion_withscores(keys, aggregation_type))

    @plain_signature
    def zunionstore(
        self,
        destination: Argument,
        keys: Iterable[Argument | tuple[Argument, float]],
        aggregation_type: AggregationType | None = None,
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Store the result of `zunion_withscores` at `destination` (`ZUNIONSTORE`). Return its size."""
        if others or keywords or keys is MISSING:
            raise refusal(self, "zunionstore", others, keywords)
        return self._add(_sorted_sets.zunionstore(destination, keys, aggregation_type))

    @plain_signature
    def zrandmember(self, key: Argument, *others: Never, **keywords: Never) -> Self:
        """Return any member (`ZRANDMEMBER`); None if there is none."""
        if others or keywords or key is MISSING:
            raise refusal(self, "zrandmember", others, keywords)
        return self._add(_sorted_sets.zrandmember(key))

    def zrandmember_count(self, key: Argument, count: int) -> Self:
        """Return up to `count` different members. Negative: exactly that many, perhaps repeated (`ZRANDMEMBER`)."""
        return self._add(_sorted_sets.zrandmember_count(key, count))

    def zrandmember_withscores(self, key: Argument, count: int) -> Self:
        """Return the same as `zrandmember_count`, each as `[member, score]` (`ZRANDMEMBER … WITHSCORES`)."""
        return self._add(_sorted_sets.zrandmember_withscores(key, count))

    @plain_signature
    def zscan(
        self,
        key: Argument,
        cursor: Argument,
        match: Argument | None = None,
        count: int | None = None,
        no_scores: bool = False,
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Take one step over a sorted set (`ZSCAN`): `[next cursor, [member, score, …]]`; `"0"` begins, `b"0"` ends."""
        if others or keywords or cursor is MISSING:
            raise refusal(self, "zscan", others, keywords)
        return self._add(_sorted_sets.zscan(key, cursor, match, count, no_scores))

    @plain_signature
    def geoadd(
        self,
        key: Argument,
        members_geospatialdata: AnyMapping[Argument, GeospatialData],
        existing_options: ConditionalChange | None = None,
        changed: bool = False,
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Add members with their positions (`GEOADD`). Return the number of new ones; `changed`: also of moved ones."""
        if others or keywords or members_geospatialdata is MISSING:
            raise refusal(self, "geoadd", others, keywords)
        return self._add(_geo.geoadd(key, members_geospatialdata, existing_options, changed))

    def geodist(
        self, key: Argument, member1: Argument, member2: Argument, unit: GeoUnit | None = None
    ) -> Self:
        """Return the distance of two members, in metres or another unit (`GEODIST`); None if one is missing."""
        return self._add(_geo.geodist(key, member1, member2, unit))

    @plain_signature
    def geohash(self, key: Argument, members: Iterable[Argument], *others: Never) -> Self:
        """Return the positions of members as geohash strings (`GEOHASH`); None for each missing one."""
        if others or members is MISSING:
            raise refusal(self, "geohash", others)
        return self._add(_geo.geohash(key, members))

    @plain_signature
    def geopos(self, key: Argument, members: Iterable[Argument], *others: Never) -> Self:
        """Return the positions of members as `[longitude, latitude]` (`GEOPOS`); None for each missing one."""
        if others or members is MISSING:
            raise refusal(self, "geopos", others)
        return self._add(_geo.geopos(key, members))

    @plain_signature
    def geosearch(
        self,
        key: Argument,
        search_from: Argument | GeospatialData,
        search_by: GeoSearchByRadius | GeoSearchByBox,
        order_by: OrderBy | None = None,
        count: GeoSearchCount | None = None,
        with_coord: bool = False,
        with_dist: bool = False,
        with_hash: bool = False,
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Return the members within an area around a member or a position (`GEOSEARCH`)."""
        if others or keywords or search_by is MISSING:
            raise refusal(self, "geosearch", others, keywords)
        return self._add(
            _geo.geosearch(key, search_from, search_by, order_by, count, with_coord, with_dist, with_hash)
        )

    @plain_signature
    def geosearchstore(
        self,
        destination: Argument,
        source: Argument,
        search_from: Argument | GeospatialData,
        search_by: GeoSearchByRadius | GeoSearchByBox,
        count: GeoSearchCount | None = None,
        store_dist: bool = False,
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Store the result of `geosearch` as positions or distances (`GEOSEARCHSTORE`). Return their number."""
        if others or keywords or search_by is MISSING:
            raise refusal(self, "geosearchstore", others, keywords)
        return self._add(_geo.geosearchstore(destination, source, search_from, search_by, count, store_dist))

    @plain_signature
    def xadd(
        self,
        key: Argument,
        values: Iterable[tuple[Argument, Argument]],
        options: StreamAddOptions | None = None,
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Add an entry of fields and values (`XADD`). Return its ID, None if no stream was to be made."""
        if others or keywords or values is MISSING:
            raise refusal(self, "xadd", others, keywords)
        return self._add(_streams.xadd(key, values, options))

    @plain_signature
    def xdel(self, key: Argument, ids: Iterable[Argument], *others: Never) -> Self:
        """Delete entries (`XDEL`). Return how many there were."""
        if others or ids is MISSING:
            raise refusal(self, "xdel", others)
        return self._add(_streams.xdel(key, ids))

    @plain_signature
    def xtrim(self, key: Argument, options: StreamTrimOptions, *others: Never, **keywords: Never) -> Self:
        """Remove old entries (`XTRIM`). Return how many."""
        if others or keywords or options is MISSING:
            raise refusal(self, "xtrim", others, keywords)
        return self._add(_streams.xtrim(key, options))

    def xlen(self, key: Argument) -> Self:
        """Return how many entries the stream has (`XLEN`)."""
        return self._add(_streams.xlen(key))

    @plain_signature
    def xrange(
        self,
        key: Argument,
        start: StreamRangeBound,
        end: StreamRangeBound,
        count: int | None = None,
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Return the entries between two IDs, oldest first (`XRANGE`): `{id: [[field, value], …]}`."""
        if others or keywords or end is MISSING:
            raise refusal(self, "xrange", others, keywords)
        return self._add(_streams.xrange(key, start, end, count))

    @plain_signature
    def xrevrange(
        self,
        key: Argument,
        end: StreamRangeBound,
        start: StreamRangeBound,
        count: int | None = None,
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Return the same as `xrange`, newest first (`XREVRANGE`); the higher bound also comes first."""
        if others or keywords or start is MISSING:
            raise refusal(self, "xrevrange", others, keywords)
        return self._add(_streams.xrevrange(key, end, start, count))

    @plain_signature
    def xread(
        self,
        keys_and_ids: AnyMapping[Argument, Argument],
        options: StreamReadOptions | None = None,
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Return the entries after an ID, of several streams (`XREAD`): `{key: {id: [[field, value], …]}}` or None."""
        if others or keywords or keys_and_ids is MISSING:
            raise refusal(self, "xread", others, keywords)
        return self._add(_streams.xread(keys_and_ids, options))

    @plain_signature
    def xinfo_stream(self, key: Argument, *others: Never, **keywords: Never) -> Self:
        """Return the state of a stream (`XINFO STREAM`)."""
        if others or keywords or key is MISSING:
            raise refusal(self, "xinfo_stream", others, keywords)
        return self._add(_streams.xinfo_stream(key))

    def xinfo_stream_full(self, key: Argument, count: int | None = None) -> Self:
        """Return a stream's state, with entries, groups, consumers, `count` of each at most (`XINFO STREAM … FULL`)."""
        return self._add(_streams.xinfo_stream_full(key, count))

    @plain_signature
    def xgroup_create(
        self,
        key: Argument,
        group_name: Argument,
        group_id: Argument,
        options: StreamGroupOptions | None = None,
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Make a group that has read up to `group_id`, `"$"` for all (`XGROUP CREATE`)."""
        if others or keywords or group_id is MISSING:
            raise refusal(self, "xgroup_create", others, keywords)
        return self._add(_streams.xgroup_create(key, group_name, group_id, options))

    def xgroup_destroy(self, key: Argument, group_name: Argument) -> Self:
        """Delete a group, its consumers and its pending entries (`XGROUP DESTROY`). Return whether it existed."""
        return self._add(_streams.xgroup_destroy(key, group_name))

    def xgroup_create_consumer(self, key: Argument, group_name: Argument, consumer_name: Argument) -> Self:
        """Make a consumer (`XGROUP CREATECONSUMER`). Return whether it is new."""
        return self._add(_streams.xgroup_create_consumer(key, group_name, consumer_name))

    def xgroup_del_consumer(self, key: Argument, group_name: Argument, consumer_name: Argument) -> Self:
        """Delete a consumer (`XGROUP DELCONSUMER`). Return how many entries were pending with it."""
        return self._add(_streams.xgroup_del_consumer(key, group_name, consumer_name))

    @plain_signature
    def xreadgroup(
        self,
        keys_and_ids: AnyMapping[Argument, Argument],
        group_name: Argument,
        consumer_name: Argument,
        options: StreamReadGroupOptions | None = None,
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Read as a consumer of a group (`XREADGROUP`). The ID `">"`: undelivered entries; others: pending ones."""
        if others or keywords or consumer_name is MISSING:
            raise refusal(self, "xreadgroup", others, keywords)
        return self._add(_streams.xreadgroup(keys_and_ids, group_name, consumer_name, options))

    @plain_signature
    def xack(self, key: Argument, group_name: Argument, ids: Iterable[Argument], *others: Never) -> Self:
        """Acknowledge entries: they are no longer pending (`XACK`). Return how many were."""
        if others or ids is MISSING:
            raise refusal(self, "xack", others)
        return self._add(_streams.xack(key, group_name, ids))

    def xpending(self, key: Argument, group_name: Argument) -> Self:
        """Sum up the pending entries (`XPENDING`): `[count, lowest ID, highest ID, [[consumer, count], …]]`."""
        return self._add(_streams.xpending(key, group_name))

    @plain_signature
    def xpending_range(
        self,
        key: Argument,
        group_name: Argument,
        start: StreamRangeBound,
        end: StreamRangeBound,
        count: int,
        options: StreamPendingOptions | None = None,
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Return pending entries one by one (`XPENDING`): `[[ID, consumer, ms since delivery, deliveries], …]`."""
        if others or keywords or count is MISSING:
            raise refusal(self, "xpending_range", others, keywords)
        return self._add(_streams.xpending_range(key, group_name, start, end, count, options))

    @plain_signature
    def xclaim(
        self,
        key: Argument,
        group: Argument,
        consumer: Argument,
        min_idle_time_ms: int,
        ids: Iterable[Argument],
        options: StreamClaimOptions | None = None,
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Take over entries that were pending for so long (`XCLAIM`): `{id: [[field, value], …]}`."""
        if others or keywords or ids is MISSING:
            raise refusal(self, "xclaim", others, keywords)
        return self._add(_streams.xclaim(key, group, consumer, min_idle_time_ms, ids, options))

    def xclaim_just_id(
        self,
        key: Argument,
        group: Argument,
        consumer: Argument,
        min_idle_time_ms: int,
        ids: Iterable[Argument],
        options: StreamClaimOptions | None = None,
    ) -> Self:
        """Do as `xclaim`, without counting it as a delivery. Return the IDs alone (`XCLAIM … JUSTID`)."""
        return self._add(_streams.xclaim_just_id(key, group, consumer, min_idle_time_ms, ids, options))

    @plain_signature
    def xautoclaim(
        self,
        key: Argument,
        group_name: Argument,
        consumer_name: Argument,
        min_idle_time_ms: int,
        start: Argument,
        count: int | None = None,
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Take over all entries that were pending for so long, from `start` on (`XAUTOCLAIM`)."""
        if others or keywords or start is MISSING:
            raise refusal(self, "xautoclaim", others, keywords)
        return self._add(_streams.xautoclaim(key, group_name, consumer_name, min_idle_time_ms, start, count))

    def xautoclaim_just_id(
        self,
        key: Argument,
        group_name: Argument,
        consumer_name: Argument,
        min_idle_time_ms: int,
        start: Argument,
        count: int | None = None,
    ) -> Self:
        """Do as `xautoclaim`, without counting it as a delivery. Return the IDs alone (`XAUTOCLAIM … JUSTID`)."""
        return self._add(
            _streams.xautoclaim_just_id(key, group_name, consumer_name, min_idle_time_ms, start, count)
        )

    def xinfo_groups(self, key: Argument) -> Self:
        """Return the groups of a stream, each a map (`XINFO GROUPS`)."""
        return self._add(_streams.xinfo_groups(key))

    def xinfo_consumers(self, key: Argument, group_name: Argument) -> Self:
        """Return the consumers of a group, each a map (`XINFO CONSUMERS`)."""
        return self._add(_streams.xinfo_consumers(key, group_name))

    def ping(self, message: Argument | None = None) -> Self:
        """Return `b"PONG"`, or the message, from the server (`PING`)."""
        return self._add(_server.ping(message))

    def echo(self, message: Argument) -> Self:
        """Return the message, back from the server (`ECHO`)."""
        return self._add(_server.echo(message))

    @plain_signature
    def info(self, sections: Iterable[InfoSection] | None = None, *others: Never, **keywords: Never) -> Self:
        """Return the server's information, as text of lines `name:value` (`INFO`)."""
        if others or keywords:
            raise refusal(self, "info", others, keywords)
        return self._add(_server.info(sections))

    def dbsize(self) -> Self:
        """Return how many keys the database has (`DBSIZE`)."""
        return self._add(_server.dbsize())

    @plain_signature
    def flushall(self, flush_mode: FlushMode | None = None, *others: Never, **keywords: Never) -> Self:
        """Delete all keys of all databases (`FLUSHALL`). The cache is not touched (contract C15)."""
        if others or keywords:
            raise refusal(self, "flushall", others, keywords)
        return self._add(_server.flushall(flush_mode))

    @plain_signature
    def flushdb(self, flush_mode: FlushMode | None = None, *others: Never, **keywords: Never) -> Self:
        """Delete all keys of the database (`FLUSHDB`). The cache is not touched (contract C15)."""
        if others or keywords:
            raise refusal(self, "flushdb", others, keywords)
        return self._add(_server.flushdb(flush_mode))

    def time(self) -> Self:
        """Return the server's clock: Unix seconds, and microseconds within the second (`TIME`)."""
        return self._add(_server.time())

    def lastsave(self) -> Self:
        """Return the Unix time of the last successful save (`LASTSAVE`)."""
        return self._add(_server.lastsave())

    def save(self) -> Self:
        """Save to disk; the server does nothing else meanwhile (`SAVE`)."""
        return self._add(_server.save())

    @plain_signature
    def bgsave(self, *others: Never, **keywords: Never) -> Self:
        """Save to disk in the background (`BGSAVE`). Return the server's status text."""
        if others or keywords:
            raise refusal(self, "bgsave", others, keywords)
        return self._add(_server.bgsave())

    def bgsave_schedule(self) -> Self:
        """Do as `bgsave`, but after a running log rewrite (`BGSAVE SCHEDULE`)."""
        return self._add(_server.bgsave_schedule())

    def bgsave_cancel(self) -> Self:
        """Stop a running or scheduled `bgsave` (`BGSAVE CANCEL`; Valkey 8.1)."""
        return self._add(_server.bgsave_cancel())

    def bgrewriteaof(self) -> Self:
        """Rewrite the append-only log in the background (`BGREWRITEAOF`). Return the server's status text."""
        return self._add(_server.bgrewriteaof())

    @plain_signature
    def config_get(self, parameters: Iterable[Argument], *others: Never, **keywords: Never) -> Self:
        """Return the server's settings of these names or patterns (`CONFIG GET`)."""
        if others or keywords or parameters is MISSING:
            raise refusal(self, "config_get", others, keywords)
        return self._add(_server.config_get(parameters))

    @plain_signature
    def config_set(self, parameters_map: AnyMapping[Argument, Argument], *others: Never) -> Self:
        """Change settings of the server (`CONFIG SET`)."""
        if others or parameters_map is MISSING:
            raise refusal(self, "config_set", others)
        return self._add(_server.config_set(parameters_map))

    def config_resetstat(self) -> Self:
        """Reset the server's statistics (`CONFIG RESETSTAT`)."""
        return self._add(_server.config_resetstat())

    def config_rewrite(self) -> Self:
        """Write the settings in force to the server's configuration file (`CONFIG REWRITE`)."""
        return self._add(_server.config_rewrite())

    def client_id(self) -> Self:
        """Return the server's id of the connection that carried the request, one of the daemon's (`CLIENT ID`)."""
        return self._add(_server.client_id())

    def client_getname(self) -> Self:
        """Return the name of the connection that carried the request, which the daemon set (`CLIENT GETNAME`)."""
        return self._add(_server.client_getname())

    @plain_signature
    def client_pause(
        self, timeout: int, mode: ClientPauseMode | None = None, *others: Never, **keywords: Never
    ) -> Self:
        """Make the server hold back all commands, or all writes, for `timeout` milliseconds (`CLIENT PAUSE`)."""
        if others or keywords or timeout is MISSING:
            raise refusal(self, "client_pause", others, keywords)
        return self._add(_server.client_pause(timeout, mode))

    def client_unpause(self) -> Self:
        """End a pause (`CLIENT UNPAUSE`)."""
        return self._add(_server.client_unpause())

    def wait(self, numreplicas: int, timeout: int) -> Self:
        """Wait until replicas have the writes, at most `timeout` milliseconds (`WAIT`). Return how many have them."""
        return self._add(_server.wait(numreplicas, timeout))

    def lolwut(self, version: int | None = None, parameters: Iterable[int] | None = None) -> Self:
        """Return the server's version and a piece of art (`LOLWUT`)."""
        return self._add(_server.lolwut(version, parameters))

    def memory_stats(self) -> Self:
        """Return the server's use of its memory (`MEMORY STATS`)."""
        return self._add(_server.memory_stats())

    def memory_doctor(self) -> Self:
        """Return the server's own diagnosis of its memory (`MEMORY DOCTOR`)."""
        return self._add(_server.memory_doctor())

    def memory_malloc_stats(self) -> Self:
        """Return the allocator's statistics (`MEMORY MALLOC-STATS`)."""
        return self._add(_server.memory_malloc_stats())

    def memory_purge(self) -> Self:
        """Have the allocator give memory back (`MEMORY PURGE`)."""
        return self._add(_server.memory_purge())

    def latency_history(self, event: Argument) -> Self:
        """Return the times at which an event was slow, and its delays (`LATENCY HISTORY`)."""
        return self._add(_server.latency_history(event))

    def latency_latest(self) -> Self:
        """Return the last time and the worst delay of each event that was slow (`LATENCY LATEST`)."""
        return self._add(_server.latency_latest())

    def latency_reset(self, *events: Argument) -> Self:
        """Forget the slow times of these events, or of all (`LATENCY RESET`). Return how many events were forgotten."""
        return self._add(_server.latency_reset(*events))

    def pubsub_channels(self, pattern: Argument | None = None) -> Self:
        """Return the channels that have subscribers (`PUBSUB CHANNELS`)."""
        return self._add(_server.pubsub_channels(pattern))

    def pubsub_numpat(self) -> Self:
        """Return the number of patterns with subscribers (`PUBSUB NUMPAT`)."""
        return self._add(_server.pubsub_numpat())

    @plain_signature
    def pubsub_numsub(self, channels: Iterable[Argument] | None = None, *others: Never) -> Self:
        """Return how many subscribers each of the channels has (`PUBSUB NUMSUB`)."""
        if others:
            raise refusal(self, "pubsub_numsub", others)
        return self._add(_server.pubsub_numsub(channels))

    @plain_signature
    def script_exists(self, sha1s: Iterable[Argument], *others: Never) -> Self:
        """Return whether the server knows the scripts of these hashes (`SCRIPT EXISTS`)."""
        if others or sha1s is MISSING:
            raise refusal(self, "script_exists", others)
        return self._add(_scripting.script_exists(sha1s))

    def script_show(self, sha1: Argument) -> Self:
        """Return the source of a script that the server knows (`SCRIPT SHOW`; Valkey 8)."""
        return self._add(_scripting.script_show(sha1))

    @plain_signature
    def script_flush(self, mode: FlushMode | None = None, *others: Never, **keywords: Never) -> Self:
        """Make the server forget all scripts (`SCRIPT FLUSH`)."""
        if others or keywords:
            raise refusal(self, "script_flush", others, keywords)
        return self._add(_scripting.script_flush(mode))

    def script_kill(self) -> Self:
        """Stop the running script, if it has not written yet (`SCRIPT KILL`)."""
        return self._add(_scripting.script_kill())

    @plain_signature
    def fcall(
        self,
        function: Argument,
        keys: Iterable[Argument] | None = None,
        arguments: Iterable[Argument] | None = None,
        *others: Never,
    ) -> Self:
        """Call a function of a library on the server (`FCALL`)."""
        if others or function is MISSING:
            raise refusal(self, "fcall", others)
        return self._add(_scripting.fcall(function, keys, arguments))

    @plain_signature
    def fcall_ro(
        self,
        function: Argument,
        keys: Iterable[Argument] | None = None,
        arguments: Iterable[Argument] | None = None,
        *others: Never,
    ) -> Self:
        """Call a function that only reads (`FCALL_RO`)."""
        if others or function is MISSING:
            raise refusal(self, "fcall_ro", others)
        return self._add(_scripting.fcall_ro(function, keys, arguments))

    def function_load(self, library_code: Argument, replace: bool = False) -> Self:
        """Load a library of functions (`FUNCTION LOAD`). Return its name."""
        return self._add(_scripting.function_load(library_code, replace))

    @plain_signature
    def function_list(
        self,
        library_name_pattern: Argument | None = None,
        with_code: bool = False,
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Return the libraries of functions, each a map (`FUNCTION LIST`)."""
        if others or keywords:
            raise refusal(self, "function_list", others, keywords)
        return self._add(_scripting.function_list(library_name_pattern, with_code))

    def function_delete(self, library_name: Argument) -> Self:
        """Delete a library of functions (`FUNCTION DELETE`)."""
        return self._add(_scripting.function_delete(library_name))

    def function_flush(self, mode: FlushMode | None = None) -> Self:
        """Delete all libraries of functions (`FUNCTION FLUSH`)."""
        return self._add(_scripting.function_flush(mode))

    def function_kill(self) -> Self:
        """Stop the running function, if it has not written yet (`FUNCTION KILL`)."""
        return self._add(_scripting.function_kill())

    def function_stats(self) -> Self:
        """Return the running function, and each engine's number of libraries and functions (`FUNCTION STATS`)."""
        return self._add(_scripting.function_stats())

    def function_dump(self) -> Self:
        """Return all libraries in the server's own serialised form (`FUNCTION DUMP`)."""
        return self._add(_scripting.function_dump())

    def function_restore(self, payload: Argument, policy: FunctionRestorePolicy | None = None) -> Self:
        """Load the result of `function_dump` (`FUNCTION RESTORE`)."""
        return self._add(_scripting.function_restore(payload, policy))

    def get(self, key: Argument) -> Self:
        """Return the value of `key` (`GET`); None if there is none."""
        return self._add(_batched.get(key))

    def hgetall(self, key: Argument) -> Self:
        """Return all fields and values (`HGETALL`)."""
        return self._add(_batched.hgetall(key))

    def smembers(self, key: Argument) -> Self:
        """Return all members (`SMEMBERS`)."""
        return self._add(_batched.smembers(key))

    @plain_signature
    def rpop(self, key: Argument, count: int | None = None, *others: Never, **keywords: Never) -> Self:
        """Return the last element, and remove it (`RPOP`). With `count`, a list of so many; None if there is none."""
        if others or keywords or key is MISSING:
            raise refusal(self, "rpop", others, keywords)
        return self._add(_batched.rpop(key, count))

    def xgroup_set_id(
        self,
        key: Argument,
        group_name: Argument,
        stream_id: Argument,
        entries_read_id: Argument | None = None,
    ) -> Self:
        """Set the ID up to which a group has read (`XGROUP SETID`)."""
        return self._add(_batched.xgroup_set_id(key, group_name, stream_id, entries_read_id))


class BatchStandaloneCommands(BatchCommands):
    """Commands that are added to a batch: those of a standalone server."""

    __slots__ = ()

    @plain_signature
    def copy(
        self,
        source: Argument,
        destination: Argument,
        destinationDB: int | None = None,
        replace: bool | None = None,
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Copy a value to another key, of another database if asked for (`COPY`). Return whether it was copied."""
        if others or keywords or destination is MISSING:
            raise refusal(self, "copy", others, keywords)
        return self._add(_keys.copy(source, destination, destinationDB, replace))

    def publish(self, message: Argument, channel: Argument) -> Self:
        """Send a message to a channel (`PUBLISH`). Return how many subscribers of this server got it."""
        return self._add(_server.publish(message, channel))

    @plain_signature
    def scan(
        self,
        cursor: Argument,
        match: Argument | None = None,
        count: int | None = None,
        type: ObjectType | None = None,
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Take one step over all keys (`SCAN`): `[next cursor, [key, …]]`. Begin with `"0"`; `b"0"` is the end."""
        if others or keywords or cursor is MISSING:
            raise refusal(self, "scan", others, keywords)
        return self._add(_standalone_only.scan(cursor, match, count, type))

    @plain_signature
    def migrate(
        self,
        host: str,
        port: int,
        keys: Argument | Iterable[Argument],
        destination_db: int,
        timeout: int,
        options: MigrateOptions | None = None,
        *others: Never,
        **keywords: Never,
    ) -> Self:
        """Move a key, or several, to another server (`MIGRATE`), which may be silent for `timeout` milliseconds."""
        if others or keywords or timeout is MISSING:
            raise refusal(self, "migrate", others, keywords)
        return self._add(_standalone_only.migrate(host, port, keys, destination_db, timeout, options))

    def failover(
        self,
        host: Argument | None = None,
        port: int | None = None,
        force: bool = False,
        abort: bool = False,
        timeout_ms: int | None = None,
    ) -> Self:
        """Hand over to a replica, or to the one at `host` and `port` (`FAILOVER`); `abort` ends a running one."""
        return self._add(_standalone_only.failover(host, port, force, abort, timeout_ms))

    @plain_signature
    def replicaof(self, host: Argument, port: int, *others: Never) -> Self:
        """Make the server a replica of another (`REPLICAOF`): its own data are lost."""
        if others or port is MISSING:
            raise refusal(self, "replicaof", others)
        return self._add(_standalone_only.replicaof(host, port))

    def replicaof_no_one(self) -> Self:
        """Make the server a primary again (`REPLICAOF NO ONE`)."""
        return self._add(_standalone_only.replicaof_no_one())
