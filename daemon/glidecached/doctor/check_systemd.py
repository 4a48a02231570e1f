"""The unit that runs the daemon, and logind's treatment of the files of users who leave."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from glidecached.doctor.result import ok, skipped, warn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from glidecached.doctor.context import DoctorContext
    from glidecached.doctor.result import Finding

_BOOTED = Path("/run/systemd/system")
_UNIT = re.compile(r"/([^/]+\.service)(?:/|$)")
_PROPERTIES = ("Type", "Restart", "WatchdogUSec", "RuntimeDirectoryPreserve", "RemoveIPC")
_FIRST_LOGIN_UID = 1_000
"""The first uid of login users. logind does not touch the files of system users, which are below."""
_TIMEOUT_SECONDS = 10
_LOGIND = ("org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager")


def check_unit(context: DoctorContext) -> Iterator[Finding]:
    """Check that a daemon that hangs or dies is restarted."""
    process = context.contact.process
    if not _BOOTED.is_dir() or shutil.which("systemctl") is None:
        yield skipped("systemd unit", "systemd does not run this host")
        return
    if process is None or not process.pid:
        yield skipped("systemd unit", "the daemon's process cannot be seen from here")
        return
    membership = Path(f"/proc/{process.pid}/cgroup").read_text()
    units = _UNIT.findall(membership)
    if not units or units[0].startswith("user@"):
        yield skipped("systemd unit", "no unit of the system runs the daemon")
        return
    arguments = [word for name in _PROPERTIES for word in ("-p", name)]
    yield from judge_unit(units[0], _properties(["systemctl", "show", units[0], *arguments]))


def judge_unit(unit: str, properties: Mapping[str, str]) -> Iterator[Finding]:
    """Yield findings about the unit's settings, as `systemctl show` prints them."""
    seen = f"{unit}: " + ", ".join(f"{name}={properties.get(name, '')}" for name in _PROPERTIES)
    advice = []
    if not properties.get("Type", "").startswith("notify"):
        advice.append("Type=notify, so that later units find it ready")
    if properties.get("Restart", "no") in ("no", "on-success"):
        advice.append("Restart=on-failure, so that systemd restarts it")
    if properties.get("WatchdogUSec", "0") in ("0", "infinity", ""):
        advice.append("WatchdogSec=30s, so that systemd restarts it when it hangs")
    if properties.get("RuntimeDirectoryPreserve") == "no":
        advice.append("RuntimeDirectoryPreserve=restart, so that clients find the directory during a restart")
    if properties.get("RemoveIPC") == "yes":
        advice.append(
            "RemoveIPC=no, because otherwise a stop removes the pools, its user's files in /dev/shm"
        )
    if advice:
        yield warn("systemd unit", seen, f"systemctl edit {unit}: " + "; ".join(advice))
    else:
        yield ok("systemd unit", seen)


def check_remove_ipc(context: DoctorContext) -> Iterator[Finding]:
    """Check `RemoveIPC`: with `yes` logind removes a login user's files in /dev/shm when the last session ends."""
    process = context.contact.process
    if process is None:
        yield skipped("RemoveIPC", "no daemon was reached")
    elif process.uid < _FIRST_LOGIN_UID:
        yield ok("RemoveIPC", f"the daemon's uid {process.uid} is a system user's: logind keeps its files")
    elif not _BOOTED.is_dir() or shutil.which("busctl") is None:
        yield skipped("RemoveIPC", "systemd does not run this host")
    else:
        answer = _run(["busctl", "get-property", *_LOGIND, "RemoveIPC"]).strip()
        if answer == "b true":
            advice = "RemoveIPC=no in logind.conf, loginctl enable-linger, or run the daemon as a system user"
            seen = f"logind removes the pools of uid {process.uid} in /dev/shm when that user logs out"
            yield warn("RemoveIPC", seen, advice)
        elif answer == "b false":
            yield ok("RemoveIPC", "logind keeps files in /dev/shm")
        else:
            yield skipped("RemoveIPC", "logind does not report it")


def _properties(command: list[str]) -> dict[str, str]:
    pairs = (line.partition("=") for line in _run(command).splitlines())
    return {name: value for name, _, value in pairs}


def _run(command: list[str]) -> str:
    """Return what the program prints; nothing where it fails or hangs."""
    try:
        ended = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return ended.stdout
