"""Where clients look for the daemon, and which sockets they trust."""

from __future__ import annotations

import os
import socket
import stat
from typing import TYPE_CHECKING

import pytest

from glidecache_shared import runtime_dir as subject
from glidecache_shared.runtime_dir import (
    check_endpoint,
    endpoint,
    ensure_runtime_dir,
    find_runtime_dir,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

STRANGER = 54_321
OTHER_STRANGER = 54_322
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("GLIDECACHED_RUNTIME_DIR", "XDG_RUNTIME_DIR", "TEMP", "TMP"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(subject, "SYSTEM_RUNTIME_DIR", str(tmp_path / "system"))


@pytest.fixture
def make_socket() -> Iterator[Callable[[Path], Path]]:
    sockets = []

    def make(directory: Path) -> Path:
        directory.mkdir(exist_ok=True)
        path = directory / "glidecached.sock"
        sockets.append(socket.socket(socket.AF_UNIX))
        sockets[-1].bind(str(path))
        return path

    yield make
    for each in sockets:
        each.close()


def test_the_first_that_is_given_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_runtime_dir() == f"{tmp_path}/glidecached-{os.geteuid()}"
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    assert find_runtime_dir() == "/run/user/7/glidecached"
    (tmp_path / "system").mkdir()
    assert find_runtime_dir() == str(tmp_path / "system")
    monkeypatch.setenv("GLIDECACHED_RUNTIME_DIR", "/somewhere")
    assert find_runtime_dir() == "/somewhere"
    assert find_runtime_dir("/explicit") == "/explicit"


def test_a_relative_directory_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_runtime_dir("here") == str(tmp_path / "here")


def test_finding_creates_nothing(tmp_path: Path) -> None:
    find_runtime_dir()
    assert list(tmp_path.iterdir()) == []


def test_a_path_over_the_limit_of_a_sockets_address() -> None:
    longest = "/" + "d" * (107 - len("/glidecached.sock") - 1)
    assert len(endpoint(longest)) == len("ipc://") + 107
    with pytest.raises(ValueError, match=r"108 bytes.*at most 107"):
        endpoint(longest + "d")


def test_no_socket(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        check_endpoint(str(tmp_path))
    with pytest.raises(FileNotFoundError):
        check_endpoint(str(tmp_path / "missing"))
    (tmp_path / "glidecached.sock").touch()
    with pytest.raises(FileNotFoundError, match="not a socket"):
        check_endpoint(str(tmp_path))


@pytest.mark.parametrize(
    ("mode", "command"), [(0o777, "chmod go-w"), (0o775, "chmod g-w"), (0o757, "chmod o-w")]
)
def test_i11_a_directory_that_others_can_write_is_refused_with_the_command_that_mends_it(
    tmp_path: Path, make_socket: Callable[[Path], Path], mode: int, command: str
) -> None:
    directory = tmp_path / "run"
    make_socket(directory)
    for closed in (directory, tmp_path):  # the directory itself, and one on its path
        closed.chmod(mode)
        for check in (check_endpoint, ensure_runtime_dir):
            with pytest.raises(PermissionError, match=f"{command} {closed}$") as refused:
                check(str(directory))
            assert refused.value.errno is None
        closed.chmod(0o755)
        check_endpoint(str(directory))
        ensure_runtime_dir(str(directory))


def test_i11_a_loop_of_links_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        check_endpoint(str(tmp_path / "a" / "run"))


@needs_root
def test_i11_root_skips_an_xdg_runtime_dir_that_is_another_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "user").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "user"))
    assert find_runtime_dir() == f"{tmp_path}/user/glidecached"
    os.chown(tmp_path / "user", STRANGER, -1)
    assert find_runtime_dir() == f"{tmp_path}/glidecached-0"


@needs_root
@pytest.mark.parametrize(
    ("socket_owner", "directory_owner", "mode", "trusted"),
    [
        (0, 0, 0o755, True),
        (0, 0, 0o1777, True),
        (STRANGER, STRANGER, 0o755, True),
        (STRANGER, STRANGER, 0o775, False),
        (STRANGER, STRANGER, 0o1777, False),
        (STRANGER, 0, 0o1777, False),
        (STRANGER, OTHER_STRANGER, 0o755, False),
        (STRANGER, 0, 0o755, False),
        (0, STRANGER, 0o755, False),
        (0, 0, 0o777, False),
    ],
)
def test_i11_whose_socket_is_trusted(
    tmp_path: Path,
    make_socket: Callable[[Path], Path],
    socket_owner: int,
    directory_owner: int,
    mode: int,
    *,
    trusted: bool,
) -> None:
    directory = tmp_path / "run"
    os.lchown(make_socket(directory), socket_owner, -1)
    directory.chmod(mode)
    os.chown(directory, directory_owner, -1)
    if trusted:
        assert check_endpoint(str(directory)) == socket_owner
    else:
        with pytest.raises(PermissionError, match=r"must belong to root|chmod"):
            check_endpoint(str(directory))


@needs_root
def test_the_private_fallback_must_be_ones_own(make_socket: Callable[[Path], Path]) -> None:
    """Its place is anybody's to take: the rule for closed directories would trust whoever comes first."""
    from pathlib import Path

    directory = Path(find_runtime_dir())
    os.lchown(make_socket(directory), STRANGER, -1)
    directory.chmod(0o755)
    os.chown(directory, STRANGER, -1)
    with pytest.raises(PermissionError, match=f"uid {STRANGER}"):
        check_endpoint(str(directory))


def test_the_daemon_makes_a_missing_directory_private(tmp_path: Path) -> None:
    ensure_runtime_dir(str(tmp_path / "run"))
    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o700


def test_the_daemon_leaves_an_existing_directory_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o750)
    ensure_runtime_dir(str(tmp_path / "run"))
    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o750


def test_the_private_fallback_is_closed_again(tmp_path: Path) -> None:
    path = tmp_path / f"glidecached-{os.geteuid()}"
    path.mkdir(mode=0o777)
    path.chmod(0o777)
    ensure_runtime_dir(find_runtime_dir())
    assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_the_private_fallback_is_no_symbolic_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"glidecached-{os.geteuid()}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NotADirectoryError):
        ensure_runtime_dir(find_runtime_dir())


@needs_root
def test_the_daemon_refuses_a_strangers_directory(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    os.chown(tmp_path / "run", STRANGER, -1)
    with pytest.raises(PermissionError, match=f"uid {STRANGER}; it must belong to uid 0: choose"):
        ensure_runtime_dir(str(tmp_path / "run"))


def test_the_daemon_refuses_what_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    with pytest.raises(NotADirectoryError, match="not a directory"):
        ensure_runtime_dir(str(tmp_path / "run"))
