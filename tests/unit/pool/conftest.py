"""Stores for the directed tests, on a clock that the test moves; each is checked whole when its test ends."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from glidecache_shared.pool.store import PoolStore

if TYPE_CHECKING:
    from collections.abc import Iterator

SHM = Path("/dev/shm")  # noqa: S108  # a private directory with a random name is made in it
ROOM_BYTES = 400 * 1024 * 1024


@dataclass(slots=True)
class Clock:
    """A monotonic clock that stands still unless told."""

    now_ns: int = 1_000_000_000_000

    def tick(self, ns: int = 1_000) -> int:
        """Move on; returns the new time."""
        self.now_ns += ns
        return self.now_ns


class MakeStore(Protocol):
    """Makes a store; what is not given is the usual."""

    def __call__(self, **settings: Any) -> PoolStore: ...


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pool_directory() -> Iterator[str]:
    """A directory on tmpfs; on disk where tmpfs is as small as a container's default."""
    roomy = SHM.is_dir() and shutil.disk_usage(SHM).free > ROOM_BYTES
    directory = tempfile.mkdtemp(prefix="glidecache-unit-", dir=SHM if roomy else None)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def make_store(pool_directory: str, clock: Clock) -> Iterator[MakeStore]:
    stores: list[PoolStore] = []

    def make(**settings: Any) -> PoolStore:
        defaults: dict[str, Any] = {
            "max_cache_kb": 64,
            "entry_ttl_ms": 0,
            "eviction_policy": "LRU",
            "enable_metrics": True,
            "instance_id": 7,
            "grace_ms": 5_000,
            "now_ns": clock.now_ns,
        }
        store = PoolStore.create(pool_directory, f"unit{len(stores)}", 1, **(defaults | settings))
        stores.append(store)
        return store

    yield make
    try:
        for store in stores:
            if is_open(store):
                store.check_integrity()
                assert store.charged_bytes <= store.max_bytes
    finally:
        for store in stores:
            store.close()


def is_open(store: PoolStore) -> bool:
    """Whether the test left the store open."""
    try:
        store.metrics()
    except ValueError:
        return False
    return True
