"""Options of server, keyspace and script commands, and scripts themselves."""

from __future__ import annotations

from enum import Enum

from glidecache.commands.encoding import encode


class FlushMode(Enum):
    """The time at which a flush returns: before or after the memory is given back."""

    ASYNC = "ASYNC"
    SYNC = "SYNC"


class ObjectType(Enum):
    """The types of value that `SCAN` can be limited to."""

    STRING = "String"
    LIST = "List"
    SET = "Set"
    ZSET = "ZSet"
    HASH = "Hash"
    STREAM = "Stream"


class InfoSection(Enum):
    """The sections of `INFO`."""

    ALL = "all"
    CLIENTS = "clients"
    CLUSTER = "cluster"
    CLUSTER_INFO = "cluster_info"
    COMMAND_STATS = "commandstats"
    CPU = "cpu"
    DEFAULT = "default"
    ERROR_STATS = "errorstats"
    EVERYTHING = "everything"
    KEYSPACE = "keyspace"
    LATENCY_STATS = "latencystats"
    MEMORY = "memory"
    MODULES = "modules"
    PERSISTENCE = "persistence"
    REPLICATION = "replication"
    SENTINEL = "sentinel"
    SERVER = "server"
    STATS = "stats"


class ClientPauseMode(Enum):
    """The commands that a pause holds back: all, or those that write."""

    ALL = "ALL"
    WRITE = "WRITE"


class MigrateOptions:
    """The options of `MIGRATE`: keep the source key, replace an existing key, and the login for the target."""

    __slots__ = ("copy", "password", "replace", "username")

    def __init__(
        self,
        copy: bool = False,
        replace: bool = False,
        password: str | None = None,
        username: str | None = None,
    ) -> None:
        self.copy = copy
        self.replace = replace
        self.password = password
        self.username = username

    def to_args(self) -> list[bytes]:
        """Return the option as arguments of a command. Raises `ValueError` for a user without a password."""
        args = [word for wants, word in ((self.copy, b"COPY"), (self.replace, b"REPLACE")) if wants]
        if self.password is None:
            if self.username is not None:
                message = "MigrateOptions: a username needs a password"
                raise ValueError(message)
            return args
        password = encode(self.password, "password")
        if self.username is None:
            return [*args, b"AUTH", password]
        return [*args, b"AUTH2", encode(self.username, "username"), password]


class FunctionRestorePolicy(Enum):
    """The treatment of existing libraries by `FUNCTION RESTORE`: refuse collisions, delete all, or replace."""

    APPEND = "APPEND"
    FLUSH = "FLUSH"
    REPLACE = "REPLACE"


class Script:
    """A Lua script for `invoke_script`: sent by its hash, and as a whole only if a server does not know it yet.

    Immutable; any number of clients may use it. Raises `TypeError` when `code` is neither str nor bytes.
    """

    __slots__ = ("_hash", "code")

    def __init__(self, code: str | bytes) -> None:
        import hashlib

        if not isinstance(code, (str, bytes)):
            message = f"code must be str or bytes, not {type(code).__name__}"
            raise TypeError(message)
        self.code = code.encode() if isinstance(code, str) else code
        # The server's name for the script, not a protection.
        self._hash = hashlib.sha1(self.code, usedforsecurity=False).hexdigest()

    def __repr__(self) -> str:
        return f"<Script {self._hash}, {len(self.code)} bytes>"

    def get_hash(self) -> str:
        """Return the script's SHA-1 digest, in hexadecimal: the name that servers know it by."""
        return self._hash
