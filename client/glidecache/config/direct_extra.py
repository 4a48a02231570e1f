"""The extra that the direct fallback needs: whether it is installed, and how to install it."""

from __future__ import annotations

DIRECT_EXTRA = "pip install 'glidecached[direct]'"


def direct_extra_installed() -> bool:
    """Return whether valkey-py can be imported, without importing it."""
    from importlib.util import find_spec

    return find_spec("valkey") is not None
