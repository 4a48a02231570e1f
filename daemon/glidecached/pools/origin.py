"""What a pool is called, whom it belongs to and what it was made with: told to the next daemon by the pool's lease."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import NamedTuple

from glidecached.pools.settings import PoolSettings
from glidecached.upstream.identity import Address, Identity

_FORM = 1


class PoolKey(NamedTuple):
    """What clients call a pool by: a name that all share, or the id of one cache object."""

    name: str | None
    cache_id: str | None

    def __str__(self) -> str:
        return f"cache {self.name!r}" if self.name is not None else f"cache object {self.cache_id}"

    @property
    def file_id(self) -> str:
        """A file name of our own making: what clients call their pools never becomes a path."""
        kind = "named" if self.name is not None else "unnamed"
        return f"{kind}-{hashlib.sha256(repr(tuple(self)).encode()).hexdigest()[:24]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolOrigin:
    """All that must be known of a pool to go on with it. Holds no secret."""

    key: PoolKey
    identity: Identity
    settings: PoolSettings
    configured: bool

    def encode(self) -> bytes:
        """As a line of JSON."""
        described = {
            "form": _FORM,
            "key": list(self.key),
            "configured": self.configured,
            "identity": {**asdict(self.identity), "addresses": sorted(self.identity.addresses)},
            "settings": asdict(self.settings),
        }
        return json.dumps(described).encode() + b"\n"


def decode_origin(text: bytes) -> PoolOrigin | None:
    """What `PoolOrigin.encode` wrote; None for anything else, such as half of it."""
    try:
        described = json.loads(text)
        if described["form"] != _FORM:
            return None
        identity = described["identity"]
        addresses = frozenset(Address(host, port) for host, port in identity["addresses"])
        return PoolOrigin(
            key=PoolKey(*described["key"]),
            identity=Identity(**{**identity, "addresses": addresses}),
            settings=PoolSettings(**described["settings"]),
            configured=described["configured"],
        )
    except (ValueError, TypeError, KeyError):
        return None
