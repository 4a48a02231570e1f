"""Options of server and keyspace commands."""

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
