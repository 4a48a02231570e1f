"""uWSGI: a master that loads the application and forks, and one whose workers load it themselves (`lazy-apps`)."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import pytest

from support.process import SOURCE_ROOTS
from support.uwsgi import BUILD_TIMEOUT_S, uwsgi_path
from support.waiting import wait_until
from workers.holding import Footprint, zombies_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer
    from workers.conftest import StartServer

WORKERS = 2
pytestmark = pytest.mark.timeout(BUILD_TIMEOUT_S + 120)


@pytest.fixture(scope="module")
def uwsgi() -> str:
    return uwsgi_path()


def command(uwsgi: str, *options: str) -> Callable[[Path], Sequence[str]]:
    return lambda path: [
        *(uwsgi, "--http-socket", str(path), "--master", "--die-on-term"),
        *("--processes", str(WORKERS), "--enable-threads", "--home", sys.prefix),
        *(part for root in SOURCE_ROOTS for part in ("--pythonpath", str(root))),
        *("--module", "workers.wsgi:application", *options),
    ]


@pytest.mark.parametrize("lazy", [False, True], ids=["forked", "lazy"])
def test_c19_workers_share_and_survive_a_reload(
    uwsgi: str, start_server: StartServer, daemon: Daemon, valkey: ValkeyServer, lazy: bool
) -> None:
    valkey.admin.set("k", "v1")
    server = start_server(command(uwsgi, *(["--lazy-apps"] if lazy else [])))
    first, second = sorted(server.wait_for_workers(WORKERS))
    assert server.get_from(first, "/named/k") == {"pid": first, "value": "v1", "lookups": 1}
    server.wait_until_idle(second)
    before, requests = Footprint.of(second), daemon.stats()["daemon"]["accepted_requests"]
    valkey.admin.set("k", "v2")
    assert server.get_from(second, "/named/k") == {"pid": second, "value": "v1", "lookups": 2}
    server.wait_until_idle(second)
    assert Footprint.of(second) == before
    assert daemon.stats()["daemon"]["accepted_requests"] == requests + 2, "only the test's HELLO and STATS"

    assert server.get_from(first, "/unnamed/k")["value"] == "v2"
    assert server.get_from(second, "/unnamed/k")["lookups"] == (1 if lazy else 2)
    assert valkey.calls("get") == (3 if lazy else 2)

    server.process.send_signal(signal.SIGHUP)
    for pid in server.wait_for_workers(WORKERS, instead_of={first, second}):
        assert server.get_from(pid, "/named/k")["value"] == "v1"
    wait_until(lambda: not zombies_of(server.pid), "the workers before are reaped")
    assert server.terminate() == 0
    assert server.warnings() == []
