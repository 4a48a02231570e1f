"""The pool directory of the previous daemon of a runtime directory, where that was another one.

Processes that were attached there trust its pools until the grace period after the last heartbeat has passed. They
would still hit what another client has had forgotten through the new daemon (C25), and a daemon that is configured
back would continue with it. So a daemon that starts with another `pool_dir` ends the pools of the previous directory
before it serves. Their readers detach at their next lookup.

A link in the runtime directory names the pool directory in use. The default directory needs none: its name comes from
the runtime directory.
"""

from __future__ import annotations

import contextlib
import logging
import os
from typing import TYPE_CHECKING

from glidecache_shared.trusted_path import check_directory
from glidecached.pools.abandoned_dirs import unmark
from glidecached.pools.pool_dir import default_pool_dir
from glidecached.pools.warm_restart import POOL_SUFFIXES, remove_all
from glidecached.process.runtime_lock import POOL_DIR_LINK, lock_exclusively

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

logger = logging.getLogger(__name__)

_NEW_LINK = f"{POOL_DIR_LINK}.new"


def end_previous(runtime_dir: Path, pool_dir: Path) -> None:
    """End the pools of the previous daemon of `runtime_dir` if they are not in `pool_dir`, and record `pool_dir`.

    The caller owns both directories, and serves no client yet. Pools that cannot be ended are logged: there the grace
    period has to pass. Another daemon's directory is left alone. Raises `OSError` if `pool_dir` cannot be recorded.
    """
    for previous in _previous(runtime_dir):
        try:
            if not previous.samefile(pool_dir):
                _end_pools(previous, disposable=previous == default_pool_dir(runtime_dir))
        except FileNotFoundError:
            continue
        except OSError as error:
            logger.warning(
                "previous pool directory not cleared, forgotten entries may be hit there until the grace period ends",
                extra={"path": str(previous), "reason": error},
            )
    record(runtime_dir, pool_dir)


def record(runtime_dir: Path, pool_dir: Path) -> None:
    """Record the pool directory for the next daemon, in one step. Raises `OSError`."""
    new = runtime_dir / _NEW_LINK
    new.unlink(missing_ok=True)
    new.symlink_to(pool_dir)
    new.rename(runtime_dir / POOL_DIR_LINK)


def _previous(runtime_dir: Path) -> Iterator[Path]:
    """Yield the directories in which the previous daemon can have had its pools."""
    yield default_pool_dir(runtime_dir)
    link = runtime_dir / POOL_DIR_LINK
    with contextlib.suppress(OSError):
        target = link.readlink()
        if link.lstat().st_uid == os.geteuid() and target.is_absolute():
            yield target


def _end_pools(directory: Path, *, disposable: bool) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        if os.fstat(descriptor).st_uid != os.geteuid() or not lock_exclusively(descriptor):
            return  # another user's or another daemon's by now
        check_directory(str(directory), friend=os.geteuid())
        if any(path.suffix in POOL_SUFFIXES for path in directory.iterdir()):
            remove_all(directory)
            logger.info("removed the pools of the previous pool directory", extra={"path": str(directory)})
        if disposable:
            unmark(directory)
            with contextlib.suppress(OSError):  # an operator's files
                directory.rmdir()
    finally:
        os.close(descriptor)
