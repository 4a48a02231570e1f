"""One connection to one daemon process, and to no later one (architecture, failure model).

A DEALER's side of ZeroMQ's protocol, on a plain Unix socket: no thread, no wake-up in between, and nothing that a fork
breaks (docs/design/0011-zmtp-on-plain-sockets.md).
"""

from __future__ import annotations

import os
import select
import weakref

from glidecache_shared.owned import OwnedDescriptor
from glidecache_shared.wire.dealer import READABLE, WRITABLE, Dealer

__all__ = ["READABLE", "WRITABLE", "Transport", "forks"]


class _Process:
    """The state that belongs to this process alone."""

    __slots__ = ("forks", "links")

    def __init__(self) -> None:
        self.forks = 0
        self.links: weakref.WeakSet[Transport] = weakref.WeakSet()

    def after_fork(self) -> None:
        """Close the child's copies of the parent's connections, which would keep them open at the daemon."""
        self.forks += 1
        for link in list(self.links):
            link.close()
        self.links.clear()


_process = _Process()
os.register_at_fork(after_in_child=_process.after_fork)


def forks() -> int:
    """Return the number of forks between the process that imported this module and the present one."""
    return _process.forks


class Transport(Dealer):
    """A connection, made with the object. For one thread; closed after a fork, in the child.

    The socket closes with the object, unless its number belongs to another file by then (isolation, I16). Raises
    `OSError` when no process listens at `path`, `BlockingIOError` when too many connections wait there already.
    """

    __slots__ = ("__weakref__", "_file", "listener_uid")

    def __init__(self, path: str) -> None:
        self._file = OwnedDescriptor.connect(path)
        self.listener_uid = self._file.peer_uid()
        """The uid of the process that listens, as the kernel recorded it when the process began to listen."""
        _process.links.add(self)
        super().__init__(self._file.number, self._file)

    @property
    def is_own(self) -> bool:
        """Return whether its number still refers to its socket: an application may have closed all descriptors."""
        return self._file.is_own()

    def wait(self, milliseconds: float) -> bool:
        """Block until something has changed, which `events` and `flush` then handle; False when the time is over."""
        # Python's own poll, which gevent and its like replace. One object per wait: a signal handler may wait for this
        # transport too, and a poll object serves one at a time.
        poll = select.poll()
        poll.register(self.descriptor, select.POLLIN | select.POLLOUT if self.unsent else select.POLLIN)
        return bool(poll.poll(milliseconds))

    def close(self) -> None:
        """Close, and drop what has not been sent. Idempotent."""
        super().close()
        self._file.close()
