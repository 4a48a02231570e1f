"""The laid-down units put into service, and taken out of it: what systemd is told."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from glidecached.host.host_errors import HostError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from glidecached.host.places import Places

UNIT = "glidecached.service"
START = (
    ("systemd-sysusers",),
    ("systemd-tmpfiles", "--create", "glidecached.conf"),
    ("systemctl", "daemon-reload"),
    ("systemctl", "enable", "--now", UNIT),
)
"""The commands of `--enable`, in this order."""

UNIT_DIRECTORIES = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
"""The directories in which systemd looks for a unit: the first that has it counts (systemd.unit(5))."""

_RUNS_THIS_HOST = Path("/run/systemd/system")
_SECONDS = 120
"""Longer than the units' own limits for a start and a stop."""


def runs_this_host() -> bool:
    """Return whether systemd does."""
    return _RUNS_THIS_HOST.is_dir()


def why_not() -> str | None:
    """Return why no unit can be enabled here, or None."""
    if not runs_this_host():
        return f"systemd does not run this host: there is no {_RUNS_THIS_HOST}"
    if os.geteuid() != 0:
        return "only root can enable a unit"
    for program in dict.fromkeys(command[0] for command in START):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    return None


def is_active() -> bool:
    """Return whether the service runs now."""
    return _succeeds("systemctl", "is-active", "--quiet", UNIT)


def other_units(places: Places) -> Iterator[str]:
    """Yield what there is to say of units of the same name elsewhere, such as a package's or one copied by hand."""
    own = places.staged(f"{places.units}/{UNIT}")
    candidates = [(directory, places.staged(f"{directory}/{UNIT}")) for directory in UNIT_DIRECTORIES]
    found = [(directory, unit) for directory, unit in candidates if os.path.lexists(unit)]
    for _, unit in found:
        if not (unit.exists() and unit.samefile(own)):
            yield f"{unit} is there as well, and systemd takes the one in {found[0][0]}: remove what is too much"


def enable() -> None:
    """Make the user and the pools' directory, enable the service and start it. Raises HostError for what fails."""
    for command in START:
        _run(command, "what was laid down stays")


def disable() -> bool:
    """Stop and disable the service where systemd knows it as either; return whether it did. Raises HostError."""
    if why_not() is not None or not (is_active() or _succeeds("systemctl", "is-enabled", "--quiet", UNIT)):
        return False
    _run(("systemctl", "disable", "--now", UNIT), "nothing was removed")
    return True


def forget_units() -> None:
    """Let systemd see that units are gone, where it runs. Raises HostError."""
    if why_not() is None:
        _run(("systemctl", "daemon-reload"), "the files are removed")


def _succeeds(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=_SECONDS).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _run(command: tuple[str, ...], state: str) -> None:
    named = " ".join(command)
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        message = f"`{named}` failed ({error}); {state}"
        raise HostError(message) from None
    if done.returncode != 0:
        said = " ".join((done.stderr or done.stdout).split()) or "it said nothing"
        message = f"`{named}` failed with status {done.returncode} ({said}); {state}"
        raise HostError(message)
