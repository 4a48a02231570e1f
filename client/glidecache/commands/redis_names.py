"""redis-py's and valkey-py's names that these clients do not have, each with the call to write instead.

Imported when such a name is used, for the error's text alone. Each call is Python, of the names in `glidecache`,
`client`, and what a reader knows: `key`, `value`, `seconds`, … For a batch they are its own. A test runs them all.
"""

from __future__ import annotations

_EXPIRING = "client.set(key, value, expiry=ExpirySet(ExpiryType.{unit}, {time}))"
_BATCH = "client.exec(Batch(is_atomic={atomic}).set(key, value).get(key), raise_on_error=True)"
_SCRIPT = "client.invoke_script(Script(code), keys=[key], args=[value])"
_NEAR = "client.geosearch(key, {origin}, GeoSearchByRadius(radius, GeoUnit.METERS))"
_RANGE = "client.zrange(key, {query})"

CALLS = {
    # strings
    "setex": _EXPIRING.format(unit="SEC", time="seconds"),
    "psetex": _EXPIRING.format(unit="MILLSEC", time="milliseconds"),
    "setnx": "client.set(key, value, conditional_set=ConditionalChange.ONLY_IF_DOES_NOT_EXIST)",
    "getset": "client.set(key, value, return_old_value=True)",
    "substr": "client.getrange(key, start, end)",
    # keys
    "keys": 'client.custom_command(["KEYS", pattern])',
    "scan_iter": "client.scan(cursor, match=pattern)",
    "randomkey": "client.random_key()",
    "object": "client.object_encoding(key)",
    # hashes, sets, lists, sorted sets
    "hmset": "client.hset(key, {field: value})",
    "hscan_iter": "client.hscan(key, cursor, match=pattern)",
    "sscan_iter": "client.sscan(key, cursor, match=pattern)",
    "rpoplpush": "client.lmove(source, destination, ListDirection.RIGHT, ListDirection.LEFT)",
    "brpoplpush": "client.blmove(source, destination, ListDirection.RIGHT, ListDirection.LEFT, seconds)",
    "zscan_iter": "client.zscan(key, cursor, match=pattern)",
    "zrangebyscore": _RANGE.format(query="RangeByScore(ScoreBoundary(low), ScoreBoundary(high))"),
    "zrevrangebyscore": _RANGE.format(
        query="RangeByScore(ScoreBoundary(high), ScoreBoundary(low)), reverse=True"
    ),
    "zrangebylex": _RANGE.format(query="RangeByLex(LexBoundary(first), LexBoundary(last))"),
    "zrevrangebylex": _RANGE.format(query="RangeByLex(LexBoundary(last), LexBoundary(first)), reverse=True"),
    "zrevrange": _RANGE.format(query="RangeByIndex(start, end), reverse=True"),
    "georadius": _NEAR.format(origin="GeospatialData(longitude, latitude)"),
    "georadiusbymember": _NEAR.format(origin="member"),
    # streams
    "xgroup_createconsumer": "client.xgroup_create_consumer(key, group, consumer)",
    "xgroup_delconsumer": "client.xgroup_del_consumer(key, group, consumer)",
    "xgroup_setid": "client.xgroup_set_id(key, group, entry_id)",
    # several commands at once
    "pipeline": _BATCH.format(atomic=False),
    "transaction": _BATCH.format(atomic=True),
    "multi": _BATCH.format(atomic=True),
    "execute": _BATCH.format(atomic=False),
    # scripts
    "eval": _SCRIPT,
    "eval_ro": _SCRIPT,
    "evalsha": _SCRIPT,
    "evalsha_ro": _SCRIPT,
    "register_script": _SCRIPT,
    "script_load": _SCRIPT,
    # anything else
    "execute_command": 'client.custom_command(["SET", key, value])',
    "client_list": 'client.custom_command(["CLIENT", "LIST"])',
    "cluster_info": 'client.custom_command(["CLUSTER", "INFO"])',
    "cluster_nodes": 'client.custom_command(["CLUSTER", "NODES"])',
    "memory_usage": 'client.custom_command(["MEMORY", "USAGE", key])',
    "role": 'client.custom_command(["ROLE"])',
    "slowlog_get": 'client.custom_command(["SLOWLOG", "GET"])',
    # the client itself
    "from_url": "GlideClient.create(GlideClientConfiguration([NodeAddress(host, port)]))",
}

REASONS = {
    "lock": (
        "take one by client.set(key, token, conditional_set=ConditionalChange.ONLY_IF_DOES_NOT_EXIST, "
        "expiry=ExpirySet(ExpiryType.SEC, seconds)), or by glidecache.valkey and glidecache.redis, which have lock"
    ),
    "pubsub": "the daemon's connections are shared by all clients; subscribe through a client of your own",
    "monitor": "the daemon's connections are shared by all clients; monitor through a client of your own",
    "connection_pool": "the connections are the daemon's; `glidecache stats` reports them",
}
"""Names without a call that does the same."""


_RUN = "run a batch by client.exec(batch, raise_on_error=True)"


def advice(name: str, owner: type) -> str:
    """Return advice for redis-py's `name` on `owner`, the class of a client or of a batch."""
    call = CALLS.get(name)
    if call is None:
        return REASONS[name]
    if not hasattr(owner, "create"):
        batched = call.removeprefix("client.")
        return f"write batch.{batched}" if hasattr(owner, batched.partition("(")[0]) else _RUN
    if hasattr(owner, "invoke_script_route"):
        call = call.replace("GlideClient", "GlideClusterClient")
    return f"write {'await ' if hasattr(owner, 'aclose') else ''}{call}"
