"""Commands on sorted sets."""

from __future__ import annotations

from glidecache.commands.command import Command
from glidecache.commands.decoding import (
    to_float,
    to_optional_float,
    to_optional_floats,
    to_optional_popped_score,
    to_optional_popped_scores,
    to_optional_rank_and_score,
    to_score_pairs,
    to_scores,
)
from glidecache.commands.encoding import (
    each_of,
    encode,
    encode_command,
    encode_each,
    keyword,
    need,
    optional_keyword,
)
from glidecache.commands.keys import scan_options
from glidecache.commands.options.ranges import (
    AggregationType,
    RangeByIndex,
    RangeByLex,
    RangeByScore,
    ScoreFilter,
    lex_bound,
    score_bound,
)
from glidecache.commands.options.writes import ConditionalChange, UpdateOptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from glidecache.commands.encoding import AnyMapping, Argument
    from glidecache.commands.options.ranges import InfBound, LexBoundary, ScoreBoundary


def zadd(
    key: Argument,
    members_scores: AnyMapping[Argument, float],
    existing_options: ConditionalChange | None = None,
    update_condition: UpdateOptions | None = None,
    changed: bool = False,
) -> Command[int]:
    """Add members, or change their scores (`ZADD`). Return how many are new, with `changed`: new or changed.

    Raises `ValueError` for an `update_condition` together with `ONLY_IF_DOES_NOT_EXIST`.
    """
    args = [b"ZADD", encode(key, "key"), *_adding(existing_options, update_condition)]
    if changed:
        args.append(b"CH")
    if not hasattr(members_scores, "items"):
        message = f"members_scores must be a mapping, not {type(members_scores).__name__}"
        raise TypeError(message)
    for member, score in members_scores.items():
        args.append(encode(score, f"the score of {member!r} in members_scores"))
        args.append(encode(member, "a member of members_scores"))
    return Command(args)


def zadd_incr(
    key: Argument,
    member: Argument,
    increment: float,
    existing_options: ConditionalChange | None = None,
    update_condition: UpdateOptions | None = None,
) -> Command[float | None]:
    """Add to a member's score, under a condition (`ZADD … INCR`). Return the new score, None if it was not met.

    Raises `ValueError` for an `update_condition` together with `ONLY_IF_DOES_NOT_EXIST`.
    """
    args = [b"ZADD", encode(key, "key"), *_adding(existing_options, update_condition), b"INCR"]
    return Command([*args, encode(increment, "increment"), encode(member, "member")], to_optional_float)


def zincrby(key: Argument, increment: float, member: Argument) -> Command[float]:
    """Add to a member's score (`ZINCRBY`). Return the score afterwards."""
    return Command(encode_command(b"ZINCRBY", key, increment, member), to_float)


def zrem(key: Argument, members: Iterable[Argument]) -> Command[int]:
    """Remove members (`ZREM`). Return how many there were."""
    return Command([b"ZREM", encode(key, "key"), *encode_each(members, "members")])


def zremrangebyrank(key: Argument, start: int, end: int) -> Command[int]:
    """Remove the members of ranks `start` to `end`, both included (`ZREMRANGEBYRANK`). Return their number."""
    return Command(encode_command(b"ZREMRANGEBYRANK", key, start, end))


def zremrangebyscore(
    key: Argument, min_score: InfBound | ScoreBoundary, max_score: InfBound | ScoreBoundary
) -> Command[int]:
    """Remove the members of a range of scores (`ZREMRANGEBYSCORE`). Return how many there were."""
    return Command(encode_command(b"ZREMRANGEBYSCORE", key, *_score_bounds(min_score, max_score)))


def zremrangebylex(
    key: Argument, min_lex: InfBound | LexBoundary, max_lex: InfBound | LexBoundary
) -> Command[int]:
    """Remove the members of a lexicographical range (`ZREMRANGEBYLEX`). Return how many there were."""
    return Command(encode_command(b"ZREMRANGEBYLEX", key, *_lex_bounds(min_lex, max_lex)))


def zcard(key: Argument) -> Command[int]:
    """Return how many members the sorted set has (`ZCARD`)."""
    return Command(encode_command(b"ZCARD", key))


def zcount(
    key: Argument, min_score: InfBound | ScoreBoundary, max_score: InfBound | ScoreBoundary
) -> Command[int]:
    """Return how many members have a score in the range (`ZCOUNT`)."""
    return Command(encode_command(b"ZCOUNT", key, *_score_bounds(min_score, max_score)))


def zlexcount(
    key: Argument, min_lex: InfBound | LexBoundary, max_lex: InfBound | LexBoundary
) -> Command[int]:
    """Return how many members are in a lexicographical range (`ZLEXCOUNT`)."""
    return Command(encode_command(b"ZLEXCOUNT", key, *_lex_bounds(min_lex, max_lex)))


def zscore(key: Argument, member: Argument) -> Command[float | None]:
    """Return a member's score (`ZSCORE`); None if there is no such member."""
    return Command(encode_command(b"ZSCORE", key, member), to_optional_float)


def zmscore(key: Argument, members: Iterable[Argument]) -> Command[list[float | None]]:
    """Return the scores of members (`ZMSCORE`); None for each missing one."""
    return Command([b"ZMSCORE", encode(key, "key"), *encode_each(members, "members")], to_optional_floats)


def zrank(key: Argument, member: Argument) -> Command[int | None]:
    """Return a member's rank, the lowest score being 0 (`ZRANK`); None if there is no such member."""
    return Command(encode_command(b"ZRANK", key, member))


def zrank_withscore(key: Argument, member: Argument) -> Command[list[int | float] | None]:
    """Return a member's `[rank, score]`, the lowest score being rank 0 (`ZRANK … WITHSCORE`); or None."""
    return Command(encode_command(b"ZRANK", key, member, b"WITHSCORE"), to_optional_rank_and_score)


def zrevrank(key: Argument, member: Argument) -> Command[int | None]:
    """Return a member's rank, the highest score being 0 (`ZREVRANK`); None if there is no such member."""
    return Command(encode_command(b"ZREVRANK", key, member))


def zrevrank_withscore(key: Argument, member: Argument) -> Command[list[int | float] | None]:
    """Return a member's `[rank, score]`, the highest score being rank 0 (`ZREVRANK … WITHSCORE`); or None."""
    return Command(encode_command(b"ZREVRANK", key, member, b"WITHSCORE"), to_optional_rank_and_score)


def zrange(
    key: Argument, range_query: RangeByIndex | RangeByLex | RangeByScore, reverse: bool = False
) -> Command[list[bytes]]:
    """Return the members of a range (`ZRANGE`), by falling score with `reverse`."""
    return Command([b"ZRANGE", encode(key, "key"), *_range(range_query, reverse=reverse)])


def zrange_withscores(
    key: Argument, range_query: RangeByIndex | RangeByScore, reverse: bool = False
) -> Command[dict[bytes, float]]:
    """Return the members of a range with their scores, in order (`ZRANGE … WITHSCORES`)."""
    args = [b"ZRANGE", encode(key, "key"), *_range(range_query, reverse=reverse), b"WITHSCORES"]
    return Command(args, to_scores)


def zrangestore(
    destination: Argument,
    source: Argument,
    range_query: RangeByIndex | RangeByLex | RangeByScore,
    reverse: bool = False,
) -> Command[int]:
    """Store a range of one sorted set as another (`ZRANGESTORE`). Return its size."""
    keys = encode_command(b"ZRANGESTORE", destination, source)
    return Command([*keys, *_range(range_query, reverse=reverse)])


def zpopmin(key: Argument, count: int | None = None) -> Command[dict[bytes, float]]:
    """Return the member of lowest score, or `count` of them, and remove them (`ZPOPMIN`): `{member: score}`."""
    return Command(_popping(b"ZPOPMIN", key, count), to_scores)


def zpopmax(key: Argument, count: int | None = None) -> Command[dict[bytes, float]]:
    """Return the member of highest score, or `count` of them, and remove them (`ZPOPMAX`): `{member: score}`."""
    return Command(_popping(b"ZPOPMAX", key, count), to_scores)


def bzpopmin(keys: Iterable[Argument], timeout: float) -> Command[list[bytes | float] | None]:
    """Pop the lowest of the first sorted set that has members, waiting up to `timeout` seconds (`BZPOPMIN`).

    Returns `[key, member, score]`, None when the time is over; 0 waits forever.
    """
    args = [b"BZPOPMIN", *encode_each(keys, "keys"), encode(timeout, "timeout")]
    return Command(args, to_optional_popped_score)


def bzpopmax(keys: Iterable[Argument], timeout: float) -> Command[list[bytes | float] | None]:
    """Pop the highest of the first sorted set that has members, waiting up to `timeout` seconds (`BZPOPMAX`).

    As `bzpopmin`.
    """
    args = [b"BZPOPMAX", *encode_each(keys, "keys"), encode(timeout, "timeout")]
    return Command(args, to_optional_popped_score)


def zmpop(
    keys: Iterable[Argument], filter: ScoreFilter, count: int | None = None
) -> Command[list[Any] | None]:
    """Pop from the first sorted set that has members (`ZMPOP`): `[key, {member: score}]`, or None."""
    args = [b"ZMPOP", *_counted(keys), keyword(filter, ScoreFilter, "filter")]
    return Command(
        args if count is None else [*args, *encode_command(b"COUNT", count)], to_optional_popped_scores
    )


def bzmpop(
    keys: Iterable[Argument], modifier: ScoreFilter, timeout: float, count: int | None = None
) -> Command[list[Any] | None]:
    """Do as `zmpop`, waiting up to `timeout` seconds for members (`BZMPOP`); 0 waits forever."""
    args = [*encode_command(b"BZMPOP", timeout), *_counted(keys), keyword(modifier, ScoreFilter, "modifier")]
    return Command(
        args if count is None else [*args, *encode_command(b"COUNT", count)], to_optional_popped_scores
    )


def zdiff(keys: Iterable[Argument]) -> Command[list[bytes]]:
    """Return the members of the first sorted set that no other has (`ZDIFF`)."""
    return Command([b"ZDIFF", *_counted(keys)])


def zdiff_withscores(keys: Iterable[Argument]) -> Command[dict[bytes, float]]:
    """Return the same as `zdiff`, with scores (`ZDIFF … WITHSCORES`)."""
    return Command([b"ZDIFF", *_counted(keys), b"WITHSCORES"], to_scores)


def zdiffstore(destination: Argument, keys: Iterable[Argument]) -> Command[int]:
    """Store the result of `zdiff` as a sorted set at `destination` (`ZDIFFSTORE`). Return its size."""
    return Command([b"ZDIFFSTORE", encode(destination, "destination"), *_counted(keys)])


def zinter(keys: Iterable[Argument]) -> Command[list[bytes]]:
    """Return the members that all sorted sets have (`ZINTER`)."""
    return Command([b"ZINTER", *_counted(keys)])


def zinter_withscores(
    keys: Iterable[Argument | tuple[Argument, float]], aggregation_type: AggregationType | None = None
) -> Command[dict[bytes, float]]:
    """Return the same as `zinter`, with scores; keys may be given as `(key, weight)` (`ZINTER … WITHSCORES`)."""
    return Command([b"ZINTER", *_combining(keys, aggregation_type), b"WITHSCORES"], to_scores)


def zinterstore(
    destination: Argument,
    keys: Iterable[Argument | tuple[Argument, float]],
    aggregation_type: AggregationType | None = None,
) -> Command[int]:
    """Store the result of `zinter_withscores` at `destination` (`ZINTERSTORE`). Return its size."""
    combined = _combining(keys, aggregation_type)
    return Command([b"ZINTERSTORE", encode(destination, "destination"), *combined])


def zintercard(keys: Iterable[Argument], limit: int | None = None) -> Command[int]:
    """Return how many members all sorted sets have; counting stops at `limit` (`ZINTERCARD`)."""
    args = [b"ZINTERCARD", *_counted(keys)]
    return Command(args if limit is None else [*args, *encode_command(b"LIMIT", limit)])


def zunion(keys: Iterable[Argument]) -> Command[list[bytes]]:
    """Return the members that any of the sorted sets has (`ZUNION`)."""
    return Command([b"ZUNION", *_counted(keys)])


def zunion_withscores(
    keys: Iterable[Argument | tuple[Argument, float]], aggregation_type: AggregationType | None = None
) -> Command[dict[bytes, float]]:
    """Return the same as `zunion`, with scores; keys may be given as `(key, weight)` (`ZUNION … WITHSCORES`)."""
    return Command([b"ZUNION", *_combining(keys, aggregation_type), b"WITHSCORES"], to_scores)


def zunionstore(
    destination: Argument,
    keys: Iterable[Argument | tuple[Argument, float]],
    aggregation_type: AggregationType | None = None,
) -> Command[int]:
    """Store the result of `zunion_withscores` at `destination` (`ZUNIONSTORE`). Return its size."""
    combined = _combining(keys, aggregation_type)
    return Command([b"ZUNIONSTORE", encode(destination, "destination"), *combined])


def zrandmember(key: Argument) -> Command[bytes | None]:
    """Return any member (`ZRANDMEMBER`); None if there is none."""
    return Command(encode_command(b"ZRANDMEMBER", key))


def zrandmember_count(key: Argument, count: int) -> Command[list[bytes]]:
    """Return up to `count` different members. Negative: exactly that many, perhaps repeated (`ZRANDMEMBER`)."""
    return Command(encode_command(b"ZRANDMEMBER", key, count))


def zrandmember_withscores(key: Argument, count: int) -> Command[list[list[bytes | float]]]:
    """Return the same as `zrandmember_count`, each as `[member, score]` (`ZRANDMEMBER … WITHSCORES`)."""
    return Command(encode_command(b"ZRANDMEMBER", key, count, b"WITHSCORES"), to_score_pairs)


def zscan(
    key: Argument,
    cursor: Argument,
    match: Argument | None = None,
    count: int | None = None,
    no_scores: bool = False,
) -> Command[list[Any]]:
    """Take one step over a sorted set (`ZSCAN`): `[next cursor, [member, score, …]]`; `"0"` begins, `b"0"` ends."""
    args = [*encode_command(b"ZSCAN", key, cursor), *scan_options(match, count)]
    if no_scores:
        args.append(b"NOSCORES")
    return Command(args)


def _adding(existing: ConditionalChange | None, update: UpdateOptions | None) -> list[bytes]:
    if existing is ConditionalChange.ONLY_IF_DOES_NOT_EXIST and update is not None:
        message = "update_condition and ONLY_IF_DOES_NOT_EXIST exclude each other: a new member has no score to compare"
        raise ValueError(message)
    return [
        *optional_keyword(existing, ConditionalChange, "existing_options"),
        *optional_keyword(update, UpdateOptions, "update_condition"),
    ]


def _score_bounds(low: InfBound | ScoreBoundary, high: InfBound | ScoreBoundary) -> list[bytes]:
    return [score_bound(low, "min_score"), score_bound(high, "max_score")]


def _lex_bounds(low: InfBound | LexBoundary, high: InfBound | LexBoundary) -> list[bytes]:
    return [lex_bound(low, "min_lex"), lex_bound(high, "max_lex")]


def _range(query: RangeByIndex | RangeByLex | RangeByScore, *, reverse: bool) -> list[bytes]:
    need(query, (RangeByIndex, RangeByLex, RangeByScore), "range_query")
    args = query.to_args()
    if reverse:
        args.append(b"REV")
    if not isinstance(query, RangeByIndex) and query.limit is not None:
        args += query.limit.to_args()
    return args


def _popping(name: bytes, key: Argument, count: int | None) -> list[bytes]:
    return encode_command(name, key) if count is None else encode_command(name, key, count)


def _counted(keys: Iterable[Argument]) -> list[bytes]:
    encoded = encode_each(keys, "keys")
    return [b"%d" % len(encoded), *encoded]


def _combining(
    keys: Iterable[Argument | tuple[Argument, float]], aggregation_type: AggregationType | None
) -> list[bytes]:
    names: list[Any] = []
    weights: list[Any] = []
    for item in each_of(keys, "keys"):
        if isinstance(item, tuple):
            names.append(item[0])
            weights.append(item[1])
        else:
            names.append(item)
    args = _counted(names)
    if weights:
        args += [b"WEIGHTS", *encode_each(weights, "weights")]
    if aggregation_type is not None:
        args += [b"AGGREGATE", keyword(aggregation_type, AggregationType, "aggregation_type")]
    return args
