"""No core dumps: the process's memory contains the upstreams' passwords and the values of all users."""

from __future__ import annotations

import resource

_NEITHER_FILE_NOR_HANDLER = 1
"""In bytes. No core fits into a file of that length. With this very limit the kernel does not start a handler
(`core(5)`, `|` in `core_pattern`) either; with 0 it would."""


def prevent_core_dumps() -> None:
    """Lower the limit on core files for this process, and for processes that it starts.

    Only the soft limit: to find a fault, raise it again with `prlimit --core=unlimited --pid`. The process stays
    dumpable in the sense of `PR_SET_DUMPABLE`: otherwise `/proc` would show its memory and descriptors to root alone,
    and its own user could neither measure nor trace it. Processes with the daemon's uid could change its files anyway.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    soft = (
        _NEITHER_FILE_NOR_HANDLER if hard == resource.RLIM_INFINITY else min(_NEITHER_FILE_NOR_HANDLER, hard)
    )
    resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))
