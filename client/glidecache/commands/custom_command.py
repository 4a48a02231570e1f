"""Any command, its name first, with the result of the command's own method: `custom_command`."""

from __future__ import annotations

from glidecache.commands import decoding
from glidecache.commands.command import Command
from glidecache.commands.encoding import encode_each

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from glidecache.commands.encoding import Argument

    Decoder = Callable[[Any], Any]


def _of(decoder: Decoder, names: str) -> dict[bytes, Decoder]:
    return dict.fromkeys(names.encode().split(), decoder)


_ANY = decoding.optional

_DECODERS: dict[bytes, Decoder] = {
    **_of(
        decoding.to_optional_status,
        "BGREWRITEAOF BGSAVE FAILOVER FLUSHALL FLUSHDB HMSET LSET LTRIM MIGRATE MSET PFMERGE PSETEX RENAME REPLICAOF "
        "RESTORE SAVE SETEX SHUTDOWN SLAVEOF SWAPDB",
    ),
    **_of(
        _ANY(decoding.to_bool),
        "COPY DELIFEQ EXPIRE EXPIREAT HEXISTS HSETNX MOVE MSETNX PERSIST PEXPIRE "
        "PEXPIREAT PFADD RENAMENX SMOVE",
    ),
    **_of(_ANY(decoding.to_bools), "SMISMEMBER"),
    **_of(_ANY(decoding.to_float), "GEODIST HINCRBYFLOAT INCRBYFLOAT ZINCRBY ZSCORE"),
    **_of(_ANY(decoding.to_optional_floats), "ZMSCORE"),
    **_of(_ANY(decoding.to_map), "HGETALL"),
    **_of(_ANY(decoding.to_streams), "XREAD XREADGROUP"),
    **_of(_ANY(decoding.to_entries), "XRANGE XREVRANGE"),
    **_of(decoding.to_positions, "GEOPOS"),
    **_of(_ANY(decoding.to_set), "SDIFF SINTER SMEMBERS SUNION"),
    **_of(_ANY(decoding.to_scores), "ZPOPMAX ZPOPMIN"),
    **_of(decoding.to_optional_popped, "BLMPOP LMPOP"),
    **_of(decoding.to_optional_popped_score, "BZPOPMAX BZPOPMIN"),
    **_of(decoding.to_optional_popped_scores, "BZMPOP ZMPOP"),
}

_OF_SUBCOMMANDS: dict[tuple[bytes, bytes], Decoder] = {
    (b"ACL", b"LOAD"): decoding.to_optional_status,
    (b"ACL", b"SAVE"): decoding.to_optional_status,
    (b"ACL", b"SETUSER"): decoding.to_optional_status,
    (b"COMMANDLOG", b"RESET"): decoding.to_optional_status,
    (b"CONFIG", b"GET"): decoding.to_map,
    (b"CONFIG", b"RESETSTAT"): decoding.to_optional_status,
    (b"CONFIG", b"REWRITE"): decoding.to_optional_status,
    (b"CONFIG", b"SET"): decoding.to_optional_status,
    (b"CLIENT", b"KILL"): decoding.to_optional_status,
    (b"CLIENT", b"PAUSE"): decoding.to_optional_status,
    (b"CLIENT", b"UNPAUSE"): decoding.to_optional_status,
    (b"FUNCTION", b"DELETE"): decoding.to_optional_status,
    (b"FUNCTION", b"FLUSH"): decoding.to_optional_status,
    (b"FUNCTION", b"KILL"): decoding.to_optional_status,
    (b"FUNCTION", b"LIST"): decoding.to_libraries,
    (b"FUNCTION", b"RESTORE"): decoding.to_optional_status,
    (b"FUNCTION", b"STATS"): decoding.to_function_stats,
    (b"MEMORY", b"PURGE"): decoding.to_optional_status,
    (b"MEMORY", b"STATS"): decoding.to_memory_figures,
    (b"PUBSUB", b"NUMSUB"): decoding.to_map,
    (b"PUBSUB", b"SHARDNUMSUB"): decoding.to_map,
    (b"SCRIPT", b"EXISTS"): decoding.to_bools,
    (b"SCRIPT", b"FLUSH"): decoding.to_optional_status,
    (b"SCRIPT", b"KILL"): decoding.to_optional_status,
    (b"SLOWLOG", b"RESET"): decoding.to_optional_status,
    (b"XGROUP", b"CREATE"): decoding.to_optional_status,
    (b"XGROUP", b"CREATECONSUMER"): decoding.to_bool,
    (b"XGROUP", b"DESTROY"): decoding.to_bool,
    (b"XGROUP", b"SETID"): decoding.to_optional_status,
    (b"XINFO", b"CONSUMERS"): decoding.to_maps,
    (b"XINFO", b"GROUPS"): decoding.to_maps,
}

# Optional keywords that change the reply's shape: the number of arguments before it, and its effect.
_BY_KEYWORD: dict[bytes, tuple[int, bytes, Decoder]] = {
    b"LCS": (2, b"IDX", decoding.to_map),
    b"HRANDFIELD": (2, b"WITHVALUES", decoding.to_pairs),
    b"ZRANDMEMBER": (2, b"WITHSCORES", decoding.to_score_pairs),
    b"ZRANGE": (3, b"WITHSCORES", decoding.to_scores),
    b"ZRANGEBYSCORE": (3, b"WITHSCORES", decoding.to_scores),
    b"ZRANK": (2, b"WITHSCORE", decoding.to_optional_rank_and_score),
    b"ZREVRANGE": (3, b"WITHSCORES", decoding.to_scores),
    b"ZREVRANGEBYSCORE": (3, b"WITHSCORES", decoding.to_scores),
    b"ZREVRANK": (2, b"WITHSCORE", decoding.to_optional_rank_and_score),
}
_COUNTED_KEYS = frozenset(b"ZDIFF ZINTER ZUNION".split())
_PLACE_DETAILS = (b"WITHCOORD", b"WITHDIST", b"WITHHASH")
_ZADD_OPTIONS = frozenset(b"NX XX GT LT CH".split())
_SPOP_WITH_COUNT = 3
_SISMEMBER_LENGTH = 3
_XINFO_LENGTH = 3


def custom_command(command_args: Iterable[Argument]) -> Command[Any]:
    """Return any command, its name first. Raises `TypeError`, and `ValueError` for no command at all."""
    args = encode_each(command_args, "command_args")
    if not args or not args[0]:
        message = "command_args must begin with a command's name"
        raise ValueError(message)
    return Command(args, decoder_for(args))


def decoder_for(args: Sequence[bytes]) -> Decoder | None:
    """Return the conversion of the reply to a command; None: the reply is the result."""
    name = args[0].upper()
    if name in _DECODERS:
        return _DECODERS[name]
    by_keyword = _BY_KEYWORD.get(name)
    if by_keyword is not None:
        before, keyword, decoder = by_keyword
        return decoder if keyword in _upper(args[before + 1 :]) else None
    if len(args) > 1 and (name, args[1].upper()) in _OF_SUBCOMMANDS:
        return _OF_SUBCOMMANDS[name, args[1].upper()]
    special = _SPECIAL.get(name)
    return None if special is None else special(args)


def _of_set(args: Sequence[bytes]) -> Decoder | None:
    # With GET the reply is the old value, which may well be "OK".
    return None if b"GET" in _upper(args[3:]) else decoding.to_optional_status


def _of_zadd(args: Sequence[bytes]) -> Decoder | None:
    for argument in args[2:]:
        option = argument.upper()
        if option == b"INCR":
            return decoding.to_optional_float
        if option not in _ZADD_OPTIONS:
            break
    return None


def _of_sismember(args: Sequence[bytes]) -> Decoder | None:
    return decoding.to_bool if len(args) == _SISMEMBER_LENGTH else None


def _of_spop(args: Sequence[bytes]) -> Decoder | None:
    return decoding.to_set if len(args) == _SPOP_WITH_COUNT else None


def _of_counted(args: Sequence[bytes]) -> Decoder | None:
    keys = int(args[1]) if len(args) > 1 and args[1].isdigit() else 0
    return decoding.to_scores if b"WITHSCORES" in _upper(args[2 + keys :]) else None


def _of_geosearch(args: Sequence[bytes]) -> Decoder | None:
    options = _upper(args[2:])
    return decoding.to_found_places if any(detail in options for detail in _PLACE_DETAILS) else None


def _of_claim(args: Sequence[bytes]) -> Decoder | None:
    if b"JUSTID" in _upper(args[5:]):
        return None
    return decoding.to_entries if args[0].upper() == b"XCLAIM" else decoding.to_claimed


def _of_xinfo(args: Sequence[bytes]) -> Decoder | None:
    if len(args) < _XINFO_LENGTH or args[1].upper() != b"STREAM":
        return None
    is_full = len(args) > _XINFO_LENGTH and args[_XINFO_LENGTH].upper() == b"FULL"
    return decoding.to_whole_stream if is_full else decoding.to_map


def _upper(args: Sequence[bytes]) -> list[bytes]:
    return [argument.upper() for argument in args]


_SPECIAL: dict[bytes, Callable[[Sequence[bytes]], Decoder | None]] = {
    b"SET": _of_set,
    b"SISMEMBER": _of_sismember,
    b"SPOP": _of_spop,
    b"GEOSEARCH": _of_geosearch,
    b"XAUTOCLAIM": _of_claim,
    b"XCLAIM": _of_claim,
    b"XINFO": _of_xinfo,
    b"ZADD": _of_zadd,
    **dict.fromkeys(_COUNTED_KEYS, _of_counted),
}
