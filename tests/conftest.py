"""What all tests share: a server, what a missing system program means, and the logs of a failed test's processes."""

from __future__ import annotations

import gc
import os
import shutil
import signal
from typing import TYPE_CHECKING, Any

import pytest

from glidecache.opentelemetry import open_clients
from support.process import ChildProcess
from support.valkey_server import ValkeyServer

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

LOG_TAIL_CHARACTERS = 6_000


def pytest_configure() -> None:
    """Let processes that tests start hear Ctrl-C, also where the suite itself was started so as not to (`nohup`)."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module", autouse=True)
def _clients_are_closed() -> Iterator[None]:
    """Fail the module that leaves clients open: they would be counted, and use descriptors, in all later tests."""
    yield
    if open_clients():
        gc.collect()  # those that are dropped without `close` end here
    left = [client for client in open_clients() if not client._session.state.close_message]
    assert not left, f"{len(left)} clients were left open: {left}"


@pytest.fixture(scope="session")
def strace() -> str:
    """The path of `strace`. Without it a test is skipped on a developer's machine, and fails in CI."""
    path = shutil.which("strace")
    if path is None:
        message = "strace is not installed: scripts/system-deps installs it"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return path


@pytest.fixture(scope="session")
def valkey_of_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    """One Valkey for all tests that share a server."""
    server = ValkeyServer(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def valkey(valkey_of_session: ValkeyServer) -> ValkeyServer:
    """It, empty, its command counts at 0."""
    valkey_of_session.reset()
    return valkey_of_session


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Show with a failure what the processes wrote that the test stands on."""
    report = yield
    if report.failed:
        processes = {
            value: name
            for name, value in getattr(item, "funcargs", {}).items()
            if isinstance(value, ChildProcess)
        }
        for process, name in processes.items():
            report.sections.append((f"log of {name}", process.log_text()[-LOG_TAIL_CHARACTERS:]))
    return report
