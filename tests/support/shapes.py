"""Shapes of commands: every command and subcommand that a server has, with many sorts of arguments each.

What a shape does to its own client does not matter; what it does to others does. `shapes_of` asks the server itself for
its commands, so that a newer server brings newer ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Ask = Callable[..., Any]

HUGE = str(2**63 - 1)
_KEY_OF_GROUP = {
    "list": "a-list", "hash": "a-hash", "set": "a-set", "sorted-set": "a-zset", "stream": "a-stream",
    "hyperloglog": "a-hll", "geo": "a-geo",
}  # fmt: skip

LEFT_OUT: dict[str, str] = {
    "shutdown": "it ends the server",
    "replicaof": "the server becomes a replica, and refuses everybody's writes",
    "slaveof": "the server becomes a replica, and refuses everybody's writes",
    "failover": "the server hands its role over",
    "cluster|reset": "it changes the cluster itself",
    "cluster|flushslots": "it changes the cluster itself",
    "cluster|flushslot": "it changes the cluster itself",
    "cluster|delslots": "it changes the cluster itself",
    "cluster|delslotsrange": "it changes the cluster itself",
    "cluster|addslots": "it changes the cluster itself",
    "cluster|addslotsrange": "it changes the cluster itself",
    "cluster|setslot": "it changes the cluster itself",
    "cluster|migrateslots": "it changes the cluster itself",
    "cluster|failover": "it changes the cluster itself",
    "cluster|forget": "it changes the cluster itself",
    "cluster|meet": "it changes the cluster itself",
    "cluster|replicate": "it changes the cluster itself",
    "cluster|set-config-epoch": "it changes the cluster itself",
    "cluster|bumpepoch": "it changes the cluster itself",
    "acl|load": "it removes the test's own user",
    "pfselftest": "the server does nothing else for seconds",
}
"""Commands that no test tries: the server itself does their effect to all clients, by design."""

ERASING = frozenset({"flushall", "flushdb", "swapdb", "function|flush", "script|flush"})
"""Commands that may remove a victim's values: these may be gone afterwards, and are never wrong."""

_SAFE_LEFT_OUT: tuple[tuple[str, ...], ...] = (
    ("SHUTDOWN", "ABORT"),
    ("REPLICAOF", "NO", "ONE"),
    ("SLAVEOF", "NO", "ONE"),
    ("FAILOVER", "ABORT"),
)

_PARTICULAR: tuple[tuple[str, ...], ...] = (
    # Commands that block.
    ("BLPOP", "none", "0.05"),
    ("blpop", "none", "none2", "0.05"),
    ("BRPOP", "none", "0.05"),
    ("BLMOVE", "none", "none2", "LEFT", "RIGHT", "0.05"),
    ("BRPOPLPUSH", "none", "none2", "0.05"),
    ("BLMPOP", "0.05", "1", "none", "LEFT"),
    ("BZPOPMIN", "none", "0.05"),
    ("BZPOPMAX", "none", "0.05"),
    ("BZMPOP", "0.05", "1", "none", "MIN"),
    ("XREAD", "BLOCK", "50", "STREAMS", "a-stream", "$"),
    ("XREAD", "COUNT", "1", "block", "50", "streams", "a-stream", "$"),
    ("XREADGROUP", "GROUP", "streams", "me", "BLOCK", "50", "STREAMS", "a-stream", ">"),
    ("XREADGROUP", "GROUP", "block", "streams", "BLOCK", "50", "STREAMS", "a-stream", ">"),
    ("XREADGROUP", "GROUP", "count", "block", "COUNT", "1", "BLOCK", "50", "NOACK", "STREAMS", "a-stream", ">"),
    ("WAIT", "3", "50"),
    ("WAITAOF", "0", "3", "50"),
    ("CLIENT", "PAUSE", "40", "WRITE"),
    ("CLIENT", "PAUSE", "40", "ALL"),
    ("CLIENT", "pause", "40"),
    ("DEBUG", "SLEEP", "0.02"),
    # Commands that set or end a connection's state, or that change its replies.
    ("CLIENT", "REPLY", "OFF"),
    ("CLIENT", "REPLY", "SKIP"),
    ("client", "reply", "on"),
    ("CLIENT", "TRACKING", "ON"),
    ("CLIENT", "TRACKING", "ON", "BCAST"),
    ("CLIENT", "CACHING", "YES"),
    ("CLIENT", "NO-EVICT", "ON"),
    ("CLIENT", "NO-TOUCH", "ON"),
    ("CLIENT", "SETNAME", "another"),
    ("CLIENT", "IMPORT-SOURCE", "ON"),
    ("CLIENT", "CAPA", "redirect"),
    ("CLIENT", "KILL", "ID", "999999999"),
    ("HELLO",),
    ("HELLO", "2"),
    ("HELLO", "3"),
    ("HELLO", "3", "SETNAME", "another"),
    ("RESET",),
    ("QUIT",),
    ("SELECT", "1"),
    ("MULTI",),
    ("EXEC",),
    ("DISCARD",),
    ("WATCH", "a-string"),
    ("UNWATCH",),
    ("SUBSCRIBE", "channel"),
    ("PSUBSCRIBE", "*"),
    ("SSUBSCRIBE", "channel"),
    ("UNSUBSCRIBE",),
    ("PUNSUBSCRIBE",),
    ("SUNSUBSCRIBE",),
    ("MONITOR",),
    ("SYNC",),
    ("PSYNC", "?", "-1"),
    ("REPLCONF", "ACK", "0"),
    ("REPLCONF", "GETACK", "*"),
    ("REPLCONF", "listening-port", "1"),
    ("READONLY",),
    ("READWRITE",),
    ("ASKING",),
    ("AUTH", "wrong"),
    ("AUTH", "nobody", "wrong"),
    ("SCRIPT", "DEBUG", "NO"),
    ("SCRIPT", "KILL"),
    ("FUNCTION", "KILL"),
    ("FUNCTION", "STATS"),
    # Replies of every kind, and those that few can read.
    ("COMMAND",),
    ("COMMAND", "DOCS"),
    ("COMMAND", "INFO", "get"),
    ("CLIENT", "TRACKINGINFO"),
    *(("DEBUG", "PROTOCOL", kind) for kind in (
        "string", "integer", "double", "null", "array", "set", "map", "attrib", "push", "verbatim", "true", "false",
        "bignum",
    )),
    ("EVAL", "redis.setresp(3); return {map={[{1,2}]=3}}", "0"),
    ("EVAL", "redis.setresp(3); return {set={[{1,2}]=true}}", "0"),
    ("EVAL", "redis.setresp(3); return {map={a={set={b={1}}}}}", "0"),
    ("EVAL", "redis.setresp(3); return {double=3.5}", "0"),
    ("EVAL", "redis.setresp(3); return {big_number='123456789012345678901234567890'}", "0"),
    ("EVAL", "redis.setresp(3); return {verbatim_string={format='txt', string='x'}}", "0"),
    ("EVAL", "return {err='A B'}", "0"),
    ("EVAL", "return {{err='A B'}, {ok='C'}, 1, false}", "0"),
    ("EVAL", "return {ok='PONG'}", "0"),
    ("EVAL", "local t = {1} for i = 1, 60 do t = {t} end return t", "0"),
    ("EVAL", "return string.rep('x', 4 * 1024 * 1024)", "0"),
    ("EVAL", "return cjson.decode('[' .. string.rep('1,', 20000) .. '1]')", "0"),
    ("EVAL", "return redis.call('BLPOP', 'none', 0)", "0"),
    ("EVAL", "return redis.call('INCR', KEYS[1])", "1", "a-counter"),
    ("EVAL_RO", "return redis.call('GET', KEYS[1])", "1", "a-string"),
    ("EVALSHA", "0" * 40, "0"),
    ("OBJECT", "HELP"),
    # Unexpected names and sizes.
    ("NO-SUCH-COMMAND",),
    ("NO-SUCH-COMMAND", "a-string"),
    ("no.such", "module", "command"),
    ("GET\r\nSET", "a-string"),
    ("",),
    ("ECHO", "x" * 1_000_000),
    ("DEL", *(f"none{number}" for number in range(20_000))),
    ("SET", "a" * 100_000, "v"),
    ("SETRANGE", "a-string", HUGE, "v"),
    ("SETBIT", "a-string", "8", "1"),
    ("LRANGE", "a-list", "0", "-1"),
    ("SORT", "a-list", "BY", "nosort", "GET", "#"),
    ("LOLWUT", "VERSION", "5"),
)  # fmt: skip


class Shape(NamedTuple):
    """One command as a client may send it. command: its name, `config|set` for a subcommand."""

    command: str
    arguments: tuple[str, ...]

    @property
    def erases(self) -> bool:
        """Return True if other clients' values may be gone after it."""
        return self.command in ERASING

    @property
    def encoded(self) -> list[bytes]:
        """Return the arguments as bytes: some are not text."""
        return [argument.encode(errors="surrogateescape") for argument in self.arguments]

    def __str__(self) -> str:
        text = " ".join(map(ascii, self.arguments))
        return text if len(text) <= 80 else f"{text[:76]} ..."


def shapes_of(ask: Ask) -> list[Shape]:
    """Return all shapes for a server. `ask` sends it a command, and returns its plain RESP 2 reply."""
    shapes = [
        Shape(command, (*command.upper().split("|"), *arguments))
        for command, group in commands_of(ask)
        if command not in LEFT_OUT
        for arguments in _arguments(_KEY_OF_GROUP.get(group, "a-string"))
    ]
    particular = (*_PARTICULAR, *_SAFE_LEFT_OUT)
    return shapes + [Shape(arguments[0].lower(), arguments) for arguments in particular]


def commands_of(ask: Ask) -> list[tuple[str, str]]:
    """Return every command and subcommand of a server, in order, with its group."""
    found: list[tuple[str, str]] = []
    documented = ask("COMMAND", "DOCS")
    for name, fields in _pairs(documented):
        about = dict(_pairs(fields))
        group = about.get(b"group", b"").decode()
        found.append((name.decode(), group))
        found += [(sub.decode(), group) for sub, _ in _pairs(about.get(b"subcommands", []))]
    return sorted(found)


def lay_out(admin: Any) -> None:
    """Make the keys that shapes name, one of each type."""
    keys = [*_KEY_OF_GROUP.values(), "a-string", "a-second", "a-counter"]
    for key in keys:
        admin.delete(key)
    admin.set("a-string", "value")
    admin.set("a-second", "10")
    admin.rpush("a-list", *range(20))
    admin.hset("a-hash", mapping={"field": "1", "other": "x"})
    admin.sadd("a-set", "m", "n")
    admin.zadd("a-zset", {"m": 1, "n": 2})
    admin.xadd("a-stream", {"field": "1"}, id="1-1")
    for group in ("streams", "block", "count"):
        admin.xgroup_create("a-stream", group, id="$")
    admin.pfadd("a-hll", "m")
    admin.geoadd("a-geo", (13.4, 52.5, "m"))


def undo(admin: Any) -> None:
    """Undo what a shape may have done to the server as a whole."""
    admin.execute_command("CLIENT", "UNPAUSE")
    admin.execute_command("SCRIPT", "FLUSH", "SYNC")
    for user in admin.acl_users():
        if user not in {"default", "admin"}:
            admin.acl_deluser(user)


def _arguments(key: str) -> Iterator[tuple[str, ...]]:
    """Yield arguments for a command's name: shapes that some commands take, and most refuse."""
    yield ()
    yield (key,)
    yield (key, "a-second", "a-list", "none")
    yield (key, "1")
    yield (key, "0", "-1")
    yield (key, "field", "value")
    yield ("1", key)
    yield ("2", key, "a-second", "0.05")
    yield (key, HUGE)
    yield (key, "COUNT", HUGE)
    yield ("a-hash" if key != "a-hash" else "a-list", "m", "1.5", "XX")
    yield ("", "\0\udcff", "-1")


def _pairs(reply: Any) -> list[tuple[Any, Any]]:
    items = (
        list(reply.items()) if isinstance(reply, dict) else list(zip(reply[::2], reply[1::2], strict=True))
    )
    return [(_bytes(name), value) for name, value in items]


def _bytes(name: Any) -> Any:
    return name.encode() if isinstance(name, str) else name
