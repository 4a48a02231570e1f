"""The servers' addresses, the credentials, and the choice of the server that answers reads."""

from __future__ import annotations

from enum import Enum

from glidecache.config.checks import described, need, need_not_negative, refuse_unsupported
from glidecache.errors import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MAX_PORT = 65_535


class NodeAddress:
    """A server's host and port. Raises `ConfigurationError` for values that cannot be one."""

    def __init__(self, host: str = "localhost", port: int = 6379, *, unix_socket_path: Any = None) -> None:
        refuse_unsupported(
            "NodeAddress",
            {"unix_socket_path": unix_socket_path},
            {"unix_socket_path": 'configure it in the daemon (addresses = ["unix:/path"]) and use upstream='},
        )
        need("NodeAddress", "host", host, str)
        need("NodeAddress", "port", port, int)
        if not host:
            message = "NodeAddress: host must not be empty"
            raise ConfigurationError(message)
        if not 0 < port <= _MAX_PORT:
            message = f"NodeAddress: port is {port}; it must be 1 to {_MAX_PORT}"
            raise ConfigurationError(message)
        self.host = host
        self.port = port

    def __repr__(self) -> str:
        return f"NodeAddress({self.host!r}, {self.port})"


class ServerCredentials:
    """A password, and its user: the server's default user if None. `repr` never shows it.

    Raises `ConfigurationError` without a password.
    """

    def __init__(
        self, password: str | None = None, username: str | None = None, iam_config: Any = None
    ) -> None:
        refuse_unsupported(
            "ServerCredentials", {"iam_config": iam_config}, {"iam_config": "give a user and a password"}
        )
        need("ServerCredentials", "password", password, str)
        need("ServerCredentials", "username", username, str)
        if password is None:
            message = "ServerCredentials: password must be given"
            raise ConfigurationError(message)
        self.password = password
        self.username = username
        self.iam_config = None

    def is_iam_auth(self) -> bool:
        """Return whether tokens are used instead of a password: never."""
        return False

    def __repr__(self) -> str:
        return f"ServerCredentials(username={self.username!r})"


class BackoffStrategy:
    """The schedule of a client's own attempts to reconnect: accepted, and checked.

    All clients share the daemon's connections. So the daemon paces the reconnection, with exponential back-off and
    jitter of its own.
    """

    def __init__(
        self, num_of_retries: int, factor: int, exponent_base: int, jitter_percent: int | None = None
    ) -> None:
        for name, value in (
            ("num_of_retries", num_of_retries),
            ("factor", factor),
            ("exponent_base", exponent_base),
            ("jitter_percent", jitter_percent),
        ):
            need_not_negative("BackoffStrategy", name, value)
        self.num_of_retries = num_of_retries
        self.factor = factor
        self.exponent_base = exponent_base
        self.jitter_percent = jitter_percent

    def __repr__(self) -> str:
        return described(self)


class ReadFrom(Enum):
    """The servers that answer reads that are not cached. The cache is filled from the primary alone.

    `PREFER_REPLICA`: replicas in turn, and the primary if none can. `ALL_NODES`: the primary takes turns with them. A
    replica that is behind a client's own writes never answers that client. The values that need an availability zone
    are not supported yet.
    """

    PRIMARY = "primary"
    PREFER_REPLICA = "prefer_replica"
    AZ_AFFINITY = "az_affinity"
    AZ_AFFINITY_REPLICAS_AND_PRIMARY = "az_affinity_replicas_and_primary"
    ALL_NODES = "all_nodes"
    AZ_AFFINITY_ALL_NODES = "az_affinity_all_nodes"


class ProtocolVersion(Enum):
    """The server's protocol. Accepted: replies are the same with both, and the daemon chooses."""

    RESP2 = "resp2"
    RESP3 = "resp3"
