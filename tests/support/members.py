"""Users for tests of what one user can take from another: the daemon's own, and two members of its group."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from support.daemon import Daemon
from support.users import User

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

OWNER = User(61_021, 61_021)
"""The daemon's user."""
MEMBER = User(61_022, 61_022, (OWNER.gid,))
"""The user that takes."""
NEIGHBOUR = User(61_023, 61_023, (OWNER.gid,))
"""The user that must be served all the same."""


class SharedDaemon(Daemon):
    """A daemon of the user `OWNER`, in directories that the members of its group may enter.

    It may have no more than so many `descriptors` open.
    """

    def __init__(self, directory: Path, tables: dict[str, Any], *, descriptors: int) -> None:
        super().__init__(directory, tables)
        self._descriptors = descriptors
        self.user = OWNER
        self.runtime_dir.mkdir()
        for path, mode in ((self.runtime_dir, 0o750), (self.pool_dir, 0o710)):
            os.chown(path, OWNER.uid, OWNER.gid)
            path.chmod(mode)

    def _spawn(self, command: Sequence[str | Path], **environment: str) -> None:
        limit = ["/bin/sh", "-c", f'ulimit -n {self._descriptors}; exec "$@"', "sh"]
        super()._spawn([*limit, *command], **environment)
