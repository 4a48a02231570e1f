"""The words that each command sends, and the results of both protocols' replies."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from glidecache import (
    AggregationType,
    ConditionalChange,
    ExpireOptions,
    ExpiryGetEx,
    ExpirySet,
    ExpiryType,
    ExpiryTypeGetEx,
    FlushMode,
    HashFieldConditionalChange,
    InfBound,
    InfoSection,
    InsertPosition,
    LexBoundary,
    Limit,
    ListDirection,
    ObjectType,
    OnlyIfEqual,
    OrderBy,
    RangeByIndex,
    RangeByLex,
    RangeByScore,
    ScoreBoundary,
    ScoreFilter,
    Script,
    UpdateOptions,
)
from glidecache.commands import (
    batched,
    cluster_only,
    hashes,
    keys,
    lists,
    scripting,
    server,
    sets,
    sorted_sets,
    standalone_only,
    strings,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecache.commands.command import Command

NX = ConditionalChange.ONLY_IF_DOES_NOT_EXIST
TEN_SECONDS = ExpirySet(ExpiryType.SEC, 10)

SENT = [
    (strings.set("k", "v"), "SET k v"),
    (strings.set("k", 1, NX, TEN_SECONDS, True), "SET k 1 NX GET EX 10"),
    (strings.set("k", 1.5, OnlyIfEqual("old")), "SET k 1.5 IFEQ old"),
    (strings.getex("k", ExpiryGetEx(ExpiryTypeGetEx.PERSIST, None)), "GETEX k PERSIST"),
    (strings.mset({"a": 1, "b": b"x"}), "MSET a 1 b x"),
    (strings.lcs_idx("a", "b", 4, True), "LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN"),
    (keys.delete(["a", "b"]), "DEL a b"),
    (keys.expire("k", 5, ExpireOptions.HasNoExpiry), "EXPIRE k 5 NX"),
    (keys.copy("a", "b", 2, True), "COPY a b DB 2 REPLACE"),
    (cluster_only.copy("a", "b", True, 2), "COPY a b DB 2 REPLACE"),
    (keys.restore("k", 0, b"x", idletime=5, frequency=6), "RESTORE k 0 x IDLETIME 5 FREQ 6"),
    (keys.restore("k", 0, b"x", True, True, 5), "RESTORE k 0 x REPLACE ABSTTL IDLETIME 5"),
    (standalone_only.scan("0", "a*", 10, ObjectType.ZSET), "SCAN 0 MATCH a* COUNT 10 TYPE ZSet"),
    (
        keys.sort_store("k", "d", "w_*", Limit(0, 5), ["#", "d_*"], OrderBy.DESC, True),
        "SORT k BY w_* LIMIT 0 5 GET # GET d_* DESC ALPHA STORE d",
    ),
    (hashes.hset("h", {"f": 1, "g": "x"}), "HSET h f 1 g x"),
    (hashes.hexpire("h", 5, ["f", "g"], ExpireOptions.HasExistingExpiry), "HEXPIRE h 5 XX FIELDS 2 f g"),
    (
        hashes.hsetex("h", {"f": 1}, HashFieldConditionalChange.ONLY_IF_NONE_EXIST, TEN_SECONDS, NX),
        "HSETEX h NX FNX EX 10 FIELDS 1 f 1",
    ),
    (hashes.hgetex("h", ["f"], ExpiryGetEx(ExpiryTypeGetEx.SEC, 1)), "HGETEX h EX 1 FIELDS 1 f"),
    (hashes.hscan("h", "0", no_values=True), "HSCAN h 0 NOVALUES"),
    (sets.sintercard(["a", "b"], 3), "SINTERCARD 2 a b LIMIT 3"),
    (lists.linsert("l", InsertPosition.BEFORE, "p", "e"), "LINSERT l BEFORE p e"),
    (lists.lpos("l", "e", 1, 0, 10), "LPOS l e RANK 1 COUNT 0 MAXLEN 10"),
    (lists.blmove("a", "b", ListDirection.LEFT, ListDirection.RIGHT, 0.5), "BLMOVE a b LEFT RIGHT 0.5"),
    (lists.blmpop(["a", "b"], ListDirection.LEFT, 1, 2), "BLMPOP 1 2 a b LEFT COUNT 2"),
    (sorted_sets.zadd("z", {"m": 1.5}, changed=True), "ZADD z CH 1.5 m"),
    (
        sorted_sets.zadd_incr("z", "m", 2, ConditionalChange.ONLY_IF_EXISTS, UpdateOptions.GREATER_THAN),
        "ZADD z XX GT INCR 2 m",
    ),
    (sorted_sets.zcount("z", InfBound.NEG_INF, ScoreBoundary(5, False)), "ZCOUNT z -inf (5"),
    (sorted_sets.zlexcount("z", LexBoundary("a"), InfBound.POS_INF), "ZLEXCOUNT z [a +"),
    (sorted_sets.zrange("z", RangeByIndex(0, -1), True), "ZRANGE z 0 -1 REV"),
    (
        sorted_sets.zrange_withscores("z", RangeByScore(InfBound.NEG_INF, ScoreBoundary(3.5), Limit(1, 2))),
        "ZRANGE z -inf 3.5 BYSCORE LIMIT 1 2 WITHSCORES",
    ),
    (
        sorted_sets.zrangestore("d", "z", RangeByLex(LexBoundary(b"a", False), InfBound.POS_INF), True),
        "ZRANGESTORE d z (a + BYLEX REV",
    ),
    (
        sorted_sets.zunionstore("d", [("a", 2), ("b", 0.5)], AggregationType.MAX),
        "ZUNIONSTORE d 2 a b WEIGHTS 2 0.5 AGGREGATE MAX",
    ),
    (sorted_sets.zinter_withscores(["a", "b"]), "ZINTER 2 a b WITHSCORES"),
    (sorted_sets.bzmpop(["a"], ScoreFilter.MIN, 0.1, 2), "BZMPOP 0.1 1 a MIN COUNT 2"),
    (server.info([InfoSection.SERVER, InfoSection.CPU]), "INFO server cpu"),
    (server.flushall(FlushMode.ASYNC), "FLUSHALL ASYNC"),
    (server.lolwut(5, [1, 2]), "LOLWUT VERSION 5 1 2"),
    (server.publish("message", "channel"), "PUBLISH channel message"),
    (cluster_only.publish("message", "channel", sharded=True), "SPUBLISH channel message"),
    (cluster_only.publish("message", "channel"), "PUBLISH channel message"),
    (server.pubsub_channels("a*"), "PUBSUB CHANNELS a*"),
    (scripting.fcall("f", ["k"], [1]), "FCALL f 1 k 1"),
    (scripting.fcall_ro("f"), "FCALL_RO f 0"),
    (scripting.function_list("x*", True), "FUNCTION LIST LIBRARYNAME x* WITHCODE"),
    (
        scripting.ScriptCall(Script("return 1"), ["k"], ["a"]).by_hash(),
        f"EVALSHA {Script('return 1').get_hash()} 1 k a",
    ),
]


@pytest.mark.parametrize(("command", "sent"), SENT, ids=[sent for _, sent in SENT])
def test_what_is_sent(command: Command[Any], sent: str) -> None:
    assert command.args == sent.encode().split()


def test_a_script_is_sent_by_its_digest_and_as_a_whole() -> None:
    script = Script("return redis.call('GET', KEYS[1])")
    assert script.get_hash() == "d3c21d0c2b9ca22f82737626a27bcaf5d288f99f"
    assert scripting.ScriptCall(script, ["k"], None).by_code().args == [b"EVAL", script.code, b"1", b"k"]


SCORES = {b"a": 1.0, b"b": 2.5}
FLAT_SCORES, NESTED_SCORES = [b"a", b"1", b"b", b"2.5"], [[b"a", 1.0], [b"b", 2.5]]
BY_INDEX = RangeByIndex(0, -1)

DECODED = [
    (strings.set("k", "v"), b"OK", "OK"),
    (strings.set("k", "v"), None, None),
    (strings.set("k", "v", return_old_value=True), b"OK", b"OK"),
    (strings.mset({"a": 1}), b"OK", "OK"),
    (strings.msetnx({"a": 1}), 0, False),
    (strings.incrbyfloat("k", 1), b"1.5", 1.5),
    (strings.lcs_idx("a", "b"), [b"matches", [], b"len", 0], {b"matches": [], b"len": 0}),
    (strings.lcs_idx("a", "b"), {b"matches": [], b"len": 0}, {b"matches": [], b"len": 0}),
    (keys.type("k"), b"string", b"string"),
    (keys.expire("k", 1), 1, True),
    (keys.expire("k", 1), False, False),
    (batched.hgetall("h"), [b"f", b"1"], {b"f": b"1"}),
    (batched.hgetall("h"), {b"f": b"1"}, {b"f": b"1"}),
    (batched.smembers("s"), [b"a", b"b"], {b"a", b"b"}),
    (batched.smembers("s"), {b"a"}, {b"a"}),
    (hashes.hexists("h", "f"), 1, True),
    (hashes.hincrbyfloat("h", "f", 1), b"2.5", 2.5),
    (hashes.hrandfield_withvalues("h", 2), [b"f", b"1", b"g", b"2"], [[b"f", b"1"], [b"g", b"2"]]),
    (hashes.hrandfield_withvalues("h", 2), [[b"f", b"1"]], [[b"f", b"1"]]),
    (hashes.hrandfield_withvalues("h", 2), [], []),
    (sets.smismember("s", ["a", "b"]), [1, 0], [True, False]),
    (sets.spop_count("s", 2), [b"a"], {b"a"}),
    (lists.lmpop(["l"], ListDirection.LEFT), [b"l", [b"a"]], {b"l": [b"a"]}),
    (lists.lmpop(["l"], ListDirection.LEFT), None, None),
    (sorted_sets.zscore("z", "m"), b"inf", float("inf")),
    (sorted_sets.zscore("z", "m"), None, None),
    (sorted_sets.zmscore("z", ["a", "b"]), [b"1", None], [1.0, None]),
    (sorted_sets.zmscore("z", ["a", "b"]), [1.0, None], [1.0, None]),
    (sorted_sets.zrange_withscores("z", BY_INDEX), FLAT_SCORES, SCORES),
    (sorted_sets.zrange_withscores("z", BY_INDEX), NESTED_SCORES, SCORES),
    (sorted_sets.zrange_withscores("z", BY_INDEX), [], {}),
    (sorted_sets.zpopmin("z"), [b"a", b"1"], {b"a": 1.0}),
    (sorted_sets.zpopmin("z"), [b"a", 1.0], {b"a": 1.0}),
    (sorted_sets.zpopmin("z", 2), NESTED_SCORES, SCORES),
    (sorted_sets.zrandmember_withscores("z", -2), [b"a", b"1", b"a", b"1"], [[b"a", 1.0], [b"a", 1.0]]),
    (sorted_sets.zrandmember_withscores("z", -2), [[b"a", 1.0]], [[b"a", 1.0]]),
    (sorted_sets.zrank_withscore("z", "m"), [0, b"1.5"], [0, 1.5]),
    (sorted_sets.zrank_withscore("z", "m"), None, None),
    (sorted_sets.bzpopmax(["z"], 1), [b"z", b"m", b"2"], [b"z", b"m", 2.0]),
    (sorted_sets.zmpop(["z"], ScoreFilter.MAX), [b"z", [[b"a", b"1"]]], [b"z", {b"a": 1.0}]),
    (sorted_sets.zadd_incr("z", "m", 1), None, None),
    (server.config_get(["a"]), [b"a", b"1"], {b"a": b"1"}),
    (server.bgsave(), b"Background saving started", b"Background saving started"),
    (server.pubsub_numsub(["c"]), [b"c", 2], {b"c": 2}),
    (scripting.script_exists(["x"]), [1], [True]),
    (
        scripting.function_list(),
        [[b"library_name", b"l", b"functions", [[b"name", b"f", b"flags", [b"no-writes"]]]]],
        [{b"library_name": b"l", b"functions": [{b"name": b"f", b"flags": {b"no-writes"}}]}],
    ),
    (
        scripting.function_list(),
        [{b"library_name": b"l", b"functions": [{b"name": b"f", b"flags": {b"no-writes"}}]}],
        [{b"library_name": b"l", b"functions": [{b"name": b"f", b"flags": {b"no-writes"}}]}],
    ),
]


@pytest.mark.parametrize(
    ("command", "reply", "result"),
    DECODED,
    ids=[f"{command.args[0].decode()}-{reply}" for command, reply, _ in DECODED],
)
def test_c5_what_a_reply_becomes(command: Command[Any], reply: Any, result: Any) -> None:
    decoded = command.result(reply)
    assert decoded == result
    assert type(decoded) is type(result)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: strings.set("k", "v", "NX"), TypeError, "conditional_set must be a ConditionalChange or"),
        (lambda: strings.set("k", "v", None, 10), TypeError, "expiry must be a ExpirySet, not int"),
        (lambda: keys.delete("k"), TypeError, "keys must be a list, not str"),
        (lambda: keys.expire("k", 1, "NX"), TypeError, "option must be a ExpireOptions"),
        (lambda: hashes.hset("h", ["f", "v"]), TypeError, "field_value_map must be a mapping"),
        (
            lambda: lists.lmove("a", "b", None, ListDirection.LEFT),
            TypeError,
            "where_from must be a ListDirection",
        ),
        (lambda: sorted_sets.zadd("z", ["m"]), TypeError, "members_scores must be a mapping"),
        (lambda: sorted_sets.zadd("z", {}, NX, UpdateOptions.LESS_THAN), ValueError, "exclude each other"),
        (lambda: sorted_sets.zrange("z", (0, 1)), TypeError, "range_query must be a RangeByIndex"),
        (lambda: sorted_sets.zcount("z", 1, 2), TypeError, "min_score must be a InfBound or ScoreBoundary"),
        (lambda: RangeByLex(1, 2), TypeError, "start must be a InfBound or LexBoundary"),
        (lambda: server.info(["server"]), TypeError, "a section must be a InfoSection"),
        (lambda: ExpirySet(ExpiryType.SEC, "10"), ValueError, "must be an int or a timedelta, not str"),
        (lambda: ExpirySet(ExpiryType.KEEP_TTL, 1), ValueError, "must be None, not int"),
        (lambda: ExpirySet("EX", 1), TypeError, "expiry_type must be an ExpiryType"),
        (lambda: ExpiryGetEx(ExpiryTypeGetEx.UNIX_SEC, True), ValueError, "an int or a datetime, not bool"),
        (lambda: scripting.ScriptCall("return 1", None, None), TypeError, "script must be a Script, not str"),
        (lambda: Script(5), TypeError, "code must be str or bytes, not int"),
    ],
)
def test_what_is_refused(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("expiry", "sent"),
    [
        (ExpirySet(ExpiryType.SEC, dt.timedelta(minutes=1)), ["EX", "60"]),
        (ExpirySet(ExpiryType.MILLSEC, dt.timedelta(milliseconds=5)), ["PX", "5"]),
        (
            ExpirySet(ExpiryType.UNIX_SEC, dt.datetime(2000, 1, 1, tzinfo=dt.UTC)),
            ["EXAT", "946684800"],
        ),
        (ExpirySet(ExpiryType.UNIX_MILLSEC, 7), ["PXAT", "7"]),
        (ExpirySet(ExpiryType.KEEP_TTL, None), ["KEEPTTL"]),
    ],
)
def test_expiries(expiry: ExpirySet, sent: list[str]) -> None:
    assert expiry.get_cmd_args() == sent
    assert expiry != TEN_SECONDS
    assert hash(expiry) == hash(expiry)
