"""The limits of the daemon's process: descriptors, turns on the processor, core dumps, memory, collections."""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import platform
import resource
import struct
from dataclasses import dataclass

logger = logging.getLogger(__name__)

_OWN_DESCRIPTORS = 48
"""For the daemon itself: files of the interpreter, the loop, the log, name resolution, a reload."""

_MOST_DESCRIPTORS = 1_048_576
_DESCRIPTORS_PER_POOL = 3
"""For one pool: its file, its access board, its lease. Twice as many while its generation is replaced."""

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_KEPT_BYTES = 16 << 20
_MAPPED_FROM_BYTES = 4 << 20
_COLLECTION_THRESHOLDS = (700, 10, 20)

_TURN_NS = 100_000
"""The shortest turn that the kernel grants; a request needs less."""
_SCHED_ATTR = struct.Struct("=IIQiIQQQ")
"""Version 0 of `struct sched_attr`: size, policy, flags, nice, priority, runtime, deadline, period."""
_SET_AND_GET_ATTR = {"x86_64": (314, 315), "aarch64": (274, 275)}
"""Numbers of system calls: the C libraries have no functions for them before glibc 2.41."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DescriptorPlan:
    """The division of the limit on descriptors: admission must never use up the last one (I9).

    Half is for clients' connections, a quarter each for pools and for upstreams.
    """

    limit: int
    connections: int
    pools: int
    upstream_connections: int


def raise_descriptor_limit() -> int:
    """Raise the process's soft limit on descriptors to the hard one. Return the limit that then applies."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (ValueError, OSError) as error:
            logger.debug("descriptor limit not raised", extra={"limit": soft, "reason": error})
    return _descriptor_limit()


def plan_descriptors(limit: int | None = None) -> DescriptorPlan:
    """Divide the process's descriptors among their uses. `limit` defaults to the current soft limit."""
    limit = _descriptor_limit() if limit is None else limit
    left = max(limit - _OWN_DESCRIPTORS, 16)
    return DescriptorPlan(
        limit=limit,
        connections=max(4, left // 2),
        pools=max(2, left // 4 // _DESCRIPTORS_PER_POOL),
        upstream_connections=max(4, left // 4),
    )


def _descriptor_limit() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST_DESCRIPTORS if soft == resource.RLIM_INFINITY else min(soft, _MOST_DESCRIPTORS)


def keep_freed_memory() -> None:
    """Have glibc keep up to 16 MB of freed memory, instead of fetching new pages for each large reply.

    A reply of 1 MB passes through several buffers; fetching their pages again took four times as long as copying.
    Values over 4 MB still get memory of their own, which is returned at once. Does nothing with another C library.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_MMAP_THRESHOLD, _MAPPED_FROM_BYTES)


def take_short_turns() -> None:
    """Ask the kernel for short turns on the processor, which then begin as soon as there is work.

    A process that asks for a shorter turn than the one that runs need not wait for the other's end (Linux 6.12). It
    gets no more of the processor, so no right is needed. Does nothing on other kernels and processors, where a filter
    forbids the call, or where the operator has chosen another scheduling policy. For the calling thread.
    """
    numbers = _SET_AND_GET_ATTR.get(platform.machine())
    if numbers is None:
        return
    set_attr, get_attr = numbers
    call = ctypes.CDLL(None, use_errno=True).syscall
    attributes = ctypes.create_string_buffer(_SCHED_ATTR.size)
    if call(get_attr, 0, attributes, _SCHED_ATTR.size, 0) != 0:
        return
    size, policy, flags, nice, priority, _, deadline, period = _SCHED_ATTR.unpack(attributes.raw)
    if policy != os.SCHED_OTHER:
        return
    _SCHED_ATTR.pack_into(attributes, 0, size, policy, flags, nice, priority, _TURN_NS, deadline, period)
    if call(set_attr, 0, attributes, 0) != 0:
        reason = os.strerror(ctypes.get_errno())
        logger.debug("turns on the processor not shortened", extra={"reason": reason})


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
