"""The two libraries that have fronts, and the differences between them."""

from __future__ import annotations

from functools import cached_property

from glidecache.errors import ConfigurationError, DaemonUnavailableError
from glidecache.fronts.unknown_arguments import parameters_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType
    from typing import Any


OLDEST = {"valkey": (6, 0, 0), "redis": (5, 0, 1)}
"""The first versions that fronts work with, as the extras say too. The asyncio clients of redis 5.0.0 lack `aclose`."""


class Library:
    """One of the libraries, as it is installed.

    modules: the library and its `asyncio`. client_name, cluster_name, error_name: its classes' names.
    own_cache_arguments: the connection's arguments that switch the library's own client-side cache on.
    extra: the extra of this distribution that brings it.
    lists_from: the first version whose parser reads a set of RESP3 as a list; those before read a `set`.
    Raises `ImportError` for an older version.
    """

    def __init__(
        self,
        module: ModuleType,
        *,
        extra: str,
        client_name: str,
        cluster_name: str,
        error_name: str,
        own_cache_arguments: tuple[str, ...],
        lists_from: tuple[int, ...] = (),
    ) -> None:
        self.name: str = module.__name__
        version: tuple[Any, ...] = module.VERSION[:3]
        oldest = OLDEST[self.name]
        if version < oldest:
            message = (
                f"glidecache.{self.name} needs {self.name}-py {_dotted(oldest)} or newer, but "
                f"{_dotted(version)} is installed: pip install 'glidecached[{extra}]'"
            )
            raise ImportError(message, name=self.name, path=module.__file__)
        self.extra = extra
        self.client_name = client_name
        self.cluster_name = cluster_name
        self.own_cache_arguments = own_cache_arguments
        self._module = module
        base_error: type[Exception] = getattr(module, error_name)
        connection_error: type[Exception] = module.ConnectionError
        # An application that catches the library's errors catches ours too, and the other way round.
        self.configuration_error: type[ConfigurationError] = _joined(
            "SharedCacheConfigurationError", ConfigurationError, base_error
        )
        self.unavailable_error: type[DaemonUnavailableError] = _joined(
            "SharedCacheUnavailableError", DaemonUnavailableError, connection_error
        )
        # The version of the server's protocol that a client speaks by default.
        self._default_protocol = getattr(module.connection, "DEFAULT_RESP_VERSION", 2)
        self._has_sets = version < lists_from

    @property
    def tls_connection_class(self) -> Any:
        """Return the library's class of connections with TLS."""
        return self._module.SSLConnection

    @property
    def static_credentials_class(self) -> Any:
        """Return the library's class of credential providers that have one username and password."""
        return self._module.UsernamePasswordCredentialProvider

    def uses_tls(self, connection_class: Any) -> bool:
        """Return whether connections of this class use TLS."""
        classes = (self._module.SSLConnection, self._module.asyncio.SSLConnection)
        return isinstance(connection_class, type) and issubclass(connection_class, classes)

    def is_sentinels(self, connection_pool: Any) -> bool:
        """Return whether a pool gets its addresses from Sentinel."""
        classes = (self._module.SentinelConnectionPool, self._module.asyncio.SentinelConnectionPool)
        return isinstance(connection_pool, classes)

    def speaks_resp3(self, arguments: Mapping[str, Any]) -> bool:
        """Return whether connections with these arguments speak RESP3: their replies have maps then."""
        protocol = arguments.get("protocol")
        return int(self._default_protocol if protocol is None else protocol) == 3  # noqa: PLR2004

    def reads_sets(self, arguments: Mapping[str, Any]) -> bool:
        """Return whether connections with these arguments hand a set to the callbacks as a `set`, not as a list."""
        return self._has_sets and self.speaks_resp3(arguments)

    def usual_callbacks(self, arguments: Mapping[str, Any]) -> Any:
        """Return the response callbacks of a client whose connections have these arguments."""
        ours = {name: arguments[name] for name in ("protocol", "legacy_responses") if name in arguments}
        pool = self._module.ConnectionPool(**ours)
        client = getattr(self._module, self.client_name)(connection_pool=pool)
        return client.response_callbacks

    @cached_property
    def cluster_arguments(self) -> frozenset[str]:
        """The arguments of all clients and connections. The blocking cluster clients drop what they do not know."""
        module, cluster = self._module, self._module.cluster
        names = set(getattr(cluster, f"{self.name.upper()}_ALLOWED_KEYS"))
        for kind in (
            getattr(module, self.client_name),
            getattr(module, self.cluster_name),
            getattr(module.asyncio, self.cluster_name),
            module.ConnectionPool,
            module.Connection,
            module.SSLConnection,
        ):
            names |= parameters_of(kind)
        return frozenset(names)

    def key_slot(self, key: bytes) -> int:
        """Return the slot of a key in a cluster."""
        return self._module.cluster.key_slot(key)  # type: ignore[no-any-return]


def _dotted(version: tuple[Any, ...]) -> str:
    return ".".join(map(str, version))


def _joined(name: str, ours: type[Any], theirs: type[Exception]) -> type[Any]:
    """Return a class of errors that are both."""

    def __init__(self: Any, message: str) -> None:  # noqa: N807 - of the class below
        theirs.__init__(self, message)  # Python's own OSError, which is between them, would not call it
        ours.__init__(self, message)

    return type(name, (ours, theirs), {"__init__": __init__})


def valkey_py() -> Library:
    """Return valkey-py. Raises `ModuleNotFoundError`, which names the extra that brings it."""
    try:
        import valkey
        import valkey.cluster
        import valkey.connection
    except ModuleNotFoundError as error:
        raise _missing(error, front="glidecache.valkey", name="valkey-py", extra="valkey") from None
    return Library(
        valkey,
        extra="valkey",
        client_name="Valkey",
        cluster_name="ValkeyCluster",
        error_name="ValkeyError",
        own_cache_arguments=("cache_enabled", "client_cache"),
    )


def redis_py() -> Library:
    """Return redis-py. Raises `ModuleNotFoundError`, which names the extra that brings it."""
    try:
        import redis
        import redis.cluster
        import redis.connection
    except ModuleNotFoundError as error:
        raise _missing(error, front="glidecache.redis", name="redis-py", extra="redis") from None
    return Library(
        redis,
        extra="redis",
        client_name="Redis",
        cluster_name="RedisCluster",
        error_name="RedisError",
        # `client_cache` and `cache_enabled` were 5.1's names.
        own_cache_arguments=("cache", "cache_config", "client_cache", "cache_enabled"),
        lists_from=(5, 1, 0),
    )


def reexported(library: Any, front: dict[str, Any]) -> list[str]:
    """Put the library's public names into a front's namespace, unless it has its own; return all their names."""
    names: list[str] = list(library.__all__)
    for name in names:
        front.setdefault(name, getattr(library, name))
    return names


def _missing(error: ModuleNotFoundError, *, front: str, name: str, extra: str) -> ModuleNotFoundError:
    return ModuleNotFoundError(
        f"{front} is built on {name}, which cannot be imported ({error}): pip install 'glidecached[{extra}]'",
        name=error.name,
    )
