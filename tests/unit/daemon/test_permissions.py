"""Who may open a pool's files: what is written on them, and what happens where that cannot be."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Any

import pytest

from glidecached.access import Access
from glidecached.pools.file_access import PermissionsError, permit
from glidecached.pools.metadata import Admission, ConfiguredCache, PoolKey, PoolSettings
from glidecached.pools.table import CacheRefusedError
from glidecached.upstream.target import Address, Identity

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from glidecached.pools.manager import PoolManager

ACL = "system.posix_acl_access"
IDENTITY = Identity(addresses=frozenset({Address("h", 1)}), tls="off", database=0, user="default")
SETTINGS = PoolSettings(max_cache_kb=64, entry_ttl_ms=0)
USERS = Access(uids=frozenset({61_003}))


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.touch(0o600)
    return path


@pytest.mark.parametrize(("writable", "mode"), [(False, 0o640), (True, 0o660)])
def test_without_a_list_it_is_the_groups(file: Path, *, writable: bool, mode: int) -> None:
    permit(str(file), Access(), writable=writable)
    assert mode_of(file) == mode
    permit(str(file), USERS, writable=writable)
    assert ACL in os.listxattr(file)
    permit(str(file), Access(), writable=writable)  # nothing of the list is left
    assert ACL not in os.listxattr(file)
    assert mode_of(file) == mode


def test_a_link_is_not_followed(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(file)
    with pytest.raises(OSError, match="symbolic links"):
        permit(str(link), Access(), writable=True)
    assert mode_of(file) == 0o600


@pytest.fixture
def no_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without access control lists."""

    def refuse(*_: Any) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(os, "setxattr", refuse)
    monkeypatch.setattr(os, "removexattr", refuse)


@pytest.mark.usefixtures("no_lists")
def test_one_group_is_given_the_file_where_there_are_no_lists(file: Path) -> None:
    gid = os.getgid()
    permit(str(file), Access(gids=frozenset({gid})), writable=False)
    assert (mode_of(file), file.stat().st_gid) == (0o640, gid)
    permit(str(file), Access(), writable=True)
    assert mode_of(file) == 0o660


@pytest.mark.usefixtures("no_lists")
@pytest.mark.parametrize(
    "access",
    [USERS, Access(gids=frozenset({1, 2})), Access(uids=frozenset({1}), gids=frozenset({2}))],
    ids=["a user", "two groups", "a user and a group"],
)
def test_what_a_mode_cannot_say_is_refused_and_the_file_stays_private(file: Path, access: Access) -> None:
    with pytest.raises(PermissionsError, match="allow exactly one group and no user, or choose a pool_dir"):
        permit(str(file), access, writable=False)
    assert mode_of(file) == 0o600


@pytest.mark.usefixtures("no_lists")
def test_a_group_that_the_daemon_is_not_in_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "fchown", refuse)
    with pytest.raises(PermissionsError, match="is not in group 77"):
        permit(str(file), Access(gids=frozenset({77})), writable=False)
    assert mode_of(file) == 0o600


@pytest.mark.usefixtures("no_lists")
def test_a_pool_that_cannot_be_kept_from_others_is_not_made(
    make_registry: Callable[..., PoolManager], tmp_path: Path
) -> None:
    registry = make_registry()
    registry.changes.configure(  # a warning: the daemon starts all the same
        ConfiguredCache(
            name="c", identity=IDENTITY, settings=SETTINGS, admission=Admission(upstream="u", access=USERS)
        )
    )
    with pytest.raises(CacheRefusedError, match="has no access control lists"):
        registry.join_configured("c", IDENTITY)
    assert list(tmp_path.iterdir()) == []


def test_the_files_are_private_until_their_list_stands(
    make_registry: Callable[..., PoolManager], monkeypatch: pytest.MonkeyPatch
) -> None:
    modes: list[int] = []
    real = os.setxattr

    def look_first(descriptor: int, *rest: Any) -> None:
        modes.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        real(descriptor, *rest)

    monkeypatch.setattr(os, "setxattr", look_first)
    make_registry().join(PoolKey("n", None), IDENTITY, SETTINGS, Admission(upstream="u", access=USERS))
    assert modes == [0o600] * 3


def test_c19_a_name_has_one_list(make_registry: Callable[..., PoolManager]) -> None:
    from glidecache_shared import lease

    registry = make_registry()
    key = PoolKey("n", None)
    theirs = Admission(upstream="private", access=USERS)
    pool = registry.join(key, IDENTITY, SETTINGS, theirs)
    assert registry.join(key, IDENTITY, SETTINGS, Admission(upstream="twin", access=USERS)) is pool
    handout = pool.client_info()
    held = lease.hold(handout["lease_path"], handout["lease_inode"])
    assert held is not None
    with (
        held,
        pytest.raises(CacheRefusedError, match="the upstream 'private' and its users, not clients' own"),
    ):
        registry.join(key, IDENTITY, SETTINGS)
    held.close()
    renewed = registry.join(key, IDENTITY, SETTINGS)  # once nobody holds it, as with other settings
    assert pool.ended
    assert not renewed.admission.access.restricts


def test_who_may_before_and_after_is_kept_out_at_no_moment(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that attaches while a reload changes the list opens the file in between."""
    permit(str(file), Access(), writable=False)
    modes: list[int] = []

    def watched(real: Callable[..., None]) -> Callable[..., None]:
        def change(descriptor: int, *rest: Any) -> None:
            real(descriptor, *rest)
            modes.append(stat.S_IMODE(os.fstat(descriptor).st_mode))

        return change

    for name in ("fchmod", "setxattr", "removexattr"):
        monkeypatch.setattr(os, name, watched(getattr(os, name)))
    for access in (Access(), USERS, Access(uids=USERS.uids | {5}), Access()):
        permit(str(file), access, writable=False)
    assert modes
    assert set(modes) == {0o640}, "the middle digit is the mask of a list"


@pytest.mark.parametrize(
    ("now", "before", "covers"),
    [
        (Access(), USERS, True),
        (USERS, Access(), False),
        (USERS, USERS, True),
        (Access(uids=USERS.uids | {5}), USERS, True),
        (Access(uids=USERS.uids, gids=frozenset({7})), USERS, True),
        (Access(uids=frozenset({5})), USERS, False),
        (Access(gids=frozenset({7})), USERS, False),
    ],
)
def test_who_loses_nothing_by_another_list(now: Access, before: Access, *, covers: bool) -> None:
    assert now.covers(before) == covers
