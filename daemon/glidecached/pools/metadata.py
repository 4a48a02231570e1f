"""Metadata of a pool: its name, its owner and its settings. The pool's lease passes them to the next daemon."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, field, fields
from typing import Literal, NamedTuple

from glidecached.access import Access
from glidecached.upstream.target import Address, Identity

EvictionPolicy = Literal["LRU", "LFU"]
EVICTION_POLICIES: tuple[EvictionPolicy, ...] = ("LRU", "LFU")

MAX_CACHE_KB = 159_383_551
"""A pool's granules have numbers of 31 bits. This and the next are the compiled core's limits, as a test checks."""
MAX_TTL_MS = 18_446_744_073_709
"""As nanoseconds it fits into 64 bits: 584 years."""

_FORM = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSettings:
    """The settings of a pool, on which all clients that share a name must agree (contract C19).

    Its bound in KB, its TTL in ms (0: entries do not expire), its policy, whether metrics may be read, and whether an
    entry ends no later than the server's key (contract C29).
    """

    max_cache_kb: int
    entry_ttl_ms: int
    eviction_policy: EvictionPolicy = "LRU"
    enable_metrics: bool = False
    server_ttl: bool = False

    def __post_init__(self) -> None:
        """Raise `ValueError` for values that no pool can have."""
        if not 0 < self.max_cache_kb <= MAX_CACHE_KB:
            right = "positive" if self.max_cache_kb <= 0 else f"at most {MAX_CACHE_KB}"
            message = f"max_cache_kb is {self.max_cache_kb}; it must be {right}"
            raise ValueError(message)
        if not 0 <= self.entry_ttl_ms <= MAX_TTL_MS:
            right = "non-negative" if self.entry_ttl_ms < 0 else f"at most {MAX_TTL_MS}"
            message = f"entry_ttl_ms is {self.entry_ttl_ms}; it must be {right} (0 = no expiration)"
            raise ValueError(message)
        if self.eviction_policy not in EVICTION_POLICIES:
            message = f"eviction_policy is {self.eviction_policy!r}; it must be one of {', '.join(EVICTION_POLICIES)}"
            raise ValueError(message)

    def differences(self, other: PoolSettings) -> list[str]:
        """Return `"entry_ttl_ms 5000, not 1000"` for each field in which `other` is different."""
        return [
            f"{name} {mine}, not {theirs}"
            for name in (each.name for each in fields(self))
            if (mine := getattr(self, name)) != (theirs := getattr(other, name))
        ]


class PoolKey(NamedTuple):
    """The key by which clients name a pool: a name that all share, or the id of one cache object."""

    name: str | None
    cache_id: str | None

    def __str__(self) -> str:
        return f"cache {self.name!r}" if self.name is not None else f"cache object {self.cache_id}"

    @property
    def label(self) -> str:
        """Return the name, or the cache object's id."""
        return self.name or self.cache_id or ""

    def new_file_id(self) -> str:
        """Return a new random name for the files of a pool with this key: a client's name never becomes a path.

        The name cannot be guessed. Files without a list are readable for the daemon's group, but only by name. Only
        clients that may join get the name.
        """
        kind = "named" if self.name is not None else "unnamed"
        return f"{kind}-{secrets.token_hex(12)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """The admission to a pool: the name of its clients' configured upstream, or None; and the users of its files."""

    upstream: str | None = None
    access: Access = field(default_factory=Access)


OPEN = Admission()
"""The admission of clients that bring their own addresses, and prove their own credentials."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolMetadata:
    """The facts that a daemon needs to continue a pool. They contain no secret."""

    key: PoolKey
    identity: Identity
    settings: PoolSettings
    configured: bool
    admission: Admission = OPEN
    maker_uid: int | None = None
    """The user whose process made it; None for pools of the configuration, and if it was not recorded."""

    def encode(self) -> bytes:
        """Return it as a line of JSON."""
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


def decode_metadata(text: bytes) -> PoolMetadata | None:
    """Decode the text of `PoolMetadata.encode`. Return None for anything else, such as an incomplete text.

    Only the first line counts: the end of a longer previous text may follow it.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredCache:
    """A cache of the configuration: clients join it by its name alone."""

    name: str
    identity: Identity
    settings: PoolSettings
    admission: Admission = OPEN

    @property
    def key(self) -> PoolKey:
        """Return the key of its pool."""
        return PoolKey(self.name, None)
