"""The version of the distribution."""

from __future__ import annotations

from importlib import metadata


def version() -> str:
    """As installed; `"unknown"` when the package runs from a source tree that was never installed."""
    try:
        return metadata.version("glidecached")
    except metadata.PackageNotFoundError:
        return "unknown"
