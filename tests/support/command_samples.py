"""Calls of commands of every group, with what GLIDE's clients and ours return for them, as text.

Each group begins on an empty server. `names` is a client library: GLIDE's and ours have the same option classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


class Call(NamedTuple):
    """One call. loosely: what it returns differs from run to run, and only its types count."""

    method: str
    arguments: tuple[Any, ...]
    loosely: bool = False


def call(method: str, *arguments: Any) -> Call:
    """A call whose result is always the same."""
    return Call(method, arguments)


def loosely(method: str, *arguments: Any) -> Call:
    """A call whose result's types are always the same."""
    return Call(method, arguments, loosely=True)


def as_text(result: Any, *, loosely: bool = False) -> str:
    """A result with its types, as text; sets in order; of an error the type: GLIDE changes the server's words."""
    if isinstance(result, Exception):
        return type(result).__name__
    if isinstance(result, dict):
        pairs = ", ".join(f"{key!r}: {as_text(value, loosely=loosely)}" for key, value in result.items())
        return f"{{{pairs}}}"
    if isinstance(result, (set, frozenset)):
        if loosely:
            return "set"
        return f"set({', '.join(sorted(map(repr, result)))})"
    if isinstance(result, list) and not loosely:
        return f"[{', '.join(map(as_text, result))}]"
    if loosely or not isinstance(result, (bytes, str, int, float, type(None))):
        return type(result).__name__
    return repr(result)


def strings(names: Any) -> Iterator[Call]:
    nx, xx = names.ConditionalChange.ONLY_IF_DOES_NOT_EXIST, names.ConditionalChange.ONLY_IF_EXISTS
    yield call("set", "k", "v")
    yield call("set", "k", "w", nx)
    yield call("set", "k", "w", xx, None, True)
    yield call("set", "missing", "w", xx)
    yield call("set", "e", "v", None, names.ExpirySet(names.ExpiryType.SEC, 100))
    yield call("set", "k", "x", names.OnlyIfEqual("w"))
    yield call("get", "k")
    yield call("get", "missing")
    yield call("getdel", "k")
    yield call("getex", "e", names.ExpiryGetEx(names.ExpiryTypeGetEx.PERSIST, None))
    yield call("mset", {"a": "ohmytext", "b": "mynewtext"})
    yield call("msetnx", {"a": "1", "c": "2"})
    yield call("mget", ["a", "missing", "b"])
    yield call("append", "c", "tail")
    yield call("strlen", "a")
    yield call("getrange", "a", 0, 3)
    yield call("setrange", "c", 1, "X")
    yield call("incr", "n")
    yield call("incrby", "n", 41)
    yield call("decr", "n")
    yield call("decrby", "n", 10)
    yield call("incrbyfloat", "n", 0.5)
    yield call("incr", "a")
    yield call("lcs", "a", "b")
    yield call("lcs_len", "a", "b")
    yield call("lcs_idx", "a", "b")
    yield call("lcs_idx", "a", "b", 4, True)
    yield call("lpush", "list", ["x"])
    yield call("get", "list")


def bitmaps(names: Any) -> Iterator[Call]:
    unsigned, signed = names.UnsignedEncoding(4), names.SignedEncoding(8)
    yield call("setbit", "b", 7, 1)
    yield call("setbit", "b", 7, 0)
    yield call("getbit", "b", 100)
    yield call("set", "k", "foobar")
    yield call("bitcount", "k")
    yield call("bitcount", "k", names.OffsetOptions(0, 1))
    yield call("bitcount", "k", names.OffsetOptions(5, 30, names.BitmapIndexType.BIT))
    yield call("bitcount", "k", names.OffsetOptions(1))
    yield call("bitpos", "k", 1)
    yield call("bitpos", "k", 1, names.OffsetOptions(2))
    yield call("bitpos", "k", 0, names.OffsetOptions(0, 3, names.BitmapIndexType.BIT))
    yield call("set", "l", "abcdef")
    yield call("bitop", names.BitwiseOperation.AND, "d", ["k", "l"])
    yield call("bitop", names.BitwiseOperation.NOT, "d", ["k"])
    yield call("get", "d")
    yield call("bitfield", "k", [names.BitFieldGet(unsigned, names.BitOffset(0))])
    steps = [
        names.BitFieldSet(unsigned, names.BitOffsetMultiplier(1), 15),
        names.BitFieldOverflow(names.BitOverflowControl.FAIL),
        names.BitFieldIncrBy(unsigned, names.BitOffsetMultiplier(1), 1),
        names.BitFieldOverflow(names.BitOverflowControl.SAT),
        names.BitFieldIncrBy(signed, names.BitOffset(8), 100),
    ]
    yield call("bitfield", "k", steps)
    yield call("bitfield_read_only", "k", [names.BitFieldGet(signed, names.BitOffset(8))])


def hyperloglog(_names: Any) -> Iterator[Call]:
    yield call("pfadd", "h", ["a", "b", "c"])
    yield call("pfadd", "h", ["a"])
    yield call("pfadd", "empty", [])
    yield call("pfadd", "g", ["d"])
    yield call("pfcount", ["h"])
    yield call("pfcount", ["h", "g"])
    yield call("pfmerge", "m", ["h", "g"])
    yield call("pfcount", ["m"])


def keys(names: Any) -> Iterator[Call]:
    yield call("mset", {"a": "1", "b": "2", "c": "3"})
    yield call("exists", ["a", "a", "missing"])
    yield call("touch", ["a", "b"])
    yield call("type", "a")
    yield call("type", "missing")
    yield call("expire", "a", 100)
    yield call("expire", "a", 50, names.ExpireOptions.NewExpiryGreaterThanCurrent)
    yield call("pexpire", "missing", 100)
    yield call("expireat", "a", 33_000_000_000)
    yield call("expiretime", "a")
    yield call("pexpiretime", "b")
    yield call("ttl", "b")
    yield call("ttl", "missing")
    yield call("persist", "a")
    yield call("persist", "a")
    yield call("rename", "a", "z")
    yield call("rename", "missing", "z")
    yield call("renamenx", "z", "b")
    yield call("copy", "b", "copied")
    yield call("dump", "missing")
    yield loosely("dump", "b")
    yield call("restore", "r", 0, b"no dump")
    yield call("object_encoding", "b")
    yield call("object_refcount", "missing")
    yield loosely("object_idletime", "b")
    yield loosely("random_key")
    yield call("rpush", "list", ["3", "1", "2"])
    yield call("sort", "list")
    yield call("sort_ro", "list", None, names.Limit(0, 2), None, names.OrderBy.DESC)
    yield call("sort", "list", None, None, ["missing_*", "#"])
    yield call("sort_store", "list", "sorted", None, None, None, None, True)
    yield call("delete", ["b", "missing"])
    yield call("unlink", ["c"])
    yield call("wait", 0, 10)


def hashes(names: Any) -> Iterator[Call]:
    yield call("hset", "h", {"f": "1", "g": "x"})
    yield call("hsetnx", "h", "f", "2")
    yield call("hget", "h", "f")
    yield call("hget", "h", "missing")
    yield call("hmget", "h", ["f", "missing"])
    yield call("hgetall", "h")
    yield call("hgetall", "missing")
    yield call("hexists", "h", "f")
    yield call("hlen", "h")
    yield call("hkeys", "h")
    yield call("hvals", "h")
    yield call("hstrlen", "h", "g")
    yield call("hincrby", "h", "f", 2)
    yield call("hincrbyfloat", "h", "f", 0.25)
    yield call("hrandfield", "missing")
    yield call("hrandfield_count", "missing", 2)
    yield call("hset", "one", {"f": "v"})
    yield call("hrandfield_withvalues", "one", -2)
    yield call("hscan", "one", "0")
    yield call("hscan", "one", "0", None, None, True)
    yield call("hexpire", "h", 100, ["f", "missing"])
    yield call("hexpire", "h", 100, ["f"], names.ExpireOptions.HasNoExpiry)
    yield call("httl", "h", ["f", "g", "missing"])
    yield call("hpersist", "h", ["f", "g"])
    yield call("hpexpireat", "h", 33_000_000_000_000, ["g"])
    yield call("hexpiretime", "h", ["g"])
    yield call("hpexpiretime", "h", ["g"])
    yield call("hgetex", "h", ["f", "missing"], names.ExpiryGetEx(names.ExpiryTypeGetEx.SEC, 100))
    yield call("hsetex", "h", {"n": "1"}, names.HashFieldConditionalChange.ONLY_IF_NONE_EXIST)
    yield call("hsetex", "h", {"n": "1"}, names.HashFieldConditionalChange.ONLY_IF_NONE_EXIST)
    yield call("hdel", "h", ["f", "missing"])


def lists(names: Any) -> Iterator[Call]:
    left, right = names.ListDirection.LEFT, names.ListDirection.RIGHT
    yield call("rpush", "l", ["a", "b", "c", "b"])
    yield call("lpush", "l", ["z"])
    yield call("lpushx", "missing", ["z"])
    yield call("rpushx", "l", ["y"])
    yield call("lrange", "l", 0, -1)
    yield call("llen", "l")
    yield call("lindex", "l", 0)
    yield call("lindex", "l", 100)
    yield call("lset", "l", 0, "Z")
    yield call("linsert", "l", names.InsertPosition.BEFORE, "b", "i")
    yield call("lpos", "l", "b")
    yield call("lpos", "l", "b", 1, 0)
    yield call("lrem", "l", 1, "i")
    yield call("lmove", "l", "m", left, right)
    yield call("blmove", "l", "m", right, left, 0.1)
    yield call("lpop", "l")
    yield call("lpop", "missing")
    yield call("lpop_count", "missing", 2)
    yield call("rpop_count", "l", 1)
    yield call("blpop", ["missing", "m"], 0.1)
    yield call("brpop", ["missing"], 0.01)
    yield call("lmpop", ["missing", "l"], left, 2)
    yield call("lmpop", ["missing"], left)
    yield call("blmpop", ["m"], right, 0.1)
    yield call("rpush", "l", ["1", "2", "3"])
    yield call("ltrim", "l", 0, 1)


def sets(_names: Any) -> Iterator[Call]:
    yield call("sadd", "s", ["a", "b", "c"])
    yield call("sadd", "t", ["b", "c", "d"])
    yield call("smembers", "s")
    yield call("smembers", "missing")
    yield call("scard", "s")
    yield call("sismember", "s", "a")
    yield call("smismember", "s", ["a", "z"])
    yield call("smove", "s", "t", "a")
    yield call("sinter", ["s", "t"])
    yield call("sunion", ["s", "t"])
    yield call("sdiff", ["t", "s"])
    yield call("sintercard", ["s", "t"], 1)
    yield call("sinterstore", "d", ["s", "t"])
    yield call("sunionstore", "d", ["s", "t"])
    yield call("sdiffstore", "d", ["t", "s"])
    yield call("srandmember", "missing")
    yield call("srandmember_count", "missing", 2)
    yield call("sadd", "one", ["m"])
    yield call("srandmember_count", "one", -2)
    yield call("sscan", "one", "0")
    yield call("spop", "one")
    yield call("spop", "one")
    yield call("spop_count", "s", 10)
    yield call("srem", "t", ["a", "missing"])


def sorted_sets(names: Any) -> Iterator[Call]:
    low, high = names.ScoreFilter.MIN, names.ScoreFilter.MAX
    everything = names.RangeByIndex(0, -1)
    yield call("zadd", "z", {"a": 1.0, "b": 2.5, "c": 3.0})
    yield call("zadd", "z", {"a": 1.5}, None, names.UpdateOptions.GREATER_THAN, True)
    yield call("zadd_incr", "z", "a", 1.0)
    yield call("zadd_incr", "z", "a", 1.0, names.ConditionalChange.ONLY_IF_DOES_NOT_EXIST)
    yield call("zincrby", "z", 0.5, "c")
    yield call("zcard", "z")
    yield call("zscore", "z", "a")
    yield call("zscore", "z", "missing")
    yield call("zmscore", "z", ["a", "missing"])
    yield call("zcount", "z", names.InfBound.NEG_INF, names.ScoreBoundary(2.5, False))
    yield call("zrange", "z", everything)
    yield call("zrange_withscores", "z", everything, True)
    yield call("zrange_withscores", "missing", everything)
    by_score = names.RangeByScore(names.InfBound.NEG_INF, names.InfBound.POS_INF, names.Limit(1, 1))
    yield call("zrange_withscores", "z", by_score)
    yield call("zrangestore", "d", "z", everything)
    yield call("zadd", "lex", {"a": 0.0, "b": 0.0, "c": 0.0})
    yield call("zrange", "lex", names.RangeByLex(names.LexBoundary("a", False), names.InfBound.POS_INF))
    yield call("zlexcount", "lex", names.InfBound.NEG_INF, names.LexBoundary("b"))
    yield call("zrank", "z", "a")
    yield call("zrank_withscore", "z", "b")
    yield call("zrevrank_withscore", "z", "missing")
    yield call("zrandmember", "missing")
    yield call("zadd", "one", {"m": 1.5})
    yield call("zrandmember_count", "one", -2)
    yield call("zrandmember_withscores", "one", -2)
    yield call("zscan", "one", "0")
    yield call("zinter", ["z", "d"])
    yield call("zinter_withscores", ["z", "d"], names.AggregationType.MAX)
    yield call("zunion_withscores", [("z", 2.0), ("one", 1.0)])
    yield call("zdiff", ["z", "one"])
    yield call("zdiff_withscores", ["one", "z"])
    yield call("zdiffstore", "e", ["z", "one"])
    yield call("zinterstore", "e", ["z", "d"])
    yield call("zunionstore", "e", ["z", "one"])
    yield call("zintercard", ["z", "d"], 2)
    yield call("zpopmin", "z")
    yield call("zpopmax", "z", 2)
    yield call("zpopmin", "z")
    yield call("bzpopmin", ["z", "d"], 0.1)
    yield call("bzpopmax", ["z"], 0.01)
    yield call("zmpop", ["z", "d"], low)
    yield call("bzmpop", ["d"], high, 0.1, 2)
    yield call("zmpop", ["z"], high)
    yield call("zrem", "lex", ["a", "missing"])
    yield call("zremrangebyrank", "lex", 0, 0)
    yield call("zremrangebyscore", "e", names.InfBound.NEG_INF, names.InfBound.POS_INF)
    yield call("zremrangebylex", "lex", names.InfBound.NEG_INF, names.InfBound.POS_INF)


def geo(names: Any) -> Iterator[Call]:
    palermo, catania = (
        names.GeospatialData(13.361389, 38.115556),
        names.GeospatialData(15.087269, 37.502669),
    )
    kilometres = names.GeoUnit.KILOMETERS
    circle = names.GeoSearchByRadius(200, kilometres)
    yield call("geoadd", "g", {"Palermo": palermo, "Catania": catania})
    yield call("geoadd", "g", {"Palermo": catania}, names.ConditionalChange.ONLY_IF_DOES_NOT_EXIST, True)
    yield call("geodist", "g", "Palermo", "Catania")
    yield call("geodist", "g", "Palermo", "Catania", kilometres)
    yield call("geodist", "g", "Palermo", "missing")
    yield call("geohash", "g", ["Palermo", "missing"])
    yield call("geopos", "g", ["Palermo", "missing"])
    yield call("geosearch", "g", "Catania", circle, names.OrderBy.ASC)
    yield call(
        "geosearch", "g", names.GeospatialData(15, 37), circle, names.OrderBy.DESC, None, True, True, True
    )
    yield call("geosearch", "g", "Palermo", circle, names.OrderBy.ASC, names.GeoSearchCount(1), False, True)
    yield call("geosearch", "g", "Palermo", circle, names.OrderBy.ASC, None, False, False, True)
    box = names.GeoSearchByBox(400, 400, kilometres)
    yield call("geosearch", "g", "Palermo", box, names.OrderBy.ASC, names.GeoSearchCount(2, True), True)
    yield call("geosearch", "missing", names.GeospatialData(15, 37), box, None, None, True)
    yield call("geosearchstore", "d", "g", "Catania", box, names.GeoSearchCount(1), True)
    yield call("zrange_withscores", "d", names.RangeByIndex(0, -1))


def streams(names: Any) -> Iterator[Call]:
    everything = (names.MinId(), names.MaxId())
    yield call("xadd", "s", [("f", "1"), ("f", "2")], names.StreamAddOptions("1-0"))
    yield call(
        "xadd", "s", [("g", "3")], names.StreamAddOptions(b"2-0", True, names.TrimByMaxLen(False, 100, 10))
    )
    yield call("xadd", "missing", [("f", "1")], names.StreamAddOptions(None, False))
    yield loosely("xadd", "t", [("f", "1")])
    yield call("xlen", "s")
    yield call("xrange", "s", *everything)
    yield call("xrange", "s", names.ExclusiveIdBound("1-0"), names.IdBound.from_timestamp(5), 1)
    yield call("xrange", "missing", *everything)
    yield call("xrange", "s", *everything, 0)
    yield call("xrevrange", "s", *reversed(everything), 1)
    yield call("xread", {"s": "0", "missing": "0"})
    yield call("xread", {"s": "2-0"}, names.StreamReadOptions(10, 1))
    yield call("xinfo_stream", "s")
    yield call("xgroup_create", "s", "group", "0")
    yield call("xgroup_create", "made", "group", "$", names.StreamGroupOptions(True))
    yield call("xgroup_create", "s", "group", "0")
    yield call("xgroup_create_consumer", "s", "group", "idle")
    yield call("xgroup_create_consumer", "s", "group", "idle")
    yield call("xreadgroup", {"s": ">"}, "group", "reader", names.StreamReadGroupOptions(count=1))
    yield call("xreadgroup", {"s": ">"}, "group", "reader", names.StreamReadGroupOptions(False, 10))
    yield call("xreadgroup", {"s": ">"}, "group", "reader")
    yield call("xpending", "s", "group")
    yield loosely("xpending_range", "s", "group", *everything, 10)
    options = names.StreamPendingOptions(0, "nobody")
    yield call("xpending_range", "s", "group", *everything, 10, options)
    yield call("xclaim", "s", "group", "other", 0, ["1-0"], names.StreamClaimOptions(0, None, 3, True))
    yield call("xclaim_just_id", "s", "group", "other", 0, ["2-0"])
    yield call("xautoclaim", "s", "group", "third", 0, "0-0", 1)
    yield call("xautoclaim_just_id", "s", "group", "third", 0, "0-0")
    yield loosely("xinfo_groups", "s")
    yield loosely("xinfo_consumers", "s", "group")
    yield loosely("xinfo_stream_full", "s")
    yield call("xdel", "s", ["1-0"])
    yield call("xreadgroup", {"s": "0"}, "group", "third")
    yield call("xautoclaim", "s", "group", "fourth", 0, "0-0")
    yield call("xack", "s", "group", ["2-0", "9-9"])
    yield call("xpending", "s", "group")
    yield call("xgroup_set_id", "s", "group", "0", 1)
    yield call("xgroup_del_consumer", "s", "group", "idle")
    yield call("xtrim", "s", names.TrimByMinId(True, "9-9"))
    yield call("xinfo_stream_full", "made", 1)
    yield call("xgroup_destroy", "s", "group")
    yield call("xgroup_destroy", "s", "group")
    yield call("xreadgroup", {"s": ">"}, "missing", "reader")


LIBRARY = """#!lua name=samples
redis.register_function{
  function_name='answer', callback=function(keys, args) return {keys[1], args[1]} end, flags={'no-writes'}
}
"""


def scripting(names: Any) -> Iterator[Call]:
    yield call("function_flush", names.FlushMode.SYNC)
    yield call("function_load", LIBRARY)
    yield call("function_load", LIBRARY)
    yield call("function_load", LIBRARY, True)
    yield call("fcall", "answer", ["k"], ["a"])
    yield call("fcall_ro", "answer", ["k"], ["a"])
    yield call("function_list", "samples*", True)
    yield call("function_list", "missing*")
    yield loosely("function_dump")
    yield call("function_delete", "samples")
    yield call("function_kill")
    yield call("script_exists", ["0" * 40])
    yield call("script_flush", names.FlushMode.SYNC)
    yield call("script_kill")
    yield call("script_show", "0" * 40)


def server(names: Any) -> Iterator[Call]:
    yield call("ping")
    yield call("ping", "words")
    yield call("echo", "words")
    yield call("dbsize")
    yield loosely("info", [names.InfoSection.SERVER])
    yield loosely("time")
    yield loosely("lastsave")
    yield call("config_set", {"maxmemory": "0", "timeout": "0"})
    yield call("config_get", ["maxmemory", "timeout"])
    yield call("config_resetstat")
    yield call("config_get", ["missing"])
    yield loosely("client_id")
    yield loosely("lolwut")
    yield loosely("memory_doctor")
    yield call("memory_purge")
    yield loosely("memory_malloc_stats")
    yield loosely("memory_stats")
    yield call("latency_reset")
    yield call("latency_history", "command")
    yield call("latency_latest")
    yield call("client_unpause")
    yield call("flushall", names.FlushMode.SYNC)
    yield call("flushdb")
    yield call("replicaof_no_one")
    yield call("failover", None, None, False, True)
    yield call("move", "missing", 1)
    yield call("publish", "message", "channel")
    yield call("pubsub_channels")
    yield call("pubsub_numpat")
    yield call("pubsub_numsub", ["channel"])
    yield call("migrate", "127.0.0.1", 1, "missing", 0, 100)
    yield call("custom_command", ["XRANGE", "missing", "-", "+"])
    yield call("custom_command", ["CONFIG", "GET", "maxmemory"])


def custom(_names: Any) -> Iterator[Call]:
    for text in """
        XADD s 1-0 f 1 f 2; XRANGE s - +; XREVRANGE s + -; XREAD STREAMS s 0; XREAD STREAMS s 9; XINFO STREAM s
        XGROUP CREATE s g 0; XREADGROUP GROUP g c STREAMS s >; XINFO GROUPS s; XCLAIM s g c 0 1-0
        XCLAIM s g c 0 1-0 JUSTID; XAUTOCLAIM s g c 0 0; XAUTOCLAIM s g c 0 0 JUSTID; XPENDING s g
        XGROUP CREATECONSUMER s g d; XGROUP DESTROY s g; XADD g 1-0 f 1; XGROUP CREATE g g 0; XINFO STREAM g FULL
        GEOADD p 13.361389 38.115556 a; GEOPOS p a b; GEODIST p a a; GEOSEARCH p FROMMEMBER a BYRADIUS 1 m
        GEOSEARCH p FROMMEMBER a BYRADIUS 1 m WITHDIST WITHCOORD; MSET a abc b bcd; LCS a b; LCS a b IDX; PFADD h a
        SETBIT k 1 1; BITFIELD k GET u8 0; SET k v; SET k v GET; GET k; HSET f a 1; HGETALL f
        ZADD z 1 a 2 b; ZRANGE z 0 -1 WITHSCORES; ZPOPMIN z; LMPOP 1 l LEFT; SCRIPT EXISTS x; EXPIRE k 100
        SLOWLOG RESET; ACL SETUSER u; XINFO HELP; XINFO GROUPS g; XINFO CONSUMERS g g
    """.replace("\n", ";").split(";"):
        if text.strip():
            yield call("custom_command", text.split())
    yield loosely("custom_command", ["MEMORY", "STATS"])


STATUS_LIBRARY = """#!lua name=statuses
server.register_function('set_key', function(keys, args) return server.call('SET', keys[1], args[1]) end)
server.register_function('say', function(keys, args) return {server.status_reply(args[1]), args[1]} end)
"""


def kinds(_names: Any) -> Iterator[Call]:
    """Return calls for statuses and strings that look alike, from scripts and functions, at several depths."""
    for code in (
        "return redis.call('SET', KEYS[1], 'OK')",
        "return redis.call('GET', KEYS[1])",
        "return {ok='OK'}",
        "return {ok='FINE'}",
        "return redis.status_reply('PONG')",
        "return redis.call('PING')",
        "return redis.call('TYPE', KEYS[1])",
        "return {redis.status_reply('OK'), 'OK', {redis.status_reply('HI'), 'HI', {{ok='OK'}}}}",
        "return {redis.call('SET', KEYS[1], 'v'), redis.call('SET', KEYS[1], 'v', 'GET'), false, 1}",
    ):
        yield call("custom_command", ["EVAL", code, "1", "k"])
    yield call("function_load", STATUS_LIBRARY, True)
    yield call("fcall", "set_key", ["k"], ["v"])
    yield call("fcall", "say", None, ["OK"])
    yield call("fcall", "say", [], ["HI"])
    yield call("custom_command", ["FCALL", "set_key", "1", "k", "OK"])
    for text in (
        "GET k",
        "GETSET k w",
        "ECHO OK",
        "PING",
        "PING OK",
        "TYPE k",
        "SET k v",
        "SET k OK GET",
        "RENAME k l",
    ):
        yield call("custom_command", text.split())
    yield call("echo", "OK")
    yield call("ping", "OK")


GROUPS = {
    group.__name__: group
    for group in (
        *(strings, bitmaps, hyperloglog, keys, hashes, lists, sets, sorted_sets, geo, streams),
        *(scripting, server, custom, kinds),
    )
}
