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
        "Directory of the socket, as an absolute path. `--runtime-dir` goes before it.",
        reloads=False,
        note=_RESTART,
        default="`$GLIDECACHED_RUNTIME_DIR`, else `/run/glidecached` if it exists, else "
        "`$XDG_RUNTIME_DIR/glidecached`, else a private directory under the system's temporary one",
    ),
    "pool_dir": Key(
        "Directory of the pools' files, as an absolute path: one of this daemon's own on a tmpfs, whose parent exists.",
        reloads=False,
        note=_RESTART,
        default="a directory in `/dev/shm` whose name comes from the runtime directory",
    ),
    "log_level": Key("How much goes to the log. `--log-level` goes before it.", reloads=True),
    "grace_ms": Key(
        "How long clients go on answering hits when the daemon's heartbeat has stopped, in ms.",
        reloads=False,
        note=_RESTART + ", which begins with empty caches; clients know it from the pools' files",
    ),
    "max_total_cache_kb": Key(
        "Bound over all pools together, in KB: clients that ask for more are refused.",
        reloads=True,
        note="pools that are there stay, also above a smaller one",
    ),
    "max_pools": Key(
        "The limit of pools, including those of this file. Clients' processes and users have shares of the rest. A "
        "quarter of the process's open files is a limit as well, three for each pool.",
        reloads=True,
        note="pools that are there stay, also above a smaller one",
    ),
    "max_message_bytes": Key(
        "The longest message that a client may send, in bytes; a client that sends a longer one is disconnected.",
        reloads=False,
        note=_RESTART + "; clients were told it when they connected",
    ),
    "allow_adhoc_upstreams": Key(
        "Whether clients may bring their own addresses; if not, they can use only the upstreams of this file, by "
        "name.",
        reloads=True,
        note="with false, clients that brought theirs are refused at their next request",
    ),
    "admin_users": Key(
        "Users, by name or uid, who may flush and drop caches and see keys, besides root and the daemon's own user.",
        reloads=True,
    ),
    "max_requests_per_client": Key(
        "How many requests one client connection (a thread or an event loop of a process) may have open; more are "
        "refused.",
        reloads=True,
    ),
    "max_connections": Key(
        "The limit of client connections. One process has a quarter while others have some, one user "
        "three quarters. The process's limit on descriptors may allow fewer.",
        reloads=True,
        note="open connections stay",
    ),
    "max_client_memory_mb": Key(
        "The most memory that the daemon holds for all clients, in MB: messages that have not arrived in full, "
        "queued or open requests, unread answers, and long replies of servers while they arrive. One process has a "
        "quarter while others hold some. One message at a time may be larger than that; it is held in addition.",
        reloads=True,
        note="memory in use stays",
    ),
    "max_sessions": Key(
        "How many clients the daemon remembers. A forgotten client attaches again, unseen by its caller.",
        reloads=True,
    ),
    "session_idle_seconds": Key(
        "After how many seconds of silence the daemon forgets a client.",
        reloads=True,
    ),
    "max_upstreams": Key(
        "The limit of upstreams that clients bring; those of this file do not count. One process has a "
        "quarter while others have some, one user three quarters.",
        reloads=True,
        note="upstreams in use stay",
    ),
    "stop_timeout_ms": Key(
        "How long accepted requests may take when the daemon is stopped, in ms.", reloads=True
    ),
}

_IDENTITY = _RESTART + "; pools belong to it"
_NEW_CONNECTIONS = "for connections made from then on"

_METRICS = {
    "listen": Key(
        "Where `/metrics`, `/healthz` and the status page are served: `host:port` or `[IPv6]:port`. Whoever reaches it "
        "can read all figures, though no keys and no values.",
        reloads=True,
        note="an address that cannot be had is told in the log, and the one before stays",
        default="nowhere",
    ),
    "allowed_hosts": Key(
        "Host names by which browsers and scrapers may ask for it, besides that of `listen`, localhost, and all IP "
        "addresses.",
        reloads=True,
    ),
}

_UPSTREAMS = {
    "mode": Key("What the servers are.", reloads=False, note=_RESTART),
    "addresses": Key(
        "`host:port`, `[IPv6]:port` or `unix:/path`. Of several, the primary is used; of a cluster, some nodes to ask "
        "for the others.",
        reloads=False,
        note=_IDENTITY,
    ),
    "database_id": Key("Which database. Each has pools of its own.", reloads=False, note=_IDENTITY),
    "username": Key(
        "The user; needs a `password_file`.",
        reloads=False,
        note=_IDENTITY,
        default="the server's user `default`",
    ),
    "password_file": Key(
        "A file with the password, as an absolute path; a final newline is not part of it. Works with systemd's "
        "`LoadCredential=`.",
        reloads=True,
        note="the file is read again, "
        + _NEW_CONNECTIONS
        + "; one is tried out at once, and the log tells the outcome",
        default="no password",
    ),
    "use_tls": Key("Whether to speak TLS.", reloads=False, note=_IDENTITY),
    "tls_insecure": Key(
        "Do not verify the server. For trying things out only.", reloads=False, note=_IDENTITY
    ),
    "tls_ca_file": Key(
        "Authorities (PEM) to verify the server by, as an absolute path.",
        reloads=False,
        note=_IDENTITY + ", and so is the file's content",
        default="the system's authorities",
    ),
    "tls_cert_file": Key(
        "A client certificate (PEM), as an absolute path; given with `tls_key_file`.",
        reloads=True,
        note="the file is read again, "
        + _NEW_CONNECTIONS
        + "; without a `username` it is kept: the certificate is who "
        "the pools belong to",
        default="no certificate",
    ),
    "tls_key_file": Key(
        "The key (PEM) of the client certificate, as an absolute path.",
        reloads=True,
        note="as `tls_cert_file`",
        default="no key",
    ),
    "request_timeout_ms": Key(
        "How long a request may take, in ms, for clients that do not say so themselves.",
        reloads=True,
        note="for clients that attach from then on",
    ),
    "connect_timeout_ms": Key("How long making a connection may take per address, in ms.", reloads=True),
    "reconnect_initial_ms": Key(
        "Delay before the second attempt to connect, in ms; doubled each time. A random part of up to half of each "
        "delay is left out.",
        reloads=True,
    ),
    "reconnect_max_ms": Key("The longest delay between attempts to connect, in ms.", reloads=True),
    "stall_timeout_ms": Key(
        "Close a connection when its oldest reply has been outstanding for this long (ms), even if other data arrived.",
        reloads=True,
    ),
    "max_waiting_requests": Key(
        "How many requests may wait for this upstream; more are refused.", reloads=True
    ),
    "max_blocking_connections": Key(
        "How many connections there may be for commands that block (`BLPOP`, `XREAD BLOCK`, `WAIT` …) and for watched "
        "keys: each has one of its own. In a cluster: how many to each node.",
        reloads=True,
        note="connections that stand stay",
    ),
    "allow_replica": Key(
        "Fill caches from this server even if it reports itself a replica, such as a read replica on this host. Cached "
        "values may then be as old as the replica. Not for a server that was a primary before.",
        reloads=True,
    ),
    "allow_users": Key(
        "Users, by name or uid, that may use this upstream by its name, and open the files of its pools. With "
        "`allow_groups` also empty: all who can open the socket.",
        reloads=True,
        note="all clients of the upstream attach again, and those that may no longer are refused; its pools get new "
        "files, entries stay",
    ),
    "allow_groups": Key(
        "Groups, by name or gid, whose members may do the same.",
        reloads=True,
        note="as `allow_users`",
    ),
}

_CACHES = {
    "upstream": Key(
        "An upstream of this file.",
        reloads=True,
        note="the cache starts empty, and clients of the upstream before are refused",
    ),
    "max_cache_kb": Key(
        "The bound in KB: everything that an entry costs is counted.",
        reloads=True,
        note="larger or smaller, without losing what fits",
    ),
    "entry_ttl_ms": Key(
        "How long an entry is served, in ms, from its storing on; 0: until it is evicted.",
        reloads=True,
        note="for entries stored from then on",
    ),
    "eviction_policy": Key(
        "Who leaves when the cache is full: `LRU`, the least recently used entry, or `LFU`, the least frequently used "
        "one.",
        reloads=True,
        note="entries stay; counts of accesses begin with LFU",
    ),
    "enable_metrics": Key("Whether clients may read the cache's metrics.", reloads=True, note="entries stay"),
    "allow_users": Key(
        "Users, by name or uid, that may use this cache, of those who may use its upstream. With `allow_groups` also "
        "empty: all of them.",
        reloads=True,
        note="all clients of the cache attach again, and those that may no longer are refused; it gets new files, "
        "entries stay",
    ),
    "allow_groups": Key(
        "Groups, by name or gid, whose members may use this cache.", reloads=True, note="as `allow_users`"
    ),
}

KEYS: Mapping[str, Mapping[str, Key]] = {
    "daemon": _DAEMON,
    "metrics": _METRICS,
    "upstreams": _UPSTREAMS,
    "caches": _CACHES,
}
"""By section and name, as in `glidecached.config.schema.File`."""
