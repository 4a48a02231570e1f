"""The view from where `doctor` runs: what of the daemon this process sees.

In a container it may be little: then a check must not take the container's own directories, configuration or network
for the daemon's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from glidecached.doctor.context import DoctorContext

POOLS_UNSEEN = "the daemon's pool directory cannot be seen from here"
CONFIGURATION_UNSEEN = "the daemon runs in another container; its configuration cannot be seen from here"
NETWORK_UNSEEN = "the daemon's network cannot be seen from here"


class Obstacle(NamedTuple):
    """A reason why this process does not see the daemon's files, and what to do."""

    seen: str
    advice: str


def pools_obstacle(context: DoctorContext) -> Obstacle | None:
    """Return why the pool directory here is not the daemon's; None if it is, or nothing is known about it."""
    path = context.pool_dir
    told = context.contact.stats.get("daemon", {}).get("pool_dir_id")
    if told is None:  # the daemon was not asked, is older, or has lost the directory itself
        return None
    mount = f"in a container: mount the daemon's {path} there, at the same path; workers here get no pool without it"
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return Obstacle(f"{path} does not exist here, and the daemon has it", mount)
    if [found.st_dev, found.st_ino] != told:
        return Obstacle(f"{path} here is not the daemon's directory, but another one", mount)
    return None


def pools_unseen(context: DoctorContext) -> bool:
    """Return whether nothing can be said about the daemon's files: they are elsewhere, or where is not known."""
    contact = context.contact
    refused = contact.process is None and not contact.is_absent and not contact.stats
    return refused or pools_obstacle(context) is not None
