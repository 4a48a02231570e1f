"""How the process gets its memory from the kernel."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_KEPT_BYTES = 16 << 20
_MAPPED_FROM_BYTES = 4 << 20


def keep_freed_memory() -> None:
    """Have glibc keep up to 16 MB that were freed, instead of fetching anew what each large reply needs.

    A reply of 1 MB passes through several buffers; fetching their pages anew took four times as long as copying.
    Values over 4 MB still get memory of their own, which goes back at once. Does nothing with another C library.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_MMAP_THRESHOLD, _MAPPED_FROM_BYTES)
