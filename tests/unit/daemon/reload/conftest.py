"""What reloads change: a configured pool with entries in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from glidecache_shared.protocol import STRING
from support.catalog import ENTRIES, catalog

if TYPE_CHECKING:
    from collections.abc import Callable

    from glidecached.pools.manager import PoolManager


@pytest.fixture
def registry(make_registry: Callable[..., PoolManager]) -> PoolManager:
    made = make_registry()
    made.changes.configure(catalog())
    pool = made.find("catalog")
    for number in range(ENTRIES):
        pool.entries.insert(b"%d" % number, STRING, b"v", number + 1)
    return made
