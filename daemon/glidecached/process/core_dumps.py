"""No core dumps: the process's memory has the upstreams' passwords and everybody's values."""

from __future__ import annotations

import resource

_NEITHER_FILE_NOR_HANDLER = 1
"""In bytes. No core fits into a file of that length, and with this very limit the kernel starts no handler
(`core(5)`, `|` in `core_pattern`) either, which it would do with 0."""


def prevent_core_dumps() -> None:
    """Lower the limit on core files for this process, and those that it starts.

    Only the soft one: who has to find a fault raises it again with `prlimit --core=unlimited --pid`. The process stays
    dumpable in the sense of `PR_SET_DUMPABLE`: otherwise `/proc` would show its memory and descriptors to root alone,
    and its own user could neither measure nor trace it. Who shares the daemon's uid could change its files anyway.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    soft = (
        _NEITHER_FILE_NOR_HANDLER if hard == resource.RLIM_INFINITY else min(_NEITHER_FILE_NOR_HANDLER, hard)
    )
    resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))
