"""The version that a server reports, and whether it is new enough."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

_MOST_CHARACTERS = 40
_LEADING_NUMBERS = re.compile(r"(\d+)(?:\.(\d+))?")

_OLDEST = {"valkey": (7, 2), "redis": (6, 2)}
"""The oldest versions that Valkey GLIDE supports. Older ones may work: nothing here is tried with them."""


class ServerVersion(NamedTuple):
    """A server's name and version, by its own account."""

    name: str
    version: str

    @property
    def oldest_supported(self) -> str | None:
        """Return the oldest supported version of this software if this one is older, otherwise None."""
        oldest = _OLDEST.get(self.name)
        found = _LEADING_NUMBERS.match(self.version)
        if oldest is None or found is None:
            return None
        mine = (int(found[1]), int(found[2] or 0))
        return f"{oldest[0]}.{oldest[1]}" if mine < oldest else None


def from_hello(reply: Any) -> ServerVersion | None:
    """Return name and version from HELLO's map; None where there is none."""
    if not isinstance(reply, dict):
        return None
    return _software(reply.get(b"server"), reply.get(b"version"))


def from_info(reply: Any) -> ServerVersion | None:
    """Return name and version from INFO's text; None where there is none.

    Valkey reports a version under both names; the one under its own name counts.
    """
    if not isinstance(reply, bytes):
        return None
    pairs = (line.partition(b":") for line in reply.splitlines())
    fields = {name: value for name, _, value in pairs}
    for name in (b"valkey", b"redis"):
        version = fields.get(name + b"_version")
        if version:
            return _software(name, version)
    return None


def _software(name: Any, version: Any) -> ServerVersion | None:
    if not isinstance(name, bytes) or not isinstance(version, bytes):
        return None
    return ServerVersion(*(text.decode(errors="replace")[:_MOST_CHARACTERS] for text in (name, version)))
