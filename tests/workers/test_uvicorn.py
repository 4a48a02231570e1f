"""uvicorn with several workers, by itself and as Gunicorn's worker class, on asyncio's loop and on uvloop."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest

from support.waiting import wait_until
from workers.holding import Footprint, zombies_of
from workers.serving import module

if TYPE_CHECKING:
    from pathlib import Path

    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer
    from workers.conftest import StartServer

WORKERS = 2
READS_TOGETHER = 20


def uvicorn(loop: str, path: Path) -> list[str]:
    return module(
        "uvicorn", "--uds", str(path), "--workers", str(WORKERS), "--loop", loop, "workers.asgi:application"
    )


def gunicorn(path: Path) -> list[str]:
    options = (
        "--workers",
        str(WORKERS),
        "--worker-class",
        "uvicorn_worker.UvicornWorker",
        "--no-control-socket",
    )
    return module("gunicorn", "--bind", f"unix:{path}", *options, "workers.asgi:application")


COMMANDS = {
    "asyncio": lambda path: uvicorn("asyncio", path),
    "uvloop": lambda path: uvicorn("uvloop", path),
    "gunicorn": gunicorn,
}


@pytest.mark.parametrize("under", COMMANDS)
def test_c19_workers_share_the_named_cache_and_wait_for_nobody(
    start_server: StartServer, daemon: Daemon, valkey: ValkeyServer, under: str
) -> None:
    values = {f"k{number}": f"v{number}" for number in range(READS_TOGETHER)}
    valkey.admin.mset({"k": "v1", **values})
    server = start_server(COMMANDS[under])
    first, second = sorted(server.wait_for_workers(WORKERS))

    assert server.get_from(first, "/named/k") == {"pid": first, "value": "v1", "lookups": 1}
    assert server.get_from(first, "/unnamed/k") == {"pid": first, "value": "v1", "lookups": 1}
    valkey.admin.set("k", "v2")
    assert server.get_from(second, "/named/k") == {"pid": second, "value": "v1", "lookups": 2}
    assert server.get_from(second, "/unnamed/k") == {"pid": second, "value": "v2", "lookups": 1}
    assert valkey.calls("get") == 3, "each worker made an unnamed cache of its own"

    server.wait_until_idle(second)
    before = Footprint.of(second)
    with server.only(second):
        answers: dict[str, Any] = {}

        def read(key: str) -> None:
            answers[key] = server.get(f"/named/{key}")["value"]

        reads = [threading.Thread(target=read, args=(key,)) for key in values]
        valkey.pause()
        try:
            for thread in reads:
                thread.start()
            wait_until(lambda: daemon.stats()["daemon"]["open_requests"] > len(reads), "all of them wait")
            assert server.get("/named/k")["value"] == "v1", "the loop goes on while misses wait"
            assert answers == {}
        finally:
            valkey.resume()
        for thread in reads:
            thread.join()
        assert answers == values
        server.wait_until_idle(second)
    assert Footprint.of(second) == before

    if under == "gunicorn":
        server.process.send_signal(signal.SIGHUP)
        renewed = server.wait_for_workers(WORKERS, instead_of={first, second})
        for pid in renewed:
            assert server.get_from(pid, "/named/k")["value"] == "v1"
        wait_until(lambda: not zombies_of(server.pid), "the workers before are reaped")
    assert server.terminate() == 0
    assert server.warnings() == []
