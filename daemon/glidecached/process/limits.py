"""The process's memory: keeping freed memory, and sparing garbage collections."""

from __future__ import annotations

import ctypes
import gc
import resource

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_KEPT_BYTES = 16 << 20
_MAPPED_FROM_BYTES = 4 << 20
_COLLECTION_THRESHOLDS = (700, 10, 20)


def keep_freed_memory() -> None:
    """Have glibc keep up to 16 MB of freed memory, instead of fetching new pages for each large reply.

    A reply of 1 MB passes through several buffers; fetching their pages again took four times as long as copying.
    Values over 4 MB still get memory of their own, which is returned at once. Does nothing with another C library.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_MMAP_THRESHOLD, _MAPPED_FROM_BYTES)


def spare_collections() -> None:
    """Exclude all present objects, modules and classes, from later garbage collections, and make full ones rare.

    A full collection took 16 to 27 ms, in which no client was served (isolation I10), and found almost nothing:
    the objects of requests and connections are freed by reference counts. Must be called when the start is done.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECTION_THRESHOLDS)


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
