"""Namespaces of the daemon, beside those of the process that runs `doctor`."""

from __future__ import annotations

from pathlib import Path


def shares_namespace(pid: int | None, namespace: str) -> bool:
    """Return whether this process shares a namespace (`mnt`, `net`) with the daemon, as far as can be seen.

    pid: the daemon's; None if it is not known, 0 if it is in another container, where it has no number here. A process
    that is not known, or that this user may not look at, counts as sharing it.
    """
    if pid is None:
        return True
    if not pid:
        return False
    try:
        return (
            Path(f"/proc/{pid}/ns/{namespace}").stat().st_ino
            == Path(f"/proc/self/ns/{namespace}").stat().st_ino
        )
    except OSError:
        return True
