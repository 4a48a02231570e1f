"""The configuration file, and the secrets that it names."""

from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from glidecached.doctor.finding import fail, ok, skipped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from glidecached.doctor.finding import Finding
    from glidecached.doctor.patient import Patient

_SECRETS = ("password_file", "tls_key_file")
_DENIED = os.strerror(13)


def check_configuration(patient: Patient) -> Iterator[Finding]:
    """The same checks as `glidecached --check-config`."""
    path, faults = patient.configuration.path, patient.configuration.faults
    if path is None:
        yield ok("configuration", "there is no file: the defaults hold")
    elif not faults:
        yield ok("configuration", f"{path}: correct")
    elif os.geteuid() != 0 and all(_DENIED in fault for fault in faults):
        # What the daemon's user may read, another one need not.
        yield skipped("configuration", "; ".join(faults), "run doctor as root or as the daemon's user")
    else:
        for fault in faults:
            yield fail(
                "configuration", fault, "correct the file; glidecached.toml.example explains every key"
            )


def check_secrets(patient: Patient) -> Iterator[Finding]:
    """Passwords and keys are nobody's but the daemon's."""
    for place, path in _secrets(patient.configuration.path):
        mode = path.stat().st_mode
        seen = f"{place} {path}: mode {stat.S_IMODE(mode):04o}"
        if mode & (stat.S_IROTH | stat.S_IWOTH) and _is_reachable_by_others(path):
            yield fail(
                "secrets", f"{seen}, other users can reach it", f"chmod o= {path}, and change the secret"
            )
        else:
            yield ok("secrets", seen)


def _secrets(path: Path | None) -> Iterator[tuple[str, Path]]:
    """What the file names, even where the rest of it is wrong."""
    if path is None:
        return
    try:
        upstreams = tomllib.loads(path.read_text()).get("upstreams", {})
    except (OSError, ValueError):
        return  # `check_configuration` tells
    tables = upstreams.items() if isinstance(upstreams, dict) else ()
    for name, table in tables:
        for key in _SECRETS:
            given = table.get(key) if isinstance(table, dict) else None
            if isinstance(given, str) and Path(given).exists():
                yield f"[upstreams.{name}] {key}", Path(given)


def _is_reachable_by_others(path: Path) -> bool:
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in path.resolve().parents)
