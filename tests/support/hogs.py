"""Clients that take as much as they get of what a daemon has a bounded number of: each in a process of its own.

`python hogs.py WHAT RUNTIME_DIR` prints how many it got, and keeps them until it is killed.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any, Self

from glidecache_shared import protocol
from support import abusers
from support.abusers import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

ENOUGH = 200
_BLOCKS_S = 25
_ANSWER_S = 0.3


class RawClient(abusers.RawClient):
    """A client of the daemon's default upstream."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def attach(self, port: int | None = None, **spec: Any) -> int:
        """Open a session; return its number."""
        del port
        session = self.request(protocol.ATTACH, {"mode": "standalone", **spec})
        if not isinstance(session, dict):
            raise RefusedError(session)
        return int(session["session_id"])


def connections(runtime_dir: str) -> list[RawClient]:
    """Open connections until one is refused."""
    clients: list[RawClient] = []
    try:
        while len(clients) < ENOUGH:
            clients.append(RawClient(runtime_dir))
    except (RefusedError, EOFError, OSError):
        pass
    return clients


def sessions(runtime_dir: str) -> list[Any]:
    """Open sessions over one connection."""
    client = RawClient(runtime_dir)
    return [client, *(client.attach() for _ in range(ENOUGH))]


def dedicated(runtime_dir: str) -> list[Any]:
    """Send blocking commands until one is answered."""
    client = RawClient(runtime_dir)
    session = client.attach()
    client.socket.settimeout(_ANSWER_S)
    count = 0
    while count < ENOUGH:
        client.send(protocol.COMMAND, session, [b"BLPOP", b"nobody-pushes", b"%d" % _BLOCKS_S])
        try:
            client.answer()
        except TimeoutError:
            count += 1
        else:
            break
    return [client] * count


HOGS: dict[str, Callable[[str], list[Any]]] = {
    hog.__name__: hog for hog in (connections, sessions, dedicated)
}


def _main() -> None:
    what, runtime_dir = sys.argv[1:]
    held = HOGS[what](runtime_dir)
    print(len(held), flush=True)  # noqa: T201 - the test waits for this line
    threading.Event().wait()


if __name__ == "__main__":
    _main()
