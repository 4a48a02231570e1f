"""I11: a client maps only pools in directories that no other user can replace, its daemon's among them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from glidecache.core.attachment import Attachment, Hello, PoolGoneError
from glidecache.errors import ConfigurationError
from glidecache_shared import lease
from glidecache_shared.pool.store import PoolStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DAEMON = 54_321
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def answer(tmp_path: Path) -> Iterator[Callable[[Path], dict[str, Any]]]:
    """Return the answer of a daemon that has a pool in the directory."""
    stores = []

    def make(directory: Path) -> dict[str, Any]:
        directory.mkdir(exist_ok=True)
        store = PoolStore.create(
            str(directory),
            "pool",
            1,
            max_cache_kb=64,
            entry_ttl_ms=0,
            eviction_policy="LRU",
            enable_metrics=True,
            instance_id=1,
            grace_ms=5_000,
        )
        stores.append(store)
        path = str(directory / "pool.lease")
        descriptor = lease.create(path)
        number = lease.inode(descriptor)
        os.close(descriptor)
        pool = {
            "pool_path": store.pool_path,
            "board_path": store.board_path,
            "lease_path": path,
            "lease_inode": number,
            "enable_metrics": True,
        }
        return {"session_id": 1, "request_timeout_ms": 250, "mode": "standalone", "pool": pool}

    yield make
    for store in stores:
        store.close()
    del tmp_path


def attach(answer: dict[str, Any], daemon_uid: int = os.geteuid()) -> Attachment:
    return Attachment(Hello({"instance_id": 1, "max_message_bytes": 1}, daemon_uid), answer, 0)


def test_i11_a_pool_where_others_can_write_is_refused(
    tmp_path: Path, answer: Callable[[Path], dict[str, Any]]
) -> None:
    (tmp_path / "above").mkdir()
    told = answer(tmp_path / "above" / ".." / "pools")
    attach(told).release()
    for directory in (tmp_path / "pools", tmp_path, tmp_path / "above"):
        directory.chmod(0o777)
        with pytest.raises(
            ConfigurationError, match=f"cannot trust the cache's pool: .*chmod go-w {directory}"
        ):
            attach(told)
        directory.chmod(0o755)


@needs_root
def test_i11_the_daemons_own_directory_is_trusted_and_a_strangers_is_not(
    tmp_path: Path, answer: Callable[[Path], dict[str, Any]]
) -> None:
    told = answer(tmp_path / "pools")
    tmp_path.chmod(0o1777)  # as /dev/shm is
    os.chown(tmp_path / "pools", DAEMON, -1)
    attach(told, DAEMON).release()
    for daemon_uid in (0, DAEMON + 1):
        with pytest.raises(ConfigurationError, match=f"belongs to uid {DAEMON}"):
            attach(told, daemon_uid)


def test_i13_a_pool_whose_directory_is_gone_is_asked_for_again(
    tmp_path: Path, answer: Callable[[Path], dict[str, Any]]
) -> None:
    told = answer(tmp_path / "pools")
    (tmp_path / "pools").rename(tmp_path / "elsewhere")
    with pytest.raises(PoolGoneError):
        attach(told)
