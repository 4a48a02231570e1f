"""What docs/workers.md tells people to write, written and run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import sysconfig
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.daemon import Daemon
from support.process import ROOT, ChildProcess, child_environment
from support.uwsgi import BUILD_TIMEOUT_S, uwsgi_path
from support.valkey_server import HOST
from support.waiting import wait_until
from workers.celery_settings import celery_app
from workers.holding import unnamed_pools
from workers.serving import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.valkey_server import ValkeyServer
    from workers.conftest import StartServer

PAGE = (ROOT / "docs" / "workers.md").read_text()
PROGRAMS = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", PAGE, re.DOTALL))
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
SERVERS = [line for line in COMMANDS if not line.startswith("celery")]
SCRIPTS = Path(sysconfig.get_path("scripts"))
WORKERS = 4
PATIENCE_S = 40


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The reader's own directory, with all files of the page."""
    directory = tmp_path / "page"
    directory.mkdir()
    for name, text in PROGRAMS.items():
        (directory / name).write_text(text)
    return directory


@pytest.fixture(autouse=True)
def products(valkey: ValkeyServer) -> None:
    valkey.admin.mset({"product:1": "spade", "product:2": "rake"})


@pytest.fixture
def late_daemon(tmp_path: Path, valkey: ValkeyServer) -> Iterator[Daemon]:
    """A daemon in front of `valkey` that has not been started."""
    upstream = {"addresses": [f"{HOST}:{valkey.port}"]}
    daemon = Daemon(tmp_path / "late", {"upstreams": {"default": upstream}})
    yield daemon
    if daemon.running:
        daemon.stop()
    daemon.discard()


def environment(directory: Path, daemon: Daemon) -> dict[str, str]:
    """What a shell in that directory would give to a program."""
    inherited = child_environment()["PYTHONPATH"]
    return {
        "GLIDECACHED_RUNTIME_DIR": str(daemon.runtime_dir),
        "PYTHONPATH": f"{directory}{os.pathsep}{inherited}",
    }


def listening_at(line: str, path: Path) -> list[str]:
    """A command of the page, listening where the test wants it to."""
    program, *arguments = shlex.split(line)
    at = {"gunicorn": ["--no-control-socket", "--bind", f"unix:{path}"], "uvicorn": ["--uds", str(path)]}
    if program == "uwsgi":
        arguments[arguments.index("--http-socket") + 1] = str(path)
        at["uwsgi"] = ["--die-on-term", "--home", sys.prefix]
        return [uwsgi_path(), *at[program], *arguments]
    return [str(SCRIPTS / program), *at[program], *arguments]


@pytest.mark.timeout(BUILD_TIMEOUT_S + 120)
@pytest.mark.parametrize("line", SERVERS)
def test_servers(
    start_server: StartServer, daemon: Daemon, valkey: ValkeyServer, directory: Path, line: str
) -> None:
    server = start_server(lambda path: listening_at(line, path), **environment(directory, daemon))
    server.wait_for_workers(WORKERS, path="/1")
    assert server.text("/1") == "spade"
    assert server.text("/2") == "rake"
    assert valkey.calls("get") == 2, "all workers read from one cache"
    assert server.terminate() == 0
    assert server.warnings() == []


@pytest.mark.parametrize("preload", [(), ("--preload",)], ids=["loaded_by_workers", "preloaded"])
def test_gunicorn_boots_before_the_daemon(
    late_daemon: Daemon, valkey: ValkeyServer, directory: Path, preload: tuple[str, ...]
) -> None:
    line = shlex.join(["gunicorn", "--workers", str(WORKERS), *preload, "early_shop:application"])
    server = Server(directory / "server", late_daemon, lambda path: listening_at(line, path))
    server.start(**environment(directory, late_daemon))
    try:
        server.wait_for_workers(WORKERS, path="/1", status=HTTPStatus.SERVICE_UNAVAILABLE)
        late_daemon.start()
        wait_until(lambda: server.status("/1") == HTTPStatus.OK, "a worker finds the daemon")
        server.wait_for_workers(WORKERS, path="/1")
        assert server.text("/1") == "spade"
        assert valkey.calls("get") == 1, "all workers read from one cache"
        assert server.terminate() == 0
        warnings = [
            line for line in server.log_text().splitlines() if "until it answers, commands fail" in line
        ]
        assert len(warnings) == (1 if preload else WORKERS)
        assert all("is not running" in line and "start it: glidecached" in line for line in warnings)
    finally:
        server.discard()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("program", ["report.py", "private_report.py"])
def test_multiprocessing(
    daemon: Daemon, valkey: ValkeyServer, directory: Path, program: str, method: str
) -> None:
    before = set(unnamed_pools(daemon))
    ended = subprocess.run(
        [sys.executable, "-W", "default", program, method],
        cwd=directory,
        env=child_environment(**environment(directory, daemon)),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert (ended.stdout, ended.stderr) == ("['SPADE', 'RAKE', 'SPADE', 'RAKE']\n", "")
    assert valkey.calls("get") == 2
    assert len(set(unnamed_pools(daemon)) - before) == program.startswith("private")


def test_celery(daemon: Daemon, valkey: ValkeyServer, directory: Path) -> None:
    (directory / "celeryconfig.py").write_text(
        "from pathlib import Path\n"
        "from workers.celery_settings import celery_app\n"
        f"settings = celery_app(Path({str(directory)!r})).conf\n"
        "broker_url, result_backend = settings.broker_url, settings.result_backend\n"
        "broker_transport_options = settings.broker_transport_options\n"
        "broker_connection_retry_on_startup = True\n"
    )
    (line,) = (line for line in COMMANDS if line.startswith("celery"))
    program, *arguments = shlex.split(line)
    worker = ChildProcess(directory / "celery.log")
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat")
    worker._spawn([SCRIPTS / program, *arguments, *quiet], C_FORCE_ROOT="1", **environment(directory, daemon))
    try:
        app = celery_app(directory)
        sent = [app.send_task("tasks.label", (product,)) for product in ("1", "2") * 4]
        labels = [result.get(timeout=PATIENCE_S, interval=0.02) for result in sent]
        assert labels == ["SPADE", "RAKE"] * 4
        assert valkey.calls("get") == 2
        assert worker.terminate() == 0
    finally:
        if worker.running:
            worker.kill()
    assert "Traceback" not in worker.log_text()
