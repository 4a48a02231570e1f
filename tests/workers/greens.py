"""gevent beside a client: `python -m workers.greens WHEN`, the moment of `monkey.patch_all`.

`first`: before anything else, as gevent asks; `imported`: after the library; `created`: after a client has been made
and has missed, as in a Gunicorn worker of a preloaded application. Ends with `done` as its output.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import psutil
from gevent import monkey

TOGETHER = 40


def daemons_connections() -> int:
    """How many connections this process has to a daemon's socket."""
    return sum(
        each.status == psutil.CONN_NONE and not each.laddr
        for each in psutil.Process(os.getpid()).net_connections("unix")
    )


def make_client() -> Any:
    application = importlib.import_module("workers.application")
    client = importlib.import_module("glidecache.sync").GlideClient.create(
        application.configuration(application.UNNAMED_CACHE)
    )
    client.set("before", "v")
    assert client.get("before") == b"v"
    return client


def the_hub_goes_on(client: Any) -> None:
    """A greenlet waits for what another one sends by the same client: it would wait in vain if it blocked the hub."""
    import gevent

    waiting = gevent.spawn(client.custom_command, ["BLPOP", "list", "20"])
    reads = [gevent.spawn(client.get, f"key{number}") for number in range(TOGETHER)]
    gevent.joinall(reads, raise_error=True)
    assert not waiting.ready()
    client.rpush("list", ["x"])
    assert waiting.get() == [b"list", b"x"]
    assert [read.value for read in reads] == [b"%d" % number for number in range(TOGETHER)]


def a_child_has_hits_and_misses(client: Any) -> None:
    """Of the connections of its parent it keeps none."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            assert client.get("before") == b"v"
            assert daemons_connections() == 0
            assert client.get("of the child") is None
            assert daemons_connections() == 1
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    assert client.get("of the parent") is None


def main(when: str) -> None:
    if when == "first":
        monkey.patch_all()
    importlib.import_module("glidecache.sync")
    importlib.import_module("glidecache_shared.wire.dealer")
    if when == "imported":
        monkey.patch_all()
    client = make_client()
    if when == "created":
        monkey.patch_all()
    client.mset({f"key{number}": str(number) for number in range(TOGETHER)})
    for _ in range(2):  # misses, then hits
        the_hub_goes_on(client)
    a_child_has_hits_and_misses(client)
    client.close()
    print("done")  # noqa: T201 - the answer to the test


if __name__ == "__main__":
    main(sys.argv[1])
