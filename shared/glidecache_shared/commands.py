"""What is known of commands: which only read, which block, and which are bound to one connection.

A *known read* changes nothing: it may be sent again when a connection was lost (architecture, failure model), and it
leaves its client's right to share flights alone (contract C22). Everything that is not in the tables counts as a
command that may write.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_KNOWN_READS = frozenset(
    b"""
    BITCOUNT BITFIELD_RO BITPOS CLUSTERSCAN DBSIZE DUMP ECHO EVALSHA_RO EVAL_RO EXISTS EXPIRETIME FCALL_RO GEODIST
    GEOHASH GEOPOS GEORADIUSBYMEMBER_RO GEORADIUS_RO GEOSEARCH GET GETBIT GETRANGE HEXISTS HEXPIRETIME HGET HGETALL
    HKEYS HLEN HMGET HPEXPIRETIME HPTTL HRANDFIELD HSCAN HSTRLEN HTTL HVALS INFO KEYS LASTSAVE LCS LINDEX LLEN LOLWUT
    LPOS LRANGE MGET PEXPIRETIME PFCOUNT PING PTTL RANDOMKEY ROLE SCAN SCARD SDIFF SINTER SINTERCARD SISMEMBER SMEMBERS
    SMISMEMBER SORT_RO SRANDMEMBER SSCAN STRLEN SUBSTR SUNION TIME TOUCH TTL TYPE XLEN XPENDING XRANGE XREAD XREVRANGE
    ZCARD ZCOUNT ZDIFF ZINTER ZINTERCARD ZLEXCOUNT ZMSCORE ZRANDMEMBER ZRANGE ZRANGEBYLEX ZRANGEBYSCORE ZRANK ZREVRANGE
    ZREVRANGEBYLEX ZREVRANGEBYSCORE ZREVRANK ZSCAN ZSCORE ZUNION
    """.split()
)

_READING_SUBCOMMANDS = {
    container: frozenset(subcommands.encode().split())
    for container, subcommands in (
        (b"ACL", "CAT DRYRUN GENPASS GETUSER LIST USERS WHOAMI"),
        (b"CLIENT", "GETNAME ID INFO LIST"),
        (
            b"CLUSTER",
            "COUNTKEYSINSLOT GETKEYSINSLOT INFO KEYSLOT LINKS MYID MYSHARDID NODES REPLICAS SHARDS SLOTS",
        ),
        (b"COMMAND", "COUNT DOCS GETKEYS GETKEYSANDFLAGS INFO LIST"),
        (b"COMMANDLOG", "GET LEN"),
        (b"CONFIG", "GET"),
        (b"FUNCTION", "DUMP LIST STATS"),
        (b"LATENCY", "DOCTOR GRAPH HISTOGRAM HISTORY LATEST"),
        (b"MEMORY", "DOCTOR STATS USAGE"),
        (b"OBJECT", "ENCODING FREQ IDLETIME REFCOUNT"),
        (b"PUBSUB", "CHANNELS NUMPAT NUMSUB SHARDCHANNELS SHARDNUMSUB"),
        (b"SCRIPT", "EXISTS SHOW"),
        (b"SLOWLOG", "GET LEN"),
        (b"XINFO", "CONSUMERS GROUPS STREAM"),
    )
}

_BLOCKING = frozenset(b"BLMOVE BLMPOP BLPOP BRPOP BRPOPLPUSH BZMPOP BZPOPMAX BZPOPMIN WAIT WAITAOF".split())
_BLOCKING_BY_OPTION = frozenset((b"XREAD", b"XREADGROUP"))

_NO_TRANSACTIONS = "send a transaction whole, as an atomic batch (Batch(is_atomic=True) and exec)"
_NO_SUBSCRIPTIONS = "subscribe through a client of your own: the daemon's connections are shared"
_DAEMON_SPEAKS = "the daemon decides how its connections speak"
_DAEMON_NAMES = "the daemon names its connections itself"

_REFUSED = {
    b"ASKING": "the daemon follows redirections itself",
    b"AUTH": "give the user and the password in the client's configuration (credentials=)",
    b"DISCARD": _NO_TRANSACTIONS,
    b"EXEC": _NO_TRANSACTIONS,
    b"HELLO": _DAEMON_SPEAKS,
    b"MONITOR": "use valkey-cli",
    b"MULTI": _NO_TRANSACTIONS,
    b"PSUBSCRIBE": _NO_SUBSCRIPTIONS,
    b"PSYNC": "replicate from the server itself",
    b"PUNSUBSCRIBE": _NO_SUBSCRIPTIONS,
    b"QUIT": "close the client instead",
    b"READONLY": "choose read_from in the client's configuration",
    b"READWRITE": "choose read_from in the client's configuration",
    b"REPLCONF": "replicate from the server itself",
    b"RESET": "close the client instead",
    b"SELECT": "give database_id in the client's configuration",
    b"SSUBSCRIBE": _NO_SUBSCRIPTIONS,
    b"SUBSCRIBE": _NO_SUBSCRIPTIONS,
    b"SUNSUBSCRIBE": _NO_SUBSCRIPTIONS,
    b"SYNC": "replicate from the server itself",
    b"UNSUBSCRIBE": _NO_SUBSCRIPTIONS,
    b"UNWATCH": "call the client's unwatch()",
    b"WATCH": "call the client's watch(keys) before the atomic batch",
}

_REFUSED_SUBCOMMANDS = {
    b"CLIENT": {
        b"CACHING": "the cache of this client is TTL-only",
        b"CAPA": _DAEMON_SPEAKS,
        b"IMPORT-SOURCE": _DAEMON_SPEAKS,
        b"NO-EVICT": "use valkey-cli",
        b"NO-TOUCH": _DAEMON_SPEAKS,
        b"REPLY": _DAEMON_SPEAKS,
        b"SETINFO": _DAEMON_NAMES,
        b"SETNAME": _DAEMON_NAMES,
        b"TRACKING": "the cache of this client is TTL-only",
    },
    # Replies of a form that no request asked for would give later requests each other's replies.
    b"DEBUG": {b"PROTOCOL": "use valkey-cli"},
    b"SCRIPT": {b"DEBUG": "use valkey-cli"},
}


def is_known_read(arguments: Sequence[bytes]) -> bool:
    """Whether the command, its name first, certainly changes nothing on the server."""
    name = arguments[0].upper()
    if name in _KNOWN_READS:
        return True
    subcommands = _READING_SUBCOMMANDS.get(name)
    return subcommands is not None and len(arguments) > 1 and arguments[1].upper() in subcommands


def is_blocking(arguments: Sequence[bytes]) -> bool:
    """Whether the server may keep the reply back until something happens: it needs a connection of its own."""
    name = arguments[0].upper()
    if name in _BLOCKING:
        return True
    if name in _BLOCKING_BY_OPTION:
        # BLOCK stands before STREAMS; behind it everything is a key or an id.
        for argument in arguments[1:]:
            option = argument.upper()
            if option == b"BLOCK":
                return True
            if option == b"STREAMS":
                return False
    return False


def refusal(arguments: Sequence[bytes]) -> str | None:
    """Why the command cannot run on a shared connection and what to use instead; None when it can."""
    name = arguments[0].upper()
    advice = _REFUSED.get(name)
    shown = name
    if advice is None:
        subcommands = _REFUSED_SUBCOMMANDS.get(name)
        if subcommands is None or len(arguments) < 2:  # noqa: PLR2004
            return None
        shown = name + b" " + arguments[1].upper()
        advice = subcommands.get(arguments[1].upper())
        if advice is None:
            return None
    return f"{shown.decode()} is bound to one connection, and glidecached's connections are shared: {advice}"
