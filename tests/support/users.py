"""Processes of other users, by numbers alone: nothing on the host changes, and no account is needed.

This process must be root's. A user who cannot reach the interpreter or the checkout, because they stand below a
directory that is closed to others (`/root`), gets a view of the file system of its own in which they stand there alone.
"""

from __future__ import annotations

import ctypes
import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

_CLONE_NEWNS = 0x0002_0000
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 0x40000


class User(NamedTuple):
    """Who a process runs as."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()


def command_as(user: User | None, command: Sequence[str | Path]) -> list[str]:
    """The command that runs `command` as that user; None: as it is."""
    plain = [str(part) for part in command]
    if user is None:
        return plain
    groups = ",".join(map(str, user.groups))
    return [sys.executable, __file__, str(user.uid), str(user.gid), groups, *plain]


def become(user: User) -> None:
    """Be that user from now on."""
    _show([Path(sys.base_prefix), Path(sys.prefix), Path(__file__).resolve().parents[2]])
    os.setgroups(user.groups)
    os.setresgid(user.gid, user.gid, user.gid)
    os.setresuid(user.uid, user.uid, user.uid)


def _show(trees: Sequence[Path]) -> None:
    """Make directories reachable for everybody, in this process's own mount namespace only."""
    hidden: dict[Path, list[Path]] = {}
    for tree in trees:
        closed = next((each for each in reversed([tree, *tree.parents]) if not _is_open(each)), None)
        if closed is not None:
            hidden.setdefault(closed, []).append(tree)
    if hidden:
        libc = ctypes.CDLL(None, use_errno=True)
        _check(libc.unshare(_CLONE_NEWNS), "unshare")
        _check(libc.mount(None, b"/", None, _MS_REC | _MS_PRIVATE, None), "make mounts private")
    for closed, below in hidden.items():
        descriptors = {tree: os.open(tree, os.O_PATH) for tree in below}
        _check(libc.mount(b"tmpfs", bytes(closed), b"tmpfs", 0, b"mode=755"), f"cover {closed}")
        for tree, descriptor in descriptors.items():
            tree.mkdir(parents=True, exist_ok=True)
            source = f"/proc/self/fd/{descriptor}".encode()
            _check(libc.mount(source, bytes(tree), None, _MS_BIND | _MS_REC, None), f"show {tree}")
            os.close(descriptor)


def _is_open(path: Path) -> bool:
    return bool(path.stat().st_mode & stat.S_IXOTH)


def _check(status: int, what: str) -> None:
    if status:
        sys.exit(f"{what}: {os.strerror(ctypes.get_errno())}")


def _main() -> None:
    uid, gid, groups, *command = sys.argv[1:]
    become(User(int(uid), int(gid), tuple(int(group) for group in groups.split(",") if group)))
    os.execv(command[0], command)  # noqa: S606 - that is what it is for


if __name__ == "__main__":
    _main()
