"""A control group of the test's own, to see whose memory is whose."""

from __future__ import annotations

import os
import time
from pathlib import Path

_HIERARCHIES = {"": ("/sys/fs/cgroup/unified", "/sys/fs/cgroup"), "memory": ("/sys/fs/cgroup/memory",)}
_ENTER = 'echo $$ >"$0/cgroup.procs" && exec "$@"'


class MemoryGroup:
    """A control group that counts memory. Raises `OSError` where none can be made."""

    def __init__(self, name: str) -> None:
        self._path = _own_group() / f"glidecached-{name}-{os.getpid()}"
        self._path.mkdir()
        if not (self._path / "memory.stat").exists():
            self._path.rmdir()
            message = "the control groups here do not count memory"
            raise OSError(message)

    def command(self, command: list[str]) -> list[str]:
        """The command that runs `command` in the group."""
        return ["sh", "-c", _ENTER, str(self._path), *command]

    def shared_bytes(self) -> int:
        """Pages of tmpfs that are charged to the group."""
        lines = (self._path / "memory.stat").read_text().splitlines()
        return int(dict(line.split() for line in lines)["shmem"])

    def discard(self) -> None:
        """Remove it, once its last process is gone."""
        for _ in range(100):
            try:
                self._path.rmdir()
            except OSError:
                time.sleep(0.02)
            else:
                return


def _own_group() -> Path:
    """This process's group in the hierarchy that counts memory. Raises `OSError`."""
    for line in sorted(Path("/proc/self/cgroup").read_text().splitlines(), reverse=True):
        _, controllers, path = line.split(":", 2)
        for mounted in _HIERARCHIES.get(controllers, ()):
            group = Path(mounted) / path.lstrip("/")
            if (group / "memory.stat").exists():
                return group
    message = "no control group that counts memory can be seen here"
    raise OSError(message)
