"""The machine of a run: processor, versions, and which processors share a core."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from comparison.stand import Stand

PACKAGES = (
    "glidecached",
    "valkey-glide",
    "valkey-glide-sync",
    "valkey",
    "libvalkey",
    "redis",
    "lmdb",
    "diskcache",
    "cachetools",
    "cachebox",
    "pylibmc",
    "msgpack",
    "pyzmq",
)
PROCESSORS = Path("/sys/devices/system/cpu")


@dataclass(frozen=True, slots=True, kw_only=True)
class Processors:
    """A pair of processors to measure on, as nearly independent as this machine has them."""

    numbers: tuple[int, int]
    topology: str
    """The relation of the two, for people."""
    separate: bool
    """True if they are different cores: siblings of one core share what a hit needs."""


def two_processors() -> Processors | None:
    """Return two of the processors that this process may use; None where it has one.

    They are on different cores if there are such.
    """
    allowed = sorted(os.sched_getaffinity(0))
    pairs = list(combinations(allowed, 2))
    if not pairs:
        return None
    separate = [pair for pair in pairs if core_of(pair[0]) != core_of(pair[1])]
    one_socket = [pair for pair in separate if core_of(pair[0])[0] == core_of(pair[1])[0]]
    first, second = (one_socket or separate or pairs)[0]
    if one_socket:
        topology = f"processors {first} and {second}: two cores of one socket"
    elif separate:
        topology = f"processors {first} and {second}: cores of two sockets"
    else:
        topology = f"processors {first} and {second}: siblings of one core"
    return Processors(numbers=(first, second), topology=topology, separate=bool(separate))


def core_of(processor: int) -> tuple[str, str]:
    """Return the socket and the core of a processor, as the kernel numbers them."""
    topology = PROCESSORS / f"cpu{processor}" / "topology"
    try:
        return (
            (topology / "physical_package_id").read_text().strip(),
            (topology / "core_id").read_text().strip(),
        )
    except OSError:  # a kernel that does not say: taken for a core of its own
        return "?", str(processor)


def describe(stand: Stand) -> dict[str, Any]:
    """Return machine and versions, without which no number means anything."""
    processors = two_processors()
    return {
        "processor": model(),
        "processors": len(os.sched_getaffinity(0)),
        "topology": processors.topology if processors else "one processor",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "servers": {
            "Valkey": str(stand.server.admin.info("server")["valkey_version"]),
            "memcached": memcached_version(),
        },
        "packages": {name: version_of(name) for name in PACKAGES},
    }


def model() -> str:
    """Return the processor's name."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def memcached_version() -> str:
    """Return the version that the installed memcached reports."""
    program = shutil.which("memcached")
    if program is None:
        return "not installed"
    answer = subprocess.run([program, "-V"], capture_output=True, text=True, check=False).stdout
    return answer.removeprefix("memcached").strip()


def version_of(package: str) -> str:
    """Return the installed version, or a text that there is none."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
