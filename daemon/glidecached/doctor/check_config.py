"""The configuration file, and the secrets that it names."""

from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from glidecached.config.load import PUBLIC_KEYS, SECRET_KEYS, SERVICES_CREDENTIALS, exposure
from glidecached.doctor.result import fail, ok, skipped
from glidecached.doctor.vantage import CONFIGURATION_UNSEEN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from glidecached.doctor.context import DoctorContext
    from glidecached.doctor.result import Finding

_DENIED = os.strerror(13)
_MORE_RIGHTS = "run doctor as root or as the daemon's user"


def check_configuration(context: DoctorContext) -> Iterator[Finding]:
    """Check the configuration as `glidecached --check-config` does."""
    path, faults = context.configuration.path, context.configuration.faults
    if context.configuration.unseen:
        yield skipped("configuration", CONFIGURATION_UNSEEN, "run doctor in its container as well")
    elif path is None:
        yield ok("configuration", "no file: the defaults apply")
    elif not faults:
        yield ok("configuration", f"{path}: correct")
    elif os.geteuid() != 0 and all(_DENIED in fault for fault in faults):
        # What the daemon's user may read, another one need not.
        yield skipped("configuration", "; ".join(faults), _MORE_RIGHTS)
    else:
        for fault in faults:
            if SERVICES_CREDENTIALS in fault and context.contact.is_absent:
                yield skipped("configuration", fault, "start the service, and run doctor again")
            else:
                yield fail(
                    "configuration", fault, "correct the file; glidecached.toml.example explains every key"
                )


def check_secrets(context: DoctorContext) -> Iterator[Finding]:
    """Check that only the daemon can read passwords and keys.

    Also check that no other user can change which servers are trusted.
    """
    for key, place, path in _files(context.configuration.path):
        try:
            mode = path.stat().st_mode
            verb = exposure(str(path), mode, secret=key in SECRET_KEYS)
        except FileNotFoundError:
            continue  # `check_configuration` reports it
        except OSError as error:
            yield skipped("secrets", f"{place} {path}: {error.strerror}", _MORE_RIGHTS)
            continue
        seen = f"{place} {path}: mode {stat.S_IMODE(mode):04o}"
        if verb is None:
            yield ok("secrets", seen)
        else:
            change = ", and change the secret" if key in SECRET_KEYS else ""
            yield fail("secrets", f"{seen}, other users can {verb} it", f"chmod o= {path}{change}")


def _files(path: Path | None) -> Iterator[tuple[str, str, Path]]:
    """Yield the files that the configuration names, each with its key and place, even if the rest is wrong."""
    if path is None:
        return
    try:
        upstreams = tomllib.loads(path.read_text()).get("upstreams", {})
    except (OSError, ValueError):
        return  # `check_configuration` reports it
    tables = upstreams.items() if isinstance(upstreams, dict) else ()
    for name, table in tables:
        for key in (*SECRET_KEYS, *PUBLIC_KEYS):
            given = table.get(key) if isinstance(table, dict) else None
            if isinstance(given, str):
                yield key, f"[upstreams.{name}] {key}", Path(given)
