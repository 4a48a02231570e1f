"""Without a daemon, both clients and the operator's command say what is missing, and how to start it."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from glidecache import DaemonUnavailableError
from glidecache_shared.runtime_dir import START
from glidecached.cli.daemon_client import DaemonClient, DaemonUnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.clients import AnyClient


def _dead_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


ABSENCES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no directory": (Path.rmdir, "this directory does not exist"),
    "a file in its place": (lambda path: (path.rmdir(), path.touch()), "this directory is not a directory"),
    "no socket": (lambda _path: None, "it has no socket there"),
    "no socket, a file": (
        lambda path: (path / "glidecached.sock").touch(),
        "there is not a socket; remove it",
    ),
    "no process at the socket": (lambda path: _dead_socket(path / "glidecached.sock"), "no process listens "),
}


@pytest.fixture(params=ABSENCES)
def seen(request: pytest.FixtureRequest, runtime_dir: Path) -> str:
    """Make the runtime directory one without a daemon. Return what is to be said of it."""
    make, text = ABSENCES[request.param]
    make(runtime_dir)
    return text


def test_a_client_says_how_to_start_it(
    connect: Callable[..., AnyClient], runtime_dir: Path, seen: str
) -> None:
    with pytest.raises(DaemonUnavailableError) as raised:
        connect(request_timeout=50)
    text = str(raised.value)
    assert text.startswith(f"glidecached at {runtime_dir} is not running: ")
    assert seen in text
    assert START in text
    assert text.count("start it") == 1


def test_the_operators_command_says_how_to_start_it(runtime_dir: Path, seen: str) -> None:
    with pytest.raises(DaemonUnreachableError) as raised:
        DaemonClient(str(runtime_dir))
    text = str(raised.value)
    assert text.startswith(f"no daemon in {runtime_dir}: ")
    assert seen in text
    assert START in text


def test_the_page_that_the_texts_name_is_there() -> None:
    page = Path(__file__).parents[3] / "docs" / "getting-started.md"
    assert "(docs: getting-started)" in START
    for command in ("glidecached --config", "systemctl start glidecached"):
        assert command in page.read_text()
