"""`python -m glidecached` is `glidecached`."""

from __future__ import annotations

from glidecached.cli.daemon import main

main()
