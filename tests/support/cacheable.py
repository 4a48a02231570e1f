"""The three cacheable commands, each with values that tell their version (contract C1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.valkey_server import ValkeyServer


@dataclass(frozen=True, slots=True, kw_only=True)
class Cacheable:
    """A cacheable command: how it is called, how a version of a value is written upstream, what it then reads."""

    method: str
    write_version: Callable[[Any, str, int], None]
    value: Callable[[int], object]

    def write(self, server: ValkeyServer, key: str, version: int) -> None:
        """Put `version` at `key` behind the cache's back."""
        self.write_version(server.admin, key, version)


def _write_string(admin: Any, key: str, version: int) -> None:
    admin.set(key, f"v{version}")


def _write_hash(admin: Any, key: str, version: int) -> None:
    admin.delete(key)
    admin.hset(key, mapping={"field": f"v{version}", "other": "x"})


def _write_set(admin: Any, key: str, version: int) -> None:
    admin.delete(key)
    admin.sadd(key, f"v{version}", "member")


GET = Cacheable(method="get", write_version=_write_string, value=lambda version: b"v%d" % version)
HGETALL = Cacheable(
    method="hgetall",
    write_version=_write_hash,
    value=lambda version: {b"field": b"v%d" % version, b"other": b"x"},
)
SMEMBERS = Cacheable(
    method="smembers",
    write_version=_write_set,
    value=lambda version: {b"v%d" % version, b"member"},
)

CACHEABLE = (GET, HGETALL, SMEMBERS)
