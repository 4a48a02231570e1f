"""redis-py's and valkey-py's arguments that the methods of the same name here do not take, each with the call to write.

Imported when such a call is made, for the error's text alone. The methods that `INSTEAD` names take anything, to refuse
it by name: `tools/generate_commands.py` reads the table, and so makes them. Each call is Python, as in `redis_names`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

INSTEAD = {
    "set": {
        "ex": "set(key, value, expiry=ExpirySet(ExpiryType.SEC, seconds))",
        "px": "set(key, value, expiry=ExpirySet(ExpiryType.MILLSEC, milliseconds))",
        "exat": "set(key, value, expiry=ExpirySet(ExpiryType.UNIX_SEC, seconds))",
        "pxat": "set(key, value, expiry=ExpirySet(ExpiryType.UNIX_MILLSEC, milliseconds))",
        "keepttl": "set(key, value, expiry=ExpirySet(ExpiryType.KEEP_TTL, None))",
        "nx": "set(key, value, conditional_set=ConditionalChange.ONLY_IF_DOES_NOT_EXIST)",
        "xx": "set(key, value, conditional_set=ConditionalChange.ONLY_IF_EXISTS)",
        "ifeq": "set(key, value, conditional_set=OnlyIfEqual(former))",
        "get": "set(key, value, return_old_value=True)",
        "": "set(key, value, expiry=ExpirySet(ExpiryType.SEC, seconds))",
    },
    "getex": {
        "ex": "getex(key, ExpiryGetEx(ExpiryTypeGetEx.SEC, seconds))",
        "px": "getex(key, ExpiryGetEx(ExpiryTypeGetEx.MILLSEC, milliseconds))",
        "exat": "getex(key, ExpiryGetEx(ExpiryTypeGetEx.UNIX_SEC, seconds))",
        "pxat": "getex(key, ExpiryGetEx(ExpiryTypeGetEx.UNIX_MILLSEC, milliseconds))",
        "persist": "getex(key, ExpiryGetEx(ExpiryTypeGetEx.PERSIST, None))",
        "": "getex(key, ExpiryGetEx(ExpiryTypeGetEx.SEC, seconds))",
    },
    "mget": {"": "mget([key, another])"},
    "incr": {"amount": "incrby(key, amount)", "": "incrby(key, amount)"},
    "decr": {"amount": "decrby(key, amount)", "": "decrby(key, amount)"},
    "delete": {"": "delete([key, another])"},
    "unlink": {"": "unlink([key, another])"},
    "touch": {"": "touch([key, another])"},
    "expire": {
        "nx": "expire(key, seconds, ExpireOptions.HasNoExpiry)",
        "xx": "expire(key, seconds, ExpireOptions.HasExistingExpiry)",
        "gt": "expire(key, seconds, ExpireOptions.NewExpiryGreaterThanCurrent)",
        "lt": "expire(key, seconds, ExpireOptions.NewExpiryLessThanCurrent)",
        "": "expire(key, seconds)",
    },
    "hset": {
        "mapping": "hset(key, {field: value})",
        "": "hset(key, {field: value})",
    },
    "hmget": {"": "hmget(key, [field, another])"},
    "hdel": {"": "hdel(key, [field, another])"},
    "sadd": {"": "sadd(key, [member, another])"},
    "srem": {"": "srem(key, [member, another])"},
    "spop": {"count": "spop_count(key, count)", "": "spop_count(key, count)"},
    "srandmember": {"number": "srandmember_count(key, count)", "": "srandmember_count(key, count)"},
    "sdiff": {"": "sdiff([key, another])"},
    "sinter": {"": "sinter([key, another])"},
    "sunion": {"": "sunion([key, another])"},
    "lpush": {"": "lpush(key, [value, another])"},
    "rpush": {"": "rpush(key, [value, another])"},
    "lpop": {"count": "lpop_count(key, count)", "": "lpop_count(key, count)"},
    "rpop": {"count": "rpop_count(key, count)", "": "rpop_count(key, count)"},
    "zadd": {
        "nx": "zadd(key, {member: score}, existing_options=ConditionalChange.ONLY_IF_DOES_NOT_EXIST)",
        "xx": "zadd(key, {member: score}, existing_options=ConditionalChange.ONLY_IF_EXISTS)",
        "gt": "zadd(key, {member: score}, update_condition=UpdateOptions.GREATER_THAN)",
        "lt": "zadd(key, {member: score}, update_condition=UpdateOptions.LESS_THAN)",
        "ch": "zadd(key, {member: score}, changed=True)",
        "incr": "zadd_incr(key, member, score)",
        "": "zadd(key, {member: score})",
    },
    "zrem": {"": "zrem(key, [member, another])"},
    "zrange": {
        "desc": "zrange(key, RangeByIndex(start, end), reverse=True)",
        "withscores": "zrange_withscores(key, RangeByIndex(start, end))",
        "": "zrange(key, RangeByIndex(start, end))",
    },
    "xadd": {
        "id": "xadd(key, [(field, value)], StreamAddOptions(id=entry_id))",
        "maxlen": "xadd(key, [(field, value)], StreamAddOptions(trim=TrimByMaxLen(exact=False, threshold=count)))",
        "nomkstream": "xadd(key, [(field, value)], StreamAddOptions(make_stream=False))",
        "": "xadd(key, [(field, value)], StreamAddOptions(id=entry_id))",
    },
}
"""The call to write, by method and keyword; under `""` the one for too many positional arguments."""


def mistake(owner: type, method: str, others: Sequence[object], keywords: Mapping[str, object]) -> TypeError:
    """Return the error for a call with arguments that `method` does not take, of `owner`, a client or a batch."""
    keyword = next(iter(keywords), "")
    refused = f"no {keyword}=" if keyword else f"{len(others)} positional arguments fewer"
    text = f"{owner.__name__}.{method} takes {refused}"
    call = INSTEAD[method].get(keyword)
    if call is None:
        return TypeError(text)
    awaited = "await " if hasattr(owner, "aclose") else ""
    return TypeError(f"{text}: write {awaited}{'client' if hasattr(owner, 'create') else 'batch'}.{call}")
