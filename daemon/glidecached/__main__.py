"""`python -m glidecached` is `glidecached`."""

from __future__ import annotations

from glidecached.cli.entry_points import glidecached

glidecached()
