"""Caches of Django at the common server and daemon, by their blocking and by their awaited methods."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.django_caches import FACES, DjangoCaches, url_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.daemon import Daemon
    from support.valkey_server import ValkeyServer


@pytest.fixture(params=FACES)
def face(request: pytest.FixtureRequest) -> str:
    """The methods of the cache that are called: blocking or awaited."""
    value: str = request.param
    return value


@pytest.fixture
def caches(face: str, valkey: ValkeyServer, daemon: Daemon, unique_name: str) -> Iterator[DjangoCaches]:
    """Caches of a name of the test's own. Their entries live for a minute."""
    with DjangoCaches(face, url_of(valkey.port), daemon, unique_name, max_cache_kb=4_096) as made:
        yield made
