"""Options of server and keyspace commands."""

from __future__ import annotations

from enum import Enum


class FlushMode(Enum):
    """Whether a flush returns before the memory is given back, or after."""

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
