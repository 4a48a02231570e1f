"""Directories on whose way another user could change what is there, and how to repair them."""

from __future__ import annotations

from dataclasses import dataclass

from glidecache_shared.trusted_path import check_directory

_COMMAND = "chmod "


@dataclass(frozen=True, slots=True)
class PathFault:
    """The reason why a directory cannot be trusted, and how to repair it."""

    reason: str
    advice: str


def path_fault(path: str, *, last_owner: int | None = None, friend: int | None = None) -> PathFault | None:
    """Return the fault on the way to the directory; None if it can be trusted, or cannot be found."""
    try:
        check_directory(path, last_owner=last_owner, friend=friend)
    except PermissionError as error:
        if error.errno is not None:  # this user may not see it
            return None
        reason, _, command = str(error).rpartition(f": {_COMMAND}")
        if reason:
            return PathFault(reason, f"{_COMMAND}{command}")
        return PathFault(str(error), "choose a directory whose whole path is root's or the daemon's user's")
    except OSError:
        return None
    return None
