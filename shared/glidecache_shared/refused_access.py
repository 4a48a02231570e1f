"""Texts for access that the kernel refused: which process asked, what it met, and what would let it in.

For messages alone, after a failure: a hit or a miss never comes here. In containers the usual reasons are a group that
the process lacks, and ids that its user namespace does not map.
"""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

from glidecache_shared.trusted_path import UNMAPPED, is_unmapped

_MOST_GROUPS = 8


class Refusal(NamedTuple):
    """Why the kernel refused this process, and what would let it in. As a text: both."""

    reason: str
    advice: str

    def __str__(self) -> str:
        return f"{self.reason}: {self.advice}"


def refusal(path: str, wanted: int = 0) -> Refusal:
    """Return why this process may not reach `path`, or may not use it as `wanted`.

    wanted: `os.R_OK`, `os.W_OK` or both; 0 if it was enough to reach it. The directories above are looked at first:
    the first one that this process may not enter is the reason.
    """
    verb = {os.R_OK: "read", os.W_OK: "write", os.R_OK | os.W_OK: "read and write"}.get(wanted, "reach")
    return _refusal(path, verb, wanted)


def refused_connection(path: str) -> Refusal:
    """Return why this process may not connect to the socket at `path`."""
    return _refusal(path, "connect to", os.W_OK)


def refused_directory(path: str) -> Refusal | None:
    """Return why this process may not enter the directory at `path`, or one above it; None if it may."""
    for directory in (*_above(path), path):
        if not os.access(directory, os.X_OK, effective_ids=True):
            return _refused_by(directory, "enter", os.X_OK)
    return None


def own_ids() -> str:
    """Return this process's user and groups, as numbers: `uid 1000, groups 1000 and 10001`."""
    groups = sorted({os.getegid(), *os.getgroups()})
    shown = [str(gid) for gid in groups[:_MOST_GROUPS]]
    if len(groups) > _MOST_GROUPS:
        shown[-1:] = [f"{len(groups) - _MOST_GROUPS + 1} more"]
    listed = shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
    return f"uid {os.geteuid()}, group{'s' if len(shown) > 1 else ''} {listed}"


def named_uid(uid: int) -> str:
    """Return `uid 65534 (not mapped into this user namespace)`, or the number alone."""
    return f"uid {uid}{UNMAPPED if is_unmapped(uid) else ''}"


def own_namespace_advice(*uids: int) -> str:
    """Return what to do where one of these users cannot be told from others, because it is not mapped; else nothing."""
    if not any(map(is_unmapped, uids)):
        return ""
    return (
        "; the user namespaces differ, and ids do not tell who that is: run both in one (rootless: the same user's "
        "containers; Kubernetes: hostUsers alike)"
    )


def _refusal(path: str, verb: str, wanted: int) -> Refusal:
    return refused_directory(os.path.dirname(path)) or _refused_by(path, verb, wanted)


def _refused_by(path: str, verb: str, wanted: int) -> Refusal:
    text = f"Permission denied: this process ({own_ids()}) may not {verb} {path}"
    try:
        found = os.stat(path)
    except OSError as error:
        return Refusal(text, error.strerror or str(error))
    text += f" ({_owners(found)})"
    if _allows(found, wanted):
        return Refusal(f"{text}, although its mode allows it", _beyond_the_mode())
    if found.st_mode >> 3 & wanted != wanted:
        advice = "only its owner may; open it to a group of this process, or run this process as its owner"
        return Refusal(text, advice)
    return Refusal(text, _joining(found.st_gid))


def _owners(found: os.stat_result) -> str:
    group = f"gid {found.st_gid}{UNMAPPED if is_unmapped(found.st_gid) else ''}"
    return f"{named_uid(found.st_uid)}, {group}, mode {stat.S_IMODE(found.st_mode):04o}"


def _allows(found: os.stat_result, wanted: int) -> bool:
    """Return whether the mode alone gives this process what it wanted; an access list may say otherwise."""
    if found.st_uid == os.geteuid():
        granted = found.st_mode >> 6
    elif found.st_gid in {os.getegid(), *os.getgroups()}:
        granted = found.st_mode >> 3
    else:
        granted = found.st_mode
    return granted & wanted == wanted


def _joining(gid: int) -> str:
    """Return how a process becomes a member of the group: on a host, and in a container."""
    if is_unmapped(gid):
        return (
            "it must keep that group from outside of its user namespace (podman: --group-add keep-groups), "
            "or run in the daemon's user namespace"
        )
    name = _group_name(gid)
    return (
        f"it must be in the group {name} (on a host: usermod -aG {name} USER, which counts from USER's next login; "
        f'in a container: group_add: ["{gid}"], or supplementalGroups: [{gid}])'
    )


def _beyond_the_mode() -> str:
    return (
        "an access list or a security module refuses it (with SELinux, mount the directory with :z, or give both "
        "containers one label)"
    )


def _group_name(gid: int) -> str:
    try:
        import grp  # for a message alone

        return grp.getgrgid(gid).gr_name
    except (KeyError, ImportError):  # a process that changed its user may be unable to import anything
        return str(gid)


def _above(path: str) -> list[str]:
    """Return the directories on the way to `path`, the root first."""
    found = []
    while (parent := os.path.dirname(path)) != path:
        found.append(parent)
        path = parent
    return found[::-1]
