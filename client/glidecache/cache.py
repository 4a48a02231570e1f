"""A client's description of its cache: size, entry lifetime, policy, and the clients that share it (contract C19)."""

from __future__ import annotations

import os
from enum import Enum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

_FIELDS = (
    "cache_id",
    "max_cache_kb",
    "entry_ttl_ms",
    "eviction_policy",
    "enable_metrics",
    "server_assisted",
    "name",
    "server_ttl",
)


class EvictionPolicy(Enum):
    """The entry that a full pool evicts: the least recently used one, or the least frequently used one."""

    LRU = "LRU"
    LFU = "LFU"


class ClientSideCache:
    """A cache shared by all clients that are made with the same object, its copies, pickles and forks.

    Make one with `create`, or with `named` for a cache of the daemon's configuration. The constructor takes GLIDE's
    fields as they are. `max_cache_kb` and `entry_ttl_ms` are None if the daemon's configuration sets them.
    """

    server_ttl: bool = False
    """Also the value of objects that were pickled before there was such a setting."""

    def __init__(
        self,
        cache_id: str,
        max_cache_kb: int | None,
        entry_ttl_ms: int | None,
        eviction_policy: EvictionPolicy | None = None,
        enable_metrics: bool = False,
        server_assisted: bool = False,
        *,
        name: str | None = None,
        server_ttl: bool = False,
    ) -> None:
        self.cache_id = cache_id
        self.max_cache_kb = max_cache_kb
        self.entry_ttl_ms = entry_ttl_ms
        self.eviction_policy = eviction_policy
        self.enable_metrics = enable_metrics
        self.server_assisted = server_assisted
        self.name = name
        self.server_ttl = server_ttl

    @classmethod
    def create(
        cls,
        max_cache_kb: int,
        entry_ttl_ms: int,
        eviction_policy: EvictionPolicy | None = None,
        enable_metrics: bool = False,
        server_assisted: bool = False,
        *,
        name: str | None = None,
        server_ttl: bool = False,
    ) -> Self:
        """Describe a new cache.

        `max_cache_kb` bounds the memory cost of all entries (contract C8). An entry lives `entry_ttl_ms` from the
        moment of storing; 0: until it is evicted. `eviction_policy` is LRU if None. Without a `name` the cache belongs
        to this object. With one, all processes of the host that create it with the same settings share it. With
        `server_ttl` an entry lives no longer than the server's key has left, if that is less than `entry_ttl_ms`: each
        request for a miss also asks `PTTL` (contract C29). Raises `ValueError`, and `TypeError` for values of another
        type.
        """
        _need_int(max_cache_kb, "max_cache_kb")
        _need_int(entry_ttl_ms, "entry_ttl_ms")
        if max_cache_kb <= 0:
            message = "max_cache_kb must be positive"
            raise ValueError(message)
        if entry_ttl_ms < 0:
            message = "entry_ttl_ms must be non-negative (0 = no expiration)"
            raise ValueError(message)
        if eviction_policy is not None and not isinstance(eviction_policy, EvictionPolicy):
            message = (
                f"eviction_policy must be EvictionPolicy.LRU or EvictionPolicy.LFU, not {eviction_policy!r}"
            )
            raise ValueError(message)
        if not isinstance(server_ttl, bool):
            message = f"server_ttl must be a bool, not {type(server_ttl).__name__}"
            raise TypeError(message)
        if name is not None:
            _need_name(name)
        return cls(
            _new_id(),
            max_cache_kb,
            entry_ttl_ms,
            eviction_policy,
            enable_metrics,
            server_assisted,
            name=name,
            server_ttl=server_ttl,
        )

    @classmethod
    def named(cls, name: str) -> Self:
        """Return the cache that the daemon's configuration defines under this name, with its settings."""
        _need_name(name)
        return cls(_new_id(), None, None, name=name)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ClientSideCache):
            return NotImplemented
        return all(getattr(self, field) == getattr(other, field) for field in _FIELDS)

    def __hash__(self) -> int:
        return hash(self.cache_id)

    def __repr__(self) -> str:
        fields = ", ".join(f"{field}={getattr(self, field)!r}" for field in _FIELDS)
        return f"ClientSideCache({fields})"

    @property
    def defined_by_daemon(self) -> bool:
        """Return whether the settings are in the daemon's configuration (`named`)."""
        return self.max_cache_kb is None

    def as_wire(self) -> dict[str, Any]:
        """Return the description of the cache that `ATTACH` carries."""
        if self.defined_by_daemon:
            return {"name": self.name}
        described: dict[str, Any] = {
            "id": self.cache_id,
            "settings": {
                "max_cache_kb": self.max_cache_kb,
                "entry_ttl_ms": self.entry_ttl_ms,
                "eviction_policy": (self.eviction_policy or EvictionPolicy.LRU).value,
                "enable_metrics": self.enable_metrics,
            },
        }
        if self.server_ttl:
            # Left out where it is off: an older daemon knows no such setting.
            described["settings"]["server_ttl"] = True
        if self.name is not None:
            described["name"] = self.name
        return described


def _new_id() -> str:
    # A version 4 UUID. The `uuid` module would cost more at import than the rest of this one.
    digits = bytearray(os.urandom(16))
    digits[6] = digits[6] & 0x0F | 0x40
    digits[8] = digits[8] & 0x3F | 0x80
    text = digits.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _need_int(value: object, name: str) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        message = f"{name} must be an int, not {type(value).__name__}"
        raise TypeError(message)


def _need_name(name: object) -> None:
    if not isinstance(name, str):
        message = f"name must be a str, not {type(name).__name__}"
        raise TypeError(message)
    if not name:
        message = "name must not be empty"
        raise ValueError(message)
