"""I13: the daemon makes removed files, directories and its socket again; workers find daemon and pools."""

from __future__ import annotations

import os
import re
import shutil
import socket
from typing import TYPE_CHECKING

import pytest

from support.caches import new_cache
from support.clients import at
from support.daemon import Daemon, to_toml
from support.process import STOP_TIMEOUT_S
from support.waiting import wait_until
from support.wire import answers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.connector import Connector
    from support.valkey_server import ValkeyServer

WITHIN_S = 4.0
"""The rule says some two seconds; the machine may be busy."""


def remove(path: Path) -> None:
    path.unlink()


def move_away(path: Path) -> None:
    path.rename(path.with_name(f"moved-{path.name}"))


def replace_by_a_copy(path: Path) -> None:
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)


def replace_by_a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def remove_directory(path: Path) -> None:
    shutil.rmtree(path.parent)


def files_of_pools(daemon: Daemon, suffixes: tuple[str, ...]) -> list[Path]:
    return [path for path in daemon.pool_dir.iterdir() if path.suffix in suffixes]


@pytest.mark.parametrize("named", [True, False], ids=["named", "unnamed"])
@pytest.mark.parametrize(
    ("suffixes", "change"),
    [
        ((".pool", ".board", ".lease"), remove),
        ((".pool",), remove),
        ((".board",), remove),
        ((".lease",), remove),
        ((".pool",), replace_by_a_copy),
        ((".lease",), replace_by_a_copy),
        ((".board",), move_away),
        ((".lease",), replace_by_a_directory),
        ((".board",), replace_by_a_directory),
        ((".pool",), remove_directory),
    ],
    ids=lambda value: value.__name__ if callable(value) else "".join(value),
)
def test_i13_workers_attach_to_a_fresh_generation_when_files_have_vanished(
    own_daemon: Daemon,
    own_valkey: ValkeyServer,
    connect: Connector,
    unique_name: str,
    suffixes: tuple[str, ...],
    change: Callable[[Path], None],
    *,
    named: bool,
) -> None:
    cache = new_cache(name=unique_name if named else None)
    old = connect(cache, **at(own_daemon, own_valkey))
    own_valkey.admin.set("k", "v")
    assert [old.get("k") for _ in range(2)] == [b"v"] * 2
    for path in files_of_pools(own_daemon, suffixes):
        change(path)

    # A client that attaches has it noticed at once.
    new = connect(cache, **at(own_daemon, own_valkey))
    assert [new.get("k") for _ in range(2)] == [b"v"] * 2
    assert new.metrics().total_lookups >= 1
    assert "pool file vanished" in own_daemon.log_text()

    # The client that was attached stays, and shares the pool again.
    def share() -> bool:
        own_valkey.admin.set("k", "another")
        return bool(old.get("k") == b"v" and old.metrics() == new.metrics())

    wait_until(share, "the old client reads the new client's pool", WITHIN_S)
    assert own_daemon.running
    assert "Traceback" not in own_daemon.log_text()
    # Of the previous generation nothing is left but files of other users.
    (fresh,) = {path.name.partition(".")[0] for path in files_of_pools(own_daemon, (".pool",))}
    strange = [
        path for path in own_daemon.pool_dir.iterdir() if not path.is_dir() and "moved-" not in path.name
    ]
    assert {path.name.partition(".")[0] for path in strange} == {fresh}


def test_i13_vanished_files_are_noticed_without_anybody_asking(
    own_daemon: Daemon, own_valkey: ValkeyServer, connect: Connector
) -> None:
    client = connect(new_cache(), **at(own_daemon, own_valkey))
    client.get("k")
    (pool,) = files_of_pools(own_daemon, (".pool",))
    pool.unlink()
    wait_until(lambda: files_of_pools(own_daemon, (".pool",)), "a fresh generation", WITHIN_S)
    assert files_of_pools(own_daemon, (".pool",)) != [pool]
    client.close()
    own_daemon.stop()  # The start looks for abandoned directories.


def replace_by_a_file(path: Path) -> None:
    path.unlink()
    path.touch()


def replace_by_a_strange_socket(path: Path) -> None:
    path.unlink()
    with socket.socket(socket.AF_UNIX) as strange:
        strange.bind(str(path))


def remove_the_lock_too(path: Path) -> None:
    path.unlink()
    (path.parent / "glidecached.lock").unlink()


@pytest.mark.parametrize(
    "change",
    [
        remove,
        move_away,
        replace_by_a_file,
        replace_by_a_strange_socket,
        remove_the_lock_too,
        remove_directory,
    ],
)
def test_i13_a_socket_that_vanishes_is_bound_again(
    own_daemon: Daemon, own_valkey: ValkeyServer, connect: Connector, change: Callable[[Path], None]
) -> None:
    old = connect(None, **at(own_daemon, own_valkey))
    old.call("set", "k", "v")
    change(own_daemon.runtime_dir / "glidecached.sock")
    wait_until(lambda: answers(own_daemon.runtime_dir), "the daemon answers there again", WITHIN_S)
    assert old.get("k") == b"v"
    new = connect(None, **at(own_daemon, own_valkey))
    assert new.get("k") == b"v"
    assert re.search('event="(socket|runtime directory) restored" path=', own_daemon.log_text())
    (own_daemon.runtime_dir / "moved-glidecached.sock").unlink(missing_ok=True)
    new.close()
    old.close()
    own_daemon.stop()


def test_i13_a_daemon_whose_directory_cannot_be_made_again_ends_with_the_reason(own_daemon: Daemon) -> None:
    shutil.rmtree(own_daemon.runtime_dir)
    own_daemon.runtime_dir.touch()
    assert own_daemon.process.wait(STOP_TIMEOUT_S) == 1
    log = own_daemon.log_text()
    assert "the socket has vanished and cannot be bound again" in log
    assert f"{own_daemon.runtime_dir} is not a directory" in log
    assert "Traceback" not in log


def test_i13_a_daemon_whose_directory_is_another_ones_by_now_ends_and_leaves_it_alone(
    own_daemon: Daemon, start_daemon: Callable[..., Daemon], own_valkey: ValkeyServer
) -> None:
    own_daemon.pause()
    shutil.rmtree(own_daemon.runtime_dir)
    second = start_daemon(launch_only=True)
    second.runtime_dir = own_daemon.runtime_dir
    second.terminate()
    second.configuration.write_text(
        to_toml(
            {
                "daemon": {"pool_dir": str(second.pool_dir)},
                "upstreams": {"default": {"addresses": [f"127.0.0.1:{own_valkey.port}"]}},
            }
        )
    )
    second.start()
    own_daemon.resume()
    assert own_daemon.process.wait(STOP_TIMEOUT_S) == 1
    assert f"belongs to another glidecached (pid {second.pid})" in own_daemon.log_text()
    assert answers(second.runtime_dir)
    assert os.path.exists(second.runtime_dir / "glidecached.sock")  # noqa: PTH110 - beside the one above
