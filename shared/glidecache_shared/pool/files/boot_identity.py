"""The meaning of CLOCK_MONOTONIC here: two processes may compare its readings if these two values agree."""

from __future__ import annotations

import os

from glidecache_shared.owned_descriptor import OwnedDescriptor

_BOOT_ID_BYTES = 64
BOOT_ID = "/proc/sys/kernel/random/boot_id"


def boot_id() -> bytes:
    """Return this boot of the machine, as 16 bytes; zeros if the kernel does not say."""
    try:
        file = OwnedDescriptor.open(BOOT_ID, os.O_RDONLY)  # closes itself after any interruption (I15)
        return bytes.fromhex(os.read(file.number, _BOOT_ID_BYTES).strip().replace(b"-", b"").decode())
    except (OSError, ValueError):
        return bytes(16)


def time_namespace() -> int:
    """Return this process's time namespace, as the inode of its handle; 0 if there are none."""
    try:
        return os.stat("/proc/self/ns/time").st_ino
    except OSError:
        return 0


def clock_fault(daemons_boot_id: bytes, daemons_time_namespace: int) -> tuple[str, str] | None:
    """Return why this process cannot use the daemon's times, and what to do; None if both have one clock."""
    own = boot_id()
    if daemons_boot_id != own:
        if not any(own):
            return f"{BOOT_ID} cannot be read here, so the daemon's times mean nothing", "mount a whole /proc"
        return (
            f"of another boot ({daemons_boot_id.hex()}, here {own.hex()}), so its times mean nothing here",
            "run daemon and workers on one kernel, not in virtual machines of their own, with one boot_id in /proc",
        )
    here = time_namespace()
    if daemons_time_namespace != here:
        return (
            f"of another time namespace ({daemons_time_namespace}, here {here}), so its times mean nothing here",
            "start daemon and workers without time namespaces of their own (unshare --time)",
        )
    return None
