"""The meeting point of clients and daemon: the runtime directory, its socket, and the process that answers there."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from glidecache_shared import __version__, protocol
from glidecache_shared.refused_access import refusal, refused_connection
from glidecache_shared.runtime_dir import socket_path
from glidecache_shared.versions import fact_and_advice
from glidecached import formatting
from glidecached.doctor.path_fault import path_fault
from glidecached.doctor.result import fail, ok, skipped, warn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from glidecached.doctor.context import DoctorContext
    from glidecached.doctor.result import Finding

_START = "start the daemon: systemctl start glidecached, or glidecached in the foreground"
_MOUNT = "in a container, mount the daemon's runtime directory there"


def check_runtime_dir(context: DoctorContext) -> Iterator[Finding]:
    """Check that it exists, and that only its owner can put a socket there."""
    path = context.runtime_dir
    try:
        found = Path(path).stat()
    except FileNotFoundError:
        advice = f"{_START}; or give --runtime-dir; {_MOUNT}"
        yield fail("runtime directory", f"{path} does not exist", advice)
        return
    except PermissionError:
        yield fail("runtime directory", *refusal(path))
        return
    seen = (
        f"{path}: owner uid {found.st_uid}, group gid {found.st_gid}, mode {stat.S_IMODE(found.st_mode):04o}"
    )
    if not stat.S_ISDIR(found.st_mode):
        yield fail(
            "runtime directory", f"{path} is not a directory", "remove it, or give another --runtime-dir"
        )
    elif (fault := path_fault(path, last_owner=found.st_uid)) is not None:
        yield fail("runtime directory", f"{seen}: {fault.reason}", fault.advice)
    else:
        yield ok("runtime directory", seen)


def check_socket(context: DoctorContext) -> Iterator[Finding]:
    """Check that it exists, belongs to a user that clients trust, and lets this user in."""
    contact = context.contact
    try:
        path = socket_path(context.runtime_dir)
        found = os.lstat(path)
    except FileNotFoundError:
        yield fail("socket", f"there is none in {context.runtime_dir}", f"{_START}; {_MOUNT}")
        return
    except PermissionError:
        yield fail("socket", *refusal(socket_path(context.runtime_dir)))
        return
    except ValueError as error:
        yield fail("socket", str(error), "choose a shorter runtime directory")
        return
    seen = f"{path}: owner uid {found.st_uid}, mode {stat.S_IMODE(found.st_mode):04o}"
    if contact.distrust is not None:
        yield fail(
            "socket",
            str(contact.distrust),
            "clients refuse it: remove it, and restart the daemon, which makes a new one",
        )
    elif isinstance(contact.refusal, ConnectionRefusedError):
        yield fail(
            "socket", f"{path} is stale: no process listens on it", f"{_START}; it replaces the socket"
        )
    elif isinstance(contact.refusal, PermissionError):
        yield fail("socket", *refused_connection(path))
    elif contact.refusal is not None:
        yield fail(
            "socket",
            f"{seen}: {contact.refusal}",
            "the daemon accepts no connections: see the next line, and its log",
        )
    else:
        yield ok("socket", f"{seen}, uid {os.geteuid()} may connect")


def check_answer(context: DoctorContext) -> Iterator[Finding]:
    """Check that the daemon answers; if not, report what its process is doing."""
    contact = context.contact
    if contact.process is None:
        yield skipped("daemon", "no daemon was reached")
        return
    pid = contact.process.pid
    if not contact.silence:
        told = f"pid {pid}" if pid else f"pid {contact.about['pid']} of another container"
        uptime = formatting.duration(contact.stats["daemon"]["uptime_seconds"])
        yield ok("daemon", f"{told} answers in {formatting.latency(contact.answer_us)}, up {uptime}")
    elif contact.refused:
        yield fail(
            "daemon", f"pid {pid} refuses: {contact.silence}", "see the next line, and the daemon's log"
        )
    elif _state(pid) in ("T", "t"):
        yield fail(
            "daemon", f"pid {pid} is stopped (SIGSTOP, or a debugger)", f"kill -CONT {pid}, or restart it"
        )
    else:
        yield fail("daemon", contact.silence, f"see its log; if this continues, restart it (pid {pid})")


def check_versions(context: DoctorContext) -> Iterator[Finding]:
    """Check that command, compiled core and daemon fit together."""
    try:
        from glidecache_shared.pool.reader import LAYOUT_VERSION
    except ImportError as error:
        yield fail(
            "versions",
            f"the compiled core cannot be loaded: {error}",
            "install glidecached again: pip install .",
        )
        return
    own = __version__
    seen = f"command {own}, protocol {protocol.PROTOCOL_VERSION}, pool layout {LAYOUT_VERSION}"
    about = context.contact.about
    apart = fact_and_advice(about, context.runtime_dir, "this command", LAYOUT_VERSION) if about else None
    if not about:
        yield ok("versions", f"{seen}; the daemon's version is not known")
    elif apart is not None:
        yield fail("versions", *apart)
    elif about["daemon_version"] != own:
        advice = "restart the daemon after an upgrade, and let the workers run in the same installation"
        yield warn("versions", f"{seen}; daemon {about['daemon_version']}", advice)
    else:
        yield ok("versions", f"{seen}; daemon the same")


def _state(pid: int) -> str:
    """Return the state letter of `ps`, or nothing where the process cannot be seen."""
    try:
        # The name before it is in brackets and may hold anything.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""
