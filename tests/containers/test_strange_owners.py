"""I11 across user namespaces: a socket is refused whose owner or listener cannot be told from others."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from containers.conftest import DAEMON_ID, FIRST_ID, OTHER_FIRST_ID
from glidecache import DaemonUnavailableError
from support.contained_daemon import Volumes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.workers import Worker

UNMAPPED = "uid 65534 (not mapped into this user namespace)"


@pytest.fixture
def volumes(_containers: None) -> Iterator[Volumes]:
    """Directories of a user that is mapped in the workers' namespace; this process, root of the host, is not."""
    volumes = Volumes(DAEMON_ID, DAEMON_ID, OTHER_FIRST_ID)
    yield volumes
    volumes.discard()


@pytest.fixture
def listener(volumes: Volumes) -> Iterator[str]:
    path = volumes.runtime_dir / "glidecached.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        path.chmod(0o777)
        yield str(path)


def refusal(worker: Worker, kind: str) -> str:
    with pytest.raises(DaemonUnavailableError) as refused:
        worker.connect(kind, fallback="error", request_timeout=500)
    return str(refused.value)


def test_i11_a_listener_that_is_not_mapped_is_no_owner_of_the_socket(
    volumes: Volumes, listener: str, start_worker: Callable[..., Worker], kind: str
) -> None:
    os.chown(listener, OTHER_FIRST_ID + DAEMON_ID, OTHER_FIRST_ID + DAEMON_ID)
    text = refusal(start_worker(volumes, first_id=OTHER_FIRST_ID), kind)
    assert f"{UNMAPPED} listens at the socket in /run/glidecached, which belonged to uid {DAEMON_ID}" in text
    assert "the user namespaces differ" in text
    assert "hostUsers" in text


def test_i11_a_socket_of_an_owner_that_is_not_mapped(
    volumes: Volumes, listener: str, start_worker: Callable[..., Worker], kind: str
) -> None:
    os.chown(listener, FIRST_ID, FIRST_ID)
    os.chown(volumes.runtime_dir, OTHER_FIRST_ID, OTHER_FIRST_ID + DAEMON_ID)
    text = refusal(start_worker(volumes, first_id=OTHER_FIRST_ID), kind)
    assert f"glidecached.sock belongs to {UNMAPPED}, in a directory of uid 0" in text
    assert "the user namespaces differ" in text


def test_i11_a_directory_of_an_owner_that_is_not_mapped(
    volumes: Volumes, listener: str, start_worker: Callable[..., Worker], kind: str
) -> None:
    """Its owner may be any user, who could replace the socket."""
    os.chown(listener, OTHER_FIRST_ID + DAEMON_ID, OTHER_FIRST_ID + DAEMON_ID)
    os.chown(volumes.runtime_dir, FIRST_ID, OTHER_FIRST_ID + DAEMON_ID)
    text = refusal(start_worker(volumes, first_id=OTHER_FIRST_ID), kind)
    assert UNMAPPED in text
