"""The meaning of each key of the configuration file, and whether a reload changes it: the one source of both.

A reload follows this table (`glidecached.config.diff`), and `tools/generate_configuration.py` makes the reference
from it. Types, ranges and defaults are the schema's. A key of the schema that is missing here fails a test.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_RESTART = "needs a restart"


@dataclass(frozen=True, slots=True)
class Key:
    """One key: its meaning with its unit, whether a reload changes it, and how, or why not.

    `default` describes the value without the key where the schema's default does not show it.
    """

    meaning: str
    reloads: bool
    note: str = ""
    default: str = ""

    @property
    def at_reload(self) -> str:
        """Return `changes` or `kept`, and the note."""
        word = "changes" if self.reloads else "kept"
        return f"{word}: {self.note}" if self.note else word


_DAEMON = {
    "runtime_dir": Key(
        "The directory of the socket, as an absolute path. `--runtime-dir` overrides it.",
        reloads=False,
        note=_RESTART,
        default="`$GLIDECACHED_RUNTIME_DIR`, else `/run/glidecached` if it exists, else "
        "`$XDG_RUNTIME_DIR/glidecached`, else a private directory under the system's temporary one",
    ),
    "pool_dir": Key(
        "The directory of the pools' files, as an absolute path. It belongs to this daemon alone, and should be on a "
        "tmpfs. Its parent must exist.",
        reloads=False,
        note=_RESTART,
        default="a directory in `/dev/shm` whose name comes from the runtime directory",
    ),
    "log_level": Key("The least severe level that is logged. `--log-level` overrides it.", reloads=True),
    "log_format": Key(
        "The form of the log's lines: pairs of `key=value`, or one object of JSON a line.",
        reloads=True,
    ),
    "grace_ms": Key(
        "Grace period: how long clients continue to serve hits after the daemon's last heartbeat (ms).",
        reloads=False,
        note=_RESTART + ", and caches then start empty; clients read it from the pools' files",
    ),
    "max_total_cache_kb": Key(
        "Size limit of all pools together (KB). The daemon refuses clients that ask for more.",
        reloads=True,
        note="existing pools stay, even above a lower limit",
    ),
    "max_pools": Key(
        "Limit on the number of pools, including the caches of this file. Each process and each user has a share of "
        "the rest. A quarter of the process's descriptors is a limit as well: each pool needs three.",
        reloads=True,
        note="existing pools stay, even above a lower limit",
    ),
    "max_message_bytes": Key(
        "Limit on the length of one message from a client (bytes). The daemon disconnects a client that exceeds it.",
        reloads=False,
        note=_RESTART + "; clients receive it when they connect",
    ),
    "allow_adhoc_upstreams": Key(
        "Allow clients to give their own addresses. If false, they can use only the upstreams of this file, by name.",
        reloads=True,
        note="if false, clients with their own addresses are refused at their next request",
    ),
    "admin_users": Key(
        "Users, by name or uid, that may flush and drop caches, and see keys. Root and the daemon's own user "
        "always may.",
        reloads=True,
    ),
    "max_requests_per_client": Key(
        "Limit on the open requests of one client connection (a thread or an event loop of a process). The daemon "
        "refuses more.",
        reloads=True,
    ),
    "max_connections": Key(
        "Limit on the number of client connections. While others have connections, one process may have a quarter of "
        "the limit, one user three quarters. The process's limit on descriptors may allow fewer.",
        reloads=True,
        note="open connections stay",
    ),
    "max_client_memory_mb": Key(
        "Limit on the memory that the daemon holds for all clients together (MB): messages that are still arriving, "
        "queued or open requests, unread answers, and long replies while they arrive. While others hold memory, one "
        "process may hold a quarter. One message at a time may exceed that; it counts in addition.",
        reloads=True,
        note="memory in use stays",
    ),
    "max_sessions": Key(
        "Number of client sessions that the daemon keeps. A client without a session attaches again; its caller "
        "does not notice.",
        reloads=True,
    ),
    "session_idle_seconds": Key(
        "Close a client's session after this much time without a request (seconds).",
        reloads=True,
    ),
    "max_upstreams": Key(
        "Limit on the number of upstreams with clients' own addresses; those of this file do not count. While others "
        "have some, one process may have a quarter of the limit, one user three quarters.",
        reloads=True,
        note="upstreams in use stay",
    ),
    "stop_timeout_ms": Key(
        "When the daemon stops: how long it waits for the answers of accepted requests (ms).", reloads=True
    ),
}

_IDENTITY = _RESTART + "; pools belong to it"
_NEW_CONNECTIONS = "for new connections"

_METRICS = {
    "listen": Key(
        "The address of `/metrics`, `/healthz` and the status page: `host:port` or `[IPv6]:port`. Every client that "
        "reaches it can read all figures, but no keys and no values.",
        reloads=True,
        note="if the address cannot be bound, the log says so, and the previous one stays",
        default="no listener",
    ),
    "allowed_hosts": Key(
        "Host names that requests may use, besides that of `listen`, localhost, and all IP addresses.",
        reloads=True,
    ),
}

_ADVICE = {
    "enabled": Key(
        "Sample the traffic of each cache with `enable_metrics`, for `glidecache advise`. It takes up to 4 MB for each "
        "of them. If false, nothing is sampled, and there is no advice.",
        reloads=True,
        note="turned on: samples begin empty; turned off: their memory is freed",
    ),
}

_UPSTREAMS = {
    "mode": Key(
        "The kind of server: one primary with its replicas, or a cluster.", reloads=False, note=_RESTART
    ),
    "addresses": Key(
        "Each is `host:port`, `[IPv6]:port` or `unix:/path`. Of several standalone servers, the daemon uses the "
        "primary. For a cluster, give some nodes; the daemon asks them for the others.",
        reloads=False,
        note=_IDENTITY,
    ),
    "database_id": Key(
        "The number of the database. Each database has its own pools.", reloads=False, note=_IDENTITY
    ),
    "username": Key(
        "The user name. It needs a `password_file`.",
        reloads=False,
        note=_IDENTITY,
        default="the server's user `default`",
    ),
    "password_file": Key(
        "A file with the password, as an absolute path. A final newline is not part of the password. It works with "
        "systemd's `LoadCredential=`.",
        reloads=True,
        note="the file is read again, "
        + _NEW_CONNECTIONS
        + "; the daemon tries one at once, and logs the result",
        default="no password",
    ),
    "use_tls": Key("Use TLS.", reloads=False, note=_IDENTITY),
    "tls_insecure": Key(
        "Do not verify the server's certificate. For trials only.", reloads=False, note=_IDENTITY
    ),
    "tls_ca_file": Key(
        "A file with more authorities (PEM) to verify the server by, as an absolute path.",
        reloads=False,
        note=_IDENTITY + ", and so is the file's content",
        default="the system's authorities alone",
    ),
    "tls_cert_file": Key(
        "A file with the client certificate (PEM), as an absolute path. It needs a `tls_key_file`.",
        reloads=True,
        note="the file is read again, "
        + _NEW_CONNECTIONS
        + "; without a `username` it is kept, because the pools belong to the certificate",
        default="no certificate",
    ),
    "tls_key_file": Key(
        "A file with the client certificate's key (PEM), as an absolute path.",
        reloads=True,
        note="as `tls_cert_file`",
        default="no key",
    ),
    "request_timeout_ms": Key(
        "Time limit of a request (ms), for clients that do not set their own.",
        reloads=True,
        note="for clients that attach after it",
    ),
    "connect_timeout_ms": Key("Time limit of an attempt to connect to one address (ms).", reloads=True),
    "reconnect_initial_ms": Key(
        "Delay before the second attempt to connect (ms). It doubles each time. Each delay is shortened by a "
        "random part, at most half of it.",
        reloads=True,
    ),
    "reconnect_max_ms": Key("Limit on the delay between attempts to connect (ms).", reloads=True),
    "stall_timeout_ms": Key(
        "Close a connection when its oldest reply has been outstanding for this long (ms), even if other data "
        "arrived.",
        reloads=True,
    ),
    "max_waiting_requests": Key(
        "Limit on the requests that wait for this upstream. The daemon refuses more.", reloads=True
    ),
    "max_blocking_connections": Key(
        "Limit on the number of dedicated connections. Each command that blocks (`BLPOP`, `XREAD BLOCK`, `WAIT` "
        "…) and each watch uses one. In a cluster the limit is for each node.",
        reloads=True,
        note="open connections stay",
    ),
    "allow_replica": Key(
        "Fill caches from this server even if it reports that it is a replica, such as a read replica on this "
        "host. Cached values may then be as old as the replica's. This has no effect on a server that was a "
        "primary before.",
        reloads=True,
    ),
    "allow_users": Key(
        "Users, by name or uid, that may use this upstream by its name, and open the files of its pools. If this and "
        "`allow_groups` are empty: all users that can open the socket.",
        reloads=True,
        note="all clients of the upstream attach again, and the daemon refuses those that are no longer allowed; its "
        "pools get new files, entries stay",
    ),
    "allow_groups": Key(
        "Groups, by name or gid: their members may do the same.",
        reloads=True,
        note="as `allow_users`",
    ),
}

_CACHES = {
    "upstream": Key(
        "The name of an upstream of this file.",
        reloads=True,
        note="the cache starts empty, and the daemon refuses clients of the previous upstream",
    ),
    "max_cache_kb": Key(
        "Size limit (KB). It counts all that entries cost in shared memory, overhead included.",
        reloads=True,
        note="up or down; entries that fit stay",
    ),
    "entry_ttl_ms": Key(
        "Time to live: how long an entry is served after it was stored (ms). With 0 it is served until it is "
        "evicted.",
        reloads=True,
        note="for new entries",
    ),
    "eviction_policy": Key(
        "The entry that is evicted when the cache is full: `LRU`, the least recently used, or `LFU`, the least "
        "frequently used.",
        reloads=True,
        note="entries stay; access counts start with LFU",
    ),
    "enable_metrics": Key("Allow clients to read the cache's metrics.", reloads=True, note="entries stay"),
    "server_ttl": Key(
        "Serve an entry no longer than the server's key has left, if that is less than `entry_ttl_ms`. Each read of "
        "the server then also asks `PTTL`, which an ACL must permit.",
        reloads=True,
        note="turned on: the cache starts empty; turned off: entries stay",
    ),
    "allow_users": Key(
        "Users, by name or uid, that may use this cache; each must be allowed to use its upstream. If this and "
        "`allow_groups` are empty: all of those.",
        reloads=True,
        note="all clients of the cache attach again, and the daemon refuses those that are no longer allowed; it "
        "gets new files, entries stay",
    ),
    "allow_groups": Key(
        "Groups, by name or gid: their members may use this cache.", reloads=True, note="as `allow_users`"
    ),
}

KEYS: Mapping[str, Mapping[str, Key]] = {
    "daemon": _DAEMON,
    "metrics": _METRICS,
    "advice": _ADVICE,
    "upstreams": _UPSTREAMS,
    "caches": _CACHES,
}
"""By section and name, as in `glidecached.config.schema.File`."""
