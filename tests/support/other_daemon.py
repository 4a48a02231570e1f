"""A real daemon that states another release's versions."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from support.daemon import Daemon

if TYPE_CHECKING:
    from pathlib import Path

_PROGRAM = """
import sys
import glidecache_shared
from glidecache_shared import protocol
glidecache_shared.__version__ = '9.0.0'
protocol.PROTOCOL_VERSION = {protocol}
import glidecached.server
glidecached.server.LAYOUT_VERSION = {layout}
from glidecached.cli.entry_points import glidecached
glidecached()
"""


class OtherDaemon(Daemon):
    """A daemon that states other versions of itself: `versions` of the protocol and of the layout."""

    def __init__(self, directory: Path, versions: tuple[int, int]) -> None:
        super().__init__(directory)
        self.versions = versions

    def launch(self, *arguments: str) -> None:
        """Start it without waiting."""
        protocol_version, layout_version = self.versions
        program = _PROGRAM.format(protocol=protocol_version, layout=layout_version)
        command = [sys.executable, "-c", program, "--config", str(self.configuration)]
        self._spawn([*command, "--runtime-dir", str(self.runtime_dir), *arguments])
