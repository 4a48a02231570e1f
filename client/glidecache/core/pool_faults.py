"""Texts for a pool that a client cannot use: what this process sees of its files, and what would be right.

For messages alone, after a failure. In a container the usual reasons are a pool directory that is not mounted there,
or mounted read-only, a group that the process lacks, and a time namespace of its own.
"""

from __future__ import annotations

import errno
import os

from glidecache_shared.refused_access import refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def why_gone(pool: dict[str, Any]) -> str:
    """Return why the pool of an answer to `ATTACH` was not found, although the daemon named it several times."""
    lease_path: str = pool["lease_path"]
    directory = os.path.dirname(lease_path)
    if not os.path.isdir(directory):
        return (
            f"the cache's pool is not visible to this process: the daemon has it in {directory}, which does not exist "
            f"here; in a container, mount that directory, at the same path: {directory}"
        )
    try:
        inode = os.stat(lease_path, follow_symlinks=False).st_ino
    except OSError:
        return (
            f"the cache's pool is not visible to this process: {directory} exists here and lacks the daemon's file "
            f"{os.path.basename(lease_path)}; in a container, mount the daemon's own {directory} there, not another "
            "directory or volume"
        )
    if inode != pool["lease_inode"]:
        return (
            f"the cache's pool is not visible to this process: {lease_path} is another file here (inode {inode}) than "
            f"the daemon's (inode {pool['lease_inode']}); mount the daemon's own {directory} there, on a file system "
            "that both share in memory (not over a network, and not into a virtual machine)"
        )
    if not os.path.exists(pool["pool_path"]) or not os.path.exists(pool["board_path"]):
        return f"the cache's pool ended again and again while this client attached to it, in {directory}"
    return (
        f"the cache's pool cannot be held: another process keeps its lease {lease_path} locked; end that process, or "
        "drop the cache (glidecache drop)"
    )


def why_not_mapped(error: OSError) -> str:
    """Return why the kernel did not let this process open or map one of the pool's files."""
    path = os.fsdecode(error.filename) if error.filename else ""
    if path and error.errno == errno.EACCES:
        wanted = os.R_OK | os.W_OK if path.endswith(".board") else os.R_OK
        return f"this process cannot map the cache's pool: {refusal(path, wanted)}"
    if path and error.errno == errno.EROFS:
        return (
            f"this process cannot map the cache's pool: {os.path.dirname(path)} is mounted read-only here, and workers "
            "write their access board: mount it writable (without :ro, without readOnly); the pool itself stays "
            "read-only to them by its mode"
        )
    return (
        f"this process cannot map the cache's pool: {error}; "
        "the daemon's pool_dir must be visible and readable here, at the same path"
    )
