"""The versions of daemons and clients that belong together, and advice where they do not (docs/protocol.md).

What decides is the protocol's version and, for those who read a pool, the version of its layout. Releases that agree in
both belong together.
"""

from __future__ import annotations

from glidecache_shared import __version__, protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def mismatch(about: dict[str, Any], runtime_dir: str, peer: str, layout_version: int | None = None) -> str:
    """Return why the daemon of a runtime directory and this side do not belong together, and what to do.

    An empty text if they do. The arguments are those of `fact_and_advice`.
    """
    return ": ".join(fact_and_advice(about, runtime_dir, peer, layout_version) or ())


def fact_and_advice(
    about: dict[str, Any], runtime_dir: str, peer: str, layout_version: int | None
) -> tuple[str, str] | None:
    """Return why the daemon of a runtime directory and this side do not belong together, and what to do, or None.

    about: the daemon's answer to HELLO or PING. peer: what to call this side. layout_version: that of the pools that
    this side reads; None if it reads none. Daemons before 0.2 do not state theirs: the pool does.
    """
    daemon = about.get("daemon_version", "of an unknown version")
    theirs = about.get("protocol_version")
    place = f"glidecached {daemon} at {runtime_dir}"
    if theirs != protocol.PROTOCOL_VERSION:
        fact = f"speaks protocol {theirs}, {peer} ({__version__}) protocol {protocol.PROTOCOL_VERSION}"
        return f"{place} {fact}", _advice(theirs, protocol.PROTOCOL_VERSION, daemon)
    theirs = about.get("layout_version")
    if layout_version is not None and theirs is not None and theirs != layout_version:
        fact = f"keeps pools of layout {theirs}, {peer} ({__version__}) reads layout {layout_version}"
        return f"{place} {fact}", _advice(theirs, layout_version, daemon)
    return None


def _advice(theirs: object, own: int, daemon: str) -> str:
    """Return what to do: the daemon, of the release `daemon`, has the number `theirs` and this side `own`."""
    if isinstance(theirs, int) and theirs > own:
        return f"install glidecached {daemon} for this process, and restart it"
    return f"upgrade the daemon to glidecached {__version__}, and restart it"
