"""Files that the configuration names: read once, and refused where other users could read a secret or change them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

SECRET_KEYS = ("password_file", "tls_key_file")
"""The keys of an upstream that name a file with a secret."""

PUBLIC_KEYS = ("tls_ca_file", "tls_cert_file")
"""The keys that name a file that other users may read."""


class ExposedFileError(Exception):
    """A file gives other users a right that they must not have: `args[0]` names it, and what would be right."""


def read_file(path: str, *, secret: bool) -> bytes:
    """Return the contents of the file. Raises `ExposedFileError` and `OSError`.

    Only its owner and its group may be able to write it; for a `secret`, the same applies to reading. A file in a
    directory that is closed to others is closed to them, whatever its own mode. Services' credentials are such files.
    """
    with Path(path).open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        verb = exposure(path, mode, secret=secret)
        if verb is not None:
            message = f"other users can {verb} it (mode {stat.S_IMODE(mode):04o}); chmod o= {path}"
            raise ExposedFileError(message)
        return file.read()


def exposure(path: str, mode: int, *, secret: bool) -> str | None:
    """Return what others can do with a file of that mode, and must not: `"read"` or `"write"`, or None if nothing."""
    exposed = mode & (stat.S_IROTH | stat.S_IWOTH if secret else stat.S_IWOTH)
    if not exposed or not _is_reachable_by_others(path):
        return None
    return "read" if exposed & stat.S_IROTH else "write"


def _is_reachable_by_others(path: str) -> bool:
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in Path(path).resolve().parents)
