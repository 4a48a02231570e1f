"""The process's memory: what it keeps of what was freed, and what its garbage collector looks at."""

from __future__ import annotations

import ctypes
import gc

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_KEPT_BYTES = 16 << 20
_MAPPED_FROM_BYTES = 4 << 20
_COLLECTION_THRESHOLDS = (2_000, 10, 100)


def keep_freed_memory() -> None:
    """Have glibc keep up to 16 MB that were freed, instead of fetching anew what each large reply needs.

    A reply of 1 MB passes through several buffers; fetching their pages anew took four times as long as copying.
    Values over 4 MB still get memory of their own, which goes back at once. Does nothing with another C library.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_MMAP_THRESHOLD, _MAPPED_FROM_BYTES)


def spare_collections() -> None:
    """Leave what exists now, modules and classes, out of all later garbage collections, and make full ones rare.

    A full collection took 16 to 27 ms, in which no client was served (isolation I10), and found next to nothing: what
    a request or a connection holds is freed by reference counts. To be called when the start is done.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECTION_THRESHOLDS)
