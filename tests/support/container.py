"""Containers without a container engine: processes in namespaces of their own, with a root file system of their own.

As a program it makes one and runs a command in it as its first process, as an engine does. The container has its own
mounts, process numbers, network, IPC, host name, and if asked its own user and time namespaces. Its root is a new tmpfs
with this host's programs read-only below it, and its own /run, /tmp, /proc and /dev/shm. Nothing else of the host is
visible but what is bound. Only root can start one. Where user namespaces are asked for, the mounts are root's and the
ids the container's: what an unprivileged engine shows to a process, made in a simpler way.
"""

from __future__ import annotations

import ctypes
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

_NEWNS, _NEWTIME, _NEWUTS, _NEWIPC = 0x0002_0000, 0x0000_0080, 0x0400_0000, 0x0800_0000
_NEWUSER, _NEWPID, _NEWNET = 0x1000_0000, 0x2000_0000, 0x4000_0000
_MS_RDONLY, _MS_NOSUID, _MS_REMOUNT, _MS_BIND, _MS_MOVE = 0x1, 0x2, 0x20, 0x1000, 0x2000
_MS_REC, _MS_PRIVATE = 0x4000, 0x40000
_PR_SET_PDEATHSIG = 1

_SHM_BYTES = 64 << 20
"""The default of the usual engine."""
_IDS = 65_536
_ROOT = Path(__file__).resolve().parents[2]
_SYSTEM = ("bin", "lib", "lib32", "lib64", "sbin", "usr")
_ETC = {"passwd": "root:x:0:0::/:/bin/sh\n", "group": "root:x:0:\n"}
_DEVICES = ("full", "null", "random", "urandom", "zero")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Box:
    """The properties of a container."""

    binds: dict[str, str] = dataclasses.field(default_factory=dict)
    """Directories of the host by their places in the container; `:ro` behind a place makes it read-only there."""
    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    """As the container sees them; with `keeps_groups` as the host does."""
    first_id: int | None = None
    """The host's id for the container's root; None for no user namespace."""
    keeps_groups: bool = False
    read_only: bool = False
    """True if the root file system is read-only, /run and /tmp included."""
    clock_offset_s: int | None = None
    """For a time namespace: how far its monotonic clock is ahead. None for none."""

    def command(self, command: Sequence[str | Path]) -> list[str]:
        """The command that runs `command` in such a container."""
        return [sys.executable, __file__, json.dumps(dataclasses.asdict(self)), *map(str, command)]


def why_no_container() -> str | None:
    """Why no container can be made here, or None."""
    if os.geteuid() != 0:
        return "containers of namespaces are made by root only"
    done = subprocess.run(
        Box(first_id=100_000).command(["/bin/true"]), capture_output=True, text=True, timeout=30, check=False
    )
    if done.returncode:
        return f"this kernel, or this container, does not let root make namespaces: {done.stderr.strip()}"
    return None


def why_no_clock() -> str | None:
    """Why no container can have a clock of its own, or None."""
    return None if Path("/proc/self/ns/time").exists() else "this kernel has no time namespaces"


def _main() -> None:
    box = Box(**json.loads(sys.argv[1]))
    command = sys.argv[2:]
    flags = _NEWNS | _NEWUTS | _NEWIPC | _NEWPID | _NEWNET
    _unshare(flags if box.clock_offset_s is None else flags | _NEWTIME)
    if box.clock_offset_s is not None:
        Path("/proc/self/timens_offsets").write_text(f"monotonic {box.clock_offset_s} 0\n")
    ready_read, ready_write = os.pipe()
    mapped_read, mapped_write = os.pipe()
    child = os.fork()
    if child == 0:
        _enter(box, ready_write, mapped_read)
        os.execvp(command[0], command)  # noqa: S606 - that is what it is for
    os.close(ready_write)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: os.kill(child, number))
    if box.first_id is not None and os.read(ready_read, 1):
        for kind in ("uid", "gid"):
            Path(f"/proc/{child}/{kind}_map").write_text(f"0 {box.first_id} {_IDS}\n")
        os.write(mapped_write, b"m")
    _, status = os.waitpid(child, 0)
    sys.exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _enter(box: Box, ready: int, mapped: int) -> None:
    """Become the container's first process, in all but the command."""
    _make_root(box)
    if box.keeps_groups:
        os.setgroups(box.groups)
    if box.first_id is not None:
        _unshare(_NEWUSER)
        os.write(ready, b"r")
        os.read(mapped, 1)
    if not box.keeps_groups:
        os.setgroups(box.groups)
    os.setresgid(box.gid, box.gid, box.gid)
    os.setresuid(box.uid, box.uid, box.uid)
    _libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    for name in ("XDG_RUNTIME_DIR", "TMPDIR"):
        os.environ.pop(name, None)


def _make_root(box: Box) -> None:
    first = box.first_id or 0
    _mount(None, "/", None, _MS_REC | _MS_PRIVATE)
    new = Path("/mnt")
    # Opened before anything is covered: they may be below it.
    binds = {place: os.open(source, os.O_PATH) for place, source in box.binds.items()}
    trees = {str(tree): os.open(tree, os.O_PATH) for tree in _programs()}
    devices = {f"/dev/{name}": os.open(f"/dev/{name}", os.O_PATH) for name in _DEVICES}
    _mount("tmpfs", new, "tmpfs", _MS_NOSUID, "mode=755,size=16m")
    os.chown(new, first, first)
    _lay_down(new, first, writable=("dev/shm",) if box.read_only else ("dev/shm", "run", "tmp"))
    for tree, source in trees.items():
        _bind(source, new / tree[1:], read_only=True)
    for device, source in devices.items():
        (new / device[1:]).touch()
        _mount(f"/proc/self/fd/{source}", new / device[1:], None, _MS_BIND)
    for place, source in binds.items():
        _bind(source, new / place.removesuffix(":ro")[1:], read_only=place.endswith(":ro"))
    if box.read_only:
        _mount(None, new, None, _MS_REMOUNT | _MS_RDONLY | _MS_NOSUID)
    for descriptor in (*binds.values(), *trees.values(), *devices.values()):
        os.close(descriptor)
    os.chdir(new)
    _mount(".", "/", None, _MS_MOVE)
    os.chroot(".")
    os.chdir("/")


def _lay_down(new: Path, first: int, writable: Sequence[str]) -> None:
    """Make what the container has of its own; file systems of their own for what is writable in any case."""
    for name in ("dev", "dev/shm", "etc", "mnt", "proc", "run", "tmp"):
        (new / name).mkdir()
        os.chown(new / name, first, first)
    for name, text in _ETC.items():
        (new / "etc" / name).write_text(text)
    shutil.copy("/etc/ld.so.cache", new / "etc")
    for name in _SYSTEM:
        if Path("/", name).is_symlink():
            (new / name).symlink_to(Path("/", name).readlink())
    _mount("proc", new / "proc", "proc", 0)
    (new / "tmp").chmod(0o1777)
    for place in writable:
        size = _SHM_BYTES if place == "dev/shm" else 8 << 20
        mode = "755" if place == "run" else "1777"
        _mount("tmpfs", new / place, "tmpfs", _MS_NOSUID, f"mode={mode},size={size}")
        os.chown(new / place, first, first)


def _programs() -> list[Path]:
    """This host's programs and libraries, this interpreter, and the checkout."""
    found: list[Path] = []
    for tree in (*(Path("/", name) for name in _SYSTEM), Path(sys.base_prefix), Path(sys.prefix), _ROOT):
        if tree.is_dir() and not tree.is_symlink() and not any(tree.is_relative_to(each) for each in found):
            found.append(tree)
    return found


def _bind(source: int, place: Path, *, read_only: bool) -> None:
    place.mkdir(parents=True, exist_ok=True)
    _mount(f"/proc/self/fd/{source}", place, None, _MS_BIND)
    if read_only:
        _mount(None, place, None, _MS_BIND | _MS_REMOUNT | _MS_RDONLY)


def _mount(source: str | None, place: str | Path, kind: str | None, flags: int, options: str = "") -> None:
    def encoded(text: str | None) -> bytes | None:
        return None if text is None else os.fsencode(text)

    _check(
        _libc().mount(encoded(source), os.fsencode(place), encoded(kind), flags, options.encode()),
        f"mount {place}",
    )


def _unshare(flags: int) -> None:
    _check(_libc().unshare(flags), "unshare")


def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def _check(status: int, what: str) -> None:
    if status:
        sys.exit(f"{what}: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    _main()
