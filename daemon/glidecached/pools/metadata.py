"""What a pool is called, whom it belongs to and what it was made with: told to the next daemon by the pool's lease."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

from glidecached.access import Access
from glidecached.pools.pool_settings import PoolSettings
from glidecached.upstream.target import Address, Identity

_FORM = 2


class PoolKey(NamedTuple):
    """What clients call a pool by: a name that all share, or the id of one cache object."""

    name: str | None
    cache_id: str | None

    def __str__(self) -> str:
        return f"cache {self.name!r}" if self.name is not None else f"cache object {self.cache_id}"

    def new_file_id(self) -> str:
        """A name for the files of a pool of this key, of our own making: what clients call it never becomes a path.

        Nobody can guess it. Files without a list are readable for the daemon's group, but by name alone, and names are
        told to those who may join.
        """
        kind = "named" if self.name is not None else "unnamed"
        return f"{kind}-{secrets.token_hex(12)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """The way that a pool's clients come: a configured upstream by its name, or none; and who may open its files."""

    upstream: str | None = None
    access: Access = field(default_factory=Access)


OPEN = Admission()
"""Of clients that bring their own addresses, and prove their own credentials."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolMetadata:
    """All that must be known of a pool to go on with it. Holds no secret."""

    key: PoolKey
    identity: Identity
    settings: PoolSettings
    configured: bool
    admission: Admission = OPEN
    maker_uid: int | None = None
    """The user whose process made it; None for pools of the configuration, and if it was not recorded."""

    def encode(self) -> bytes:
        """As a line of JSON."""
        described = {
            "form": _FORM,
            "key": list(self.key),
            "configured": self.configured,
            "identity": {**asdict(self.identity), "addresses": sorted(self.identity.addresses)},
            "settings": asdict(self.settings),
            "upstream": self.admission.upstream,
            "uids": sorted(self.admission.access.uids),
            "gids": sorted(self.admission.access.gids),
            "maker_uid": self.maker_uid,
        }
        return json.dumps(described).encode() + b"\n"


def decode_origin(text: bytes) -> PoolMetadata | None:
    """What `PoolMetadata.encode` wrote; None for anything else, such as half of it.

    Only the first line counts: behind it the end of a longer one may stand that it has replaced.
    """
    try:
        described = json.loads(text.partition(b"\n")[0])
        if described["form"] != _FORM:
            return None
        identity = described["identity"]
        addresses = frozenset(Address(host, port) for host, port in identity["addresses"])
        return PoolMetadata(
            key=PoolKey(*described["key"]),
            identity=Identity(**{**identity, "addresses": addresses}),
            settings=PoolSettings(**described["settings"]),
            configured=described["configured"],
            maker_uid=described.get("maker_uid"),
            admission=Admission(
                upstream=described["upstream"],
                access=Access(uids=frozenset(described["uids"]), gids=frozenset(described["gids"])),
            ),
        )
    except (ValueError, TypeError, KeyError):
        return None
