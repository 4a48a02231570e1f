"""The daemon's side of a pool's lease: who may take it, who holds it, and the metadata for the next daemon."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from glidecache_shared import lease
from glidecached.pools.file_access import PRIVATE_MODE, PermissionsError, permit

if TYPE_CHECKING:
    from pathlib import Path

    from glidecached.access import Access
    from glidecached.pools.metadata import PoolMetadata


class PoolLease:
    """A lease, made or `inherited` as an earlier daemon's open descriptor, until `end_if_unheld`, `end` or `close`.

    `access`: the users that may take it. Construction raises `PermissionsError` and `OSError`; a new lease is removed
    then, an inherited one stays the caller's.
    """

    def __init__(self, directory: Path, file_id: str, access: Access, inherited: int | None = None) -> None:
        self.path = directory / f"{file_id}.lease"
        self._descriptor = lease.create(str(self.path), PRIVATE_MODE) if inherited is None else inherited
        try:
            self.permit(access)
        except (OSError, PermissionsError):
            if inherited is None:
                lease.end(str(self.path), self._descriptor)
            raise
        self.inode = lease.inode(self._descriptor)

    def permit(self, access: Access) -> None:
        """Change the users that may take it. Raises `PermissionsError`, `OSError`."""
        permit(str(self.path), access, writable=False)

    def describe(self, origin: PoolMetadata) -> None:
        """Record the metadata for the next daemon. Raises `OSError`.

        The new text is written before the rest of a longer one is cut off: a kill between the two steps loses nothing.
        """
        text = origin.encode()
        os.pwrite(self._descriptor, text, 0)
        os.ftruncate(self._descriptor, len(text))

    @property
    def held(self) -> bool:
        """Return whether any process holds it now."""
        return lease.has_holders(self._descriptor)

    @property
    def file(self) -> tuple[int, int]:
        """Return the device of its file, the numbers as 12 and 20 bits, and its inode."""
        status = os.fstat(self._descriptor)
        return os.major(status.st_dev) << 20 | os.minor(status.st_dev), status.st_ino

    @property
    def lost(self) -> bool:
        """Return whether it lost its name, or its name leads to another file: then no client can take it any more."""
        return not lease.is_in_place(str(self.path), self._descriptor)

    def end_if_unheld(self) -> bool:
        """Remove it unless a process holds it. Return whether it is gone."""
        return lease.end(str(self.path), self._descriptor)

    def end(self) -> None:
        """Remove it, even if processes hold it."""
        if not self.end_if_unheld():
            self.path.unlink(missing_ok=True)
            self.close()

    def close(self) -> None:
        """Leave it to the next daemon."""
        lease.Lease(self._descriptor).close()
