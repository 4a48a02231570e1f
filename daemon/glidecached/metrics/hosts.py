"""The check of a request's `Host`: a foreign web page must not read this one through a name that it controls.

A browser that was led here by DNS rebinding sends the attacker's name. IP addresses cannot be rebound: all are allowed.
"""

from __future__ import annotations

import ipaddress

_OWN = frozenset(("localhost",))


class Hosts:
    """The names that requests may use: localhost, every IP address, `own`, and `allowed`."""

    def __init__(self, own: str, allowed: tuple[str, ...]) -> None:
        self._names = _OWN | {own.lower(), *(name.lower() for name in allowed)}

    def admits(self, header: str | None) -> bool:
        """Return whether this value of `Host` is allowed. A client that sends none is no browser, and is admitted."""
        if header is None:
            return True
        name = header.strip().lower()
        name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
        return name.removesuffix(".") in self._names or _is_ip_address(name)


def _is_ip_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
