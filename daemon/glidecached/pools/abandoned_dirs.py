"""Pool directories in shared memory whose runtime directory is gone: no daemon will ever use their pools again (I13).

A default pool directory contains a link to its runtime directory. At its start a daemon checks the directories of its
own user, and removes those whose runtime directory does not exist any more.

A daemon that is just starting is safe. It makes its runtime directory before it looks for its pool directory. The
existence of the runtime directory is checked while the pool directory is locked. The directory is then removed by one
rename, so that a daemon that had opened it meanwhile notices, and makes another one.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
import stat
from typing import TYPE_CHECKING

from glidecache_shared.pool.generation import retire_file
from glidecached.process.runtime_lock import lock_exclusively

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger(__name__)

LINK_NAME = "runtime-directory"
_NAME = re.compile(r"glidecached-(\d+)-[0-9a-f]{12}(?:\.gone-[0-9a-f]{8})?")


def mark(directory: Path, runtime_dir: Path) -> None:
    """Record for later daemons whose pool directory this is. Raises `OSError`."""
    link, target = directory / LINK_NAME, str(runtime_dir.resolve())
    with contextlib.suppress(OSError):
        if str(link.readlink()) == target:
            return
    link.unlink(missing_ok=True)
    link.symlink_to(target)


def unmark(directory: Path) -> None:
    """Remove the mark if the directory contains nothing else, so that it can be removed."""
    with contextlib.suppress(OSError):
        if [path.name for path in directory.iterdir()] == [LINK_NAME]:
            (directory / LINK_NAME).unlink()


def remove_abandoned(parent: Path, *, uid: int) -> list[str]:
    """Remove the pool directories of `uid` in `parent` whose runtime directory is gone. Return the removed names.

    A directory that cannot be checked or removed stays, without a message: it does not disturb any daemon.
    """
    removed = []
    for name in sorted(_listed(parent)):
        match = _NAME.fullmatch(name)
        if match and int(match[1]) == uid and _remove_if_abandoned(parent / name, uid):
            removed.append(name)
            logger.info("removed abandoned pool directory", extra={"path": str(parent / name)})
    return removed


def _listed(parent: Path) -> list[str]:
    try:
        return [path.name for path in parent.iterdir()]
    except OSError:
        return []


def _remove_if_abandoned(path: Path, uid: int) -> bool:
    if not _is_abandoned(path):
        return False
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        status = os.fstat(descriptor)
        # A living daemon has it, or is about to: then the check for its runtime directory is skipped.
        if status.st_uid != uid or not lock_exclusively(descriptor):
            return False
        if not os.path.samestat(status, path.lstat()) or not _is_abandoned(path):
            return False
        aside = path.with_name(f"{path.name.partition('.')[0]}.gone-{secrets.token_hex(4)}")
        path.rename(aside)
        _remove_contents(aside)
        aside.rmdir()
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def _is_abandoned(path: Path) -> bool:
    """Return whether its mark names a runtime directory that does not exist."""
    try:
        runtime_dir = (path / LINK_NAME).readlink()
        os.lstat(runtime_dir)
    except FileNotFoundError:
        return os.path.lexists(path / LINK_NAME)
    except OSError:  # no readable mark, or a runtime directory that this user may not see
        return False
    return False


def _remove_contents(directory: Path) -> None:
    """Remove the files, and have readers that still map one detach. The mark goes last."""
    for path in [path for path in directory.iterdir() if path.name != LINK_NAME]:
        if stat.S_ISREG(path.lstat().st_mode):
            if path.suffix == ".pool":
                retire_file(str(path))
            path.unlink(missing_ok=True)
    (directory / LINK_NAME).unlink(missing_ok=True)
