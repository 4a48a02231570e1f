"""Places that somebody else has prepared: sockets, runtime directories, links, in directories that all may write."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from glidecache import NodeAddress, RequestError
from security import attacks
from security.conftest import MEMBER, OWNER, STRANGER
from support.process import child_environment
from support.users import command_as
from support.valkey_server import HOST

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.users import User
    from support.valkey_server import ValkeyServer
    from support.workers import Worker

    StartWorker = Callable[[User], Worker]


@pytest.fixture
def sticky(open_place: Path) -> Path:
    """A directory as `/tmp` is."""
    path = Path(tempfile.mkdtemp(dir=open_place))
    path.chmod(0o1777)
    return path


def connect(worker: Worker, runtime_dir: Path | None, port: int, fallback: str = "error") -> None:
    worker.connect(
        "blocking",
        runtime_dir=None if runtime_dir is None else str(runtime_dir),
        addresses=[NodeAddress(HOST, port)],
        fallback=fallback,
        request_timeout=2_000,
    )


def test_a_forged_endpoint_is_refused_before_anything_is_sent(
    sticky: Path, valkey: ValkeyServer, start_worker: StartWorker
) -> None:
    stranger, member = start_worker(STRANGER), start_worker(MEMBER)
    stranger.run(attacks.listen, str(sticky / "glidecached.sock"))
    with pytest.raises(RequestError, match=f"cannot be trusted.*uid {STRANGER.uid}"):
        connect(member, sticky, valkey.port)
    assert stranger.run(attacks.has_callers) == 0


def test_a_socket_that_is_swapped_after_the_look_is_refused(
    sticky: Path, valkey: ValkeyServer, start_worker: StartWorker
) -> None:
    """Whoever may write the directory has the time between looking and connecting: the kernel says who listens."""
    stranger, member = start_worker(STRANGER), start_worker(MEMBER)
    path = sticky / "glidecached.sock"
    stranger.run(attacks.listen, str(path))
    os.lchown(path, MEMBER.uid, MEMBER.gid)  # what the look sees: a socket of its own user
    with pytest.raises(RequestError, match=f"cannot be trusted: uid {STRANGER.uid} listens"):
        connect(member, sticky, valkey.port)


def start_daemon(user: User, temporary: Path) -> subprocess.CompletedProcess[str]:
    """A daemon that has to find its runtime directory by itself, and is expected to refuse."""
    environment = child_environment(TMPDIR=str(temporary))
    environment.pop("XDG_RUNTIME_DIR", None)
    return subprocess.run(
        command_as(user, [sys.executable, "-m", "glidecached"]),
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


no_system_directory = pytest.mark.skipif(
    os.path.isdir("/run/glidecached"),  # noqa: PTH112 - before any fixture
    reason="this host has a daemon's runtime directory: the fallback is not looked at",
)


@no_system_directory
@pytest.mark.parametrize("mode", [0o700, 0o777], ids=["closed", "open"])
def test_the_default_directory_that_somebody_else_made_is_refused(
    sticky: Path, valkey: ValkeyServer, start_worker: StartWorker, mode: int
) -> None:
    stranger = start_worker(STRANGER)
    taken = sticky / f"glidecached-{OWNER.uid}"
    stranger.run(attacks.make_directory, str(taken), mode)
    done = start_daemon(OWNER, sticky)
    assert done.returncode == 1
    assert f"belongs to uid {STRANGER.uid}; it must belong to uid {OWNER.uid}" in done.stderr
    assert list(taken.iterdir()) == []
    del valkey


@no_system_directory
def test_a_link_in_place_of_the_default_directory_is_not_followed(
    sticky: Path, open_place: Path, start_worker: StartWorker
) -> None:
    target = open_place / "owners-things"
    target.mkdir()
    os.chown(target, OWNER.uid, OWNER.gid)
    target.chmod(0o755)
    start_worker(STRANGER).run(attacks.link_to, str(sticky / f"glidecached-{OWNER.uid}"), str(target))
    done = start_daemon(OWNER, sticky)
    assert done.returncode == 1
    assert "is not a directory" in done.stderr
    assert (
        stat.S_IMODE(target.stat().st_mode) == 0o755
    )  # it is set to 0700 where it is really the daemon's own
    assert list(target.iterdir()) == []


def test_a_pool_directory_that_is_a_link_or_somebody_elses_is_refused(
    sticky: Path, start_worker: StartWorker
) -> None:
    stranger = start_worker(STRANGER)
    for name, prepare, text in (
        ("link", attacks.link_to, "is not a directory (nor may it be a link)"),
        (
            "directory",
            attacks.make_directory,
            f"belongs to uid {STRANGER.uid}; it must belong to this daemon's",
        ),
    ):
        pools = sticky / name
        stranger.run(prepare, str(pools), str(sticky) if prepare is attacks.link_to else 0o777)
        configuration = sticky / f"{name}.toml"
        configuration.write_text(f'[daemon]\npool_dir = "{pools}"\nruntime_dir = "{sticky}/run-{name}"\n')
        done = subprocess.run(
            command_as(OWNER, [sys.executable, "-m", "glidecached", "--config", configuration]),
            env=child_environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 1
        assert text in done.stderr
