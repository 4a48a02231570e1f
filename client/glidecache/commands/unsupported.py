"""Names that these clients do not have, of GLIDE's clients and of redis-py's, each with what to use instead."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Never


class _UnsupportedName:
    """An attribute that does not exist, with a reason."""

    def __init__(self, reason: str) -> None:
        self._reason = reason
        self._name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: object, owner: type) -> Never:
        message = f"{owner.__name__}.{self._name} is not offered: {self._reason}"
        raise AttributeError(message)


class _RedisName:
    """An attribute that redis-py's and valkey-py's clients have. The error names the call to write instead.

    A `__getattr__` would do so for all names, but CPython 3.11 then no longer specialises the calls of other methods.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: object, owner: type) -> Never:
        from glidecache.commands.redis_names import advice  # for a message alone

        message = f"{owner.__name__} has no {self._name}, which is redis-py's: {advice(self._name, owner)}"
        # The interpreter would add a similar name of the object, "Did you mean: 'getex'?", which is another command.
        raise AttributeError(message, name=self._name, obj=None)


_ABSENT = (_UnsupportedName, _RedisName)

_SUBSCRIBING = "the daemon's connections are shared by all clients; subscribe through a client of your own"
_OWN_CONNECTION = "the daemon's connections are shared by all clients"
_CREDENTIALS = "each password is one upstream; create a client with the new one"
_COPYING = "replies come as bytes objects of their own"

_REDIS_NAMES = (
    "brpoplpush client_list cluster_info cluster_nodes connection_pool eval eval_ro evalsha "
    "evalsha_ro execute execute_command from_url georadius georadiusbymember getset hmset hscan_iter "
    "keys lock memory_usage monitor multi object pipeline psetex pubsub randomkey register_script "
    "role rpoplpush scan_iter script_load setex setnx slowlog_get sscan_iter substr transaction "
    "xgroup_createconsumer xgroup_delconsumer xgroup_setid zrangebylex zrangebyscore zrevrange "
    "zrevrangebylex zrevrangebyscore zscan_iter"
)
"""The names that `redis_names` explains, here so that it is not imported before one of them is used."""


class RedisNames:
    """The names of redis-py's clients alone; `hasattr` and `dir` do not show them."""

    __slots__ = ()


for _name in _REDIS_NAMES.split():
    setattr(RedisNames, _name, _RedisName(_name))


class Unsupported(RedisNames):
    """The unsupported names of GLIDE's clients; `hasattr` and `dir` do not show them."""

    __slots__ = ()

    def __dir__(self) -> list[str]:
        """List the names that can be used."""
        named = {**vars(RedisNames), **vars(Unsupported)}
        refused = {name for name, value in named.items() if isinstance(value, _ABSENT)}
        return sorted(set(super().__dir__()) - refused)

    if not TYPE_CHECKING:
        subscribe = _UnsupportedName(_SUBSCRIBING)
        subscribe_lazy = _UnsupportedName(_SUBSCRIBING)
        psubscribe = _UnsupportedName(_SUBSCRIBING)
        psubscribe_lazy = _UnsupportedName(_SUBSCRIBING)
        ssubscribe = _UnsupportedName(_SUBSCRIBING)
        ssubscribe_lazy = _UnsupportedName(_SUBSCRIBING)
        unsubscribe = _UnsupportedName(_SUBSCRIBING)
        unsubscribe_lazy = _UnsupportedName(_SUBSCRIBING)
        punsubscribe = _UnsupportedName(_SUBSCRIBING)
        punsubscribe_lazy = _UnsupportedName(_SUBSCRIBING)
        sunsubscribe = _UnsupportedName(_SUBSCRIBING)
        sunsubscribe_lazy = _UnsupportedName(_SUBSCRIBING)
        get_pubsub_message = _UnsupportedName(_SUBSCRIBING)
        try_get_pubsub_message = _UnsupportedName(_SUBSCRIBING)
        get_subscriptions = _UnsupportedName(_SUBSCRIBING)
        client_tracking_info = _UnsupportedName("the cache is TTL-only, no connection tracks keys")
        reset = _UnsupportedName(f"{_OWN_CONNECTION}; close the client instead")
        select = _UnsupportedName(f"{_OWN_CONNECTION}; give database_id in the client's configuration")
        scoped_connection = _UnsupportedName(
            f"{_OWN_CONNECTION}; send a transaction whole, as an atomic batch"
        )
        update_connection_password = _UnsupportedName(_CREDENTIALS)
        refresh_iam_token = _UnsupportedName(_CREDENTIALS)
        get_statistics = _UnsupportedName("the connections are the daemon's; `glidecache stats` reports them")
        append_command = _UnsupportedName("use custom_command")
        register_rdma_region = _UnsupportedName(_COPYING)
        rdma_available = _UnsupportedName(_COPYING)
        rdma_checksum = _UnsupportedName(_COPYING)
        rdma_get = _UnsupportedName(_COPYING)
        rdma_set = _UnsupportedName(_COPYING)
        rdma_usable = _UnsupportedName(_COPYING)
