"""The process's memory: keeping freed memory, and sparing garbage collections."""

from __future__ import annotations

import ctypes
import gc

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
