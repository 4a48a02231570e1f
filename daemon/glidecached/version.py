"""The version of the distribution."""

from __future__ import annotations

from importlib import metadata


def version() -> str:
    """Return the installed version; `"unknown"` in a source tree that was never installed."""
    try:
        return metadata.version("glidecached")
    except metadata.PackageNotFoundError:
        return "unknown"
